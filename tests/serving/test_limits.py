"""A key is held to its rate over its burst, by all workers together, whatever the clock does."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.serving.limits import DEFAULT, Meter, Remote, Shared, gcra, of
from banyan.serving.messages import LimitBody

LIMIT = LimitBody(per_second=10, burst=5)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_passes_then_one_each_step(tmp_path: Path, clock: Clock) -> None:
    meter = Shared(tmp_path / "limits.bin", clock)
    assert [meter.wait("a", LIMIT) for _ in range(5)] == [0.0] * 5
    assert meter.wait("a", LIMIT) == pytest.approx(0.1)
    assert meter.wait("b", LIMIT) == 0.0  # another key has its own
    clock.now += 0.1
    assert meter.wait("a", LIMIT) == 0.0
    assert meter.wait("a", LIMIT) > 0


def test_two_workers_count_together(tmp_path: Path, clock: Clock) -> None:
    workers = [Shared(tmp_path / "limits.bin", clock) for _ in range(2)]
    passed = sum(workers[n % 2].wait("a", LIMIT) == 0 for n in range(20))
    assert passed == LIMIT.burst


def test_a_clock_that_jumps_back_shuts_nobody_out(tmp_path: Path, clock: Clock) -> None:
    meter = Shared(tmp_path / "limits.bin", clock)
    for _ in range(5):
        meter.wait("a", LIMIT)
    clock.now -= 3600
    assert meter.wait("a", LIMIT) == 0.0


@given(st.lists(st.floats(0, 0.5), max_size=60), st.floats(1, 50), st.integers(1, 20))
def test_no_stretch_of_time_passes_more_than_rate_and_burst(pauses: list[float], rate: float, burst: int) -> None:
    limit = LimitBody(per_second=rate, burst=burst)
    now, moment, passed = 1e6, 0.0, []
    for pause in pauses:
        now += pause
        seconds, moment = gcra(moment, now, limit)
        if not seconds:
            passed.append(now)
        else:
            assert gcra(moment, now + seconds + 1e-5, limit)[0] == 0  # what it says to wait is enough
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + (passed[j] - start) * rate + 1.001


class Gone:
    def eval(self, script: str, numkeys: int, *keys_and_args: object) -> object:
        raise ConnectionError("away")


class Always(Meter):
    def wait(self, key: str, limit: LimitBody) -> float:
        return 7.0


def test_while_the_shared_count_is_away_the_machine_counts_alone() -> None:
    assert Remote(Gone(), Always()).wait("a", LIMIT) == 7.0


def test_a_key_of_its_own_limit_comes_before_its_role() -> None:
    other = LimitBody(per_second=1, burst=1)
    assert of({"k1": other}, "k1", "answers") is other
    assert of({"answers": other}, "k1", "answers") is other
    assert of({}, "k1", "answers") == DEFAULT["answers"]


def test_valkey_counts_as_the_file_does(valkey_client: Any) -> None:
    meters = [Remote(valkey_client, Always()) for _ in range(2)]
    slow = LimitBody(per_second=0.5, burst=3)
    found = [meters[n % 2].wait("a", slow) for n in range(4)]
    assert found[:3] == [0.0] * 3
    assert 0 < found[3] <= 2.0

"""Learning rate, mix of tables and task weights over time."""

import itertools
import json
import math

import pytest

from banyan.errors import ConfigError
from banyan.training.schedule import Decay, Mix, TableMix, TaskWeights, rate


@pytest.mark.parametrize("decay", ["constant", "linear", "cosine"])
def test_the_rate_rises_to_one_and_never_rises_again(decay: Decay) -> None:
    factors = [rate(step, 200, warmup=0.1, decay=decay) for step in range(200)]
    assert factors[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert factors[20] == 1.0
    assert all(a >= b for a, b in itertools.pairwise(factors[20:]))
    assert all(0 < factor <= 1 for factor in factors)
    assert rate(10_000, 200, warmup=0.1, decay=decay) == factors[-1]


def test_the_rate_has_its_shape() -> None:
    assert rate(50, 100, warmup=0.0, decay="linear") == pytest.approx(0.5)
    assert rate(50, 100, warmup=0.0, decay="cosine") == pytest.approx(0.5)
    assert rate(25, 100, warmup=0.0, decay="cosine") == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert rate(99, 100, warmup=0.0, decay="constant") == 1.0
    assert rate(0, 1, warmup=0.05, decay="cosine") == 1.0
    assert rate(99, 100, warmup=0.0, decay="linear", least=0.1) == pytest.approx(0.1 + 0.9 * 0.01)


@pytest.mark.parametrize(("mix", "expected"), [("sqrt", (100, 10)), ("equal", (55, 55)), ("rows", (108.911, 1.089))])
def test_shares_follow_the_mix(mix: Mix, expected: tuple[float, float]) -> None:
    assert TableMix({"big": 10_000, "small": 100}, 110, mix).shares.tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("mix", ["sqrt", "equal", "rows"])
@pytest.mark.parametrize("rows", [{"a": 1_000_000, "b": 30_000, "c": 801, "d": 7}, {"a": 5, "b": 3}, {f"t{n}": 10**n for n in range(7)}, {"only": 12}])
def test_every_step_has_its_rows_and_every_table_its_share(rows: dict[str, int], mix: Mix) -> None:
    tables = TableMix(rows, 64, mix)
    given = dict.fromkeys(rows, 0)
    for _ in range(500):
        step = tables.step()
        assert sum(step.values()) == min(64, sum(rows.values()))
        assert all(0 < count <= rows[name] for name, count in step.items())
        for name, count in step.items():
            given[name] += count
    for name, share in zip(tables.names, tables.shares.tolist(), strict=True):
        assert given[name] == pytest.approx(500 * share, abs=2)


def test_a_table_with_less_than_a_row_is_in_some_steps_only() -> None:
    tables = TableMix({"big": 1_000_000, "tiny": 1_000}, 100, "rows")
    there = ["tiny" in tables.step() for _ in range(1000)]
    assert 95 <= sum(there) <= 105


def test_a_pass_of_a_table_takes_its_rows_over_its_share() -> None:
    tables = TableMix({"big": 10_000, "small": 100}, 110, "sqrt")
    assert (tables.steps("big"), tables.steps("small")) == (100, 10)


def test_the_mix_goes_on_from_its_state() -> None:
    rows = {"a": 1000, "b": 77, "c": 5}
    one, other = TableMix(rows, 13), TableMix(rows, 13)
    for _ in range(7):
        one.step()
    other.load(json.loads(json.dumps(one.state())))
    assert [one.step() for _ in range(50)] == [other.step() for _ in range(50)]


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="judged"):
        TableMix({"viewed": 10, "judged": 0}, 8)
    with pytest.raises(ConfigError, match="at least one row"):
        TableMix({"viewed": 10}, 0)


def test_weights_move_in_a_line_to_the_final_ones() -> None:
    weights = TaskWeights({"buy": 1.0, "age": 0.5}, over_time="linear", final={"age": 0.0})
    assert weights.at(0, 101) == {"buy": 1.0, "age": 0.5}
    assert weights.at(50, 101) == pytest.approx({"buy": 1.0, "age": 0.25})
    assert weights.at(100, 101) == weights.at(500, 101) == {"buy": 1.0, "age": 0.0}


def test_constant_weights_hear_no_scores() -> None:
    weights = TaskWeights({"buy": 2.0})
    assert [weights.epoch({"buy": 0.5}) for _ in range(9)] == [[]] * 9
    assert weights.at(3, 10) == {"buy": 2.0}


def test_a_task_that_stops_improving_is_halved_down_to_the_floor_and_never_raised() -> None:
    weights = TaskWeights({"buy": 1.0, "age": 2.0}, over_time="progress", patience=2, floor=0.25)
    downs = [weights.epoch({"buy": 0.5 + 0.01 * epoch, "age": 0.7}) for epoch in range(9)]
    assert downs == [[], [], ["age"], [], ["age"], [], [], [], []]
    assert weights.at(0, 1) == {"buy": 1.0, "age": 0.5}
    weights.epoch({"buy": 0.9, "age": 0.99})
    assert weights.at(0, 1)["age"] == 0.5


def test_a_score_that_is_not_known_changes_nothing() -> None:
    weights = TaskWeights({"buy": 1.0}, over_time="progress", patience=1)
    weights.epoch({"buy": 0.5})
    before = weights.state()
    assert weights.epoch({"buy": math.nan}) == weights.epoch({}) == []
    assert weights.state() == before


def test_progress_goes_on_from_its_state() -> None:
    one, other = (TaskWeights({"buy": 1.0, "age": 1.0}, over_time="progress") for _ in range(2))
    for _ in range(3):
        one.epoch({"buy": 0.5, "age": 0.2})
    other.load(json.loads(json.dumps(one.state())))
    for _ in range(5):
        assert one.epoch({"buy": 0.5, "age": 0.2}) == other.epoch({"buy": 0.5, "age": 0.2})
    assert one.state() == other.state()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"over_time": "linear", "final": {"agee": 1.0}}, "agee"),
        ({"over_time": "linear"}, "final_weights is empty"),
        ({"over_time": "constant", "final": {"age": 1.0}}, "only read with"),
        ({"over_time": "linear", "final": {"age": -1.0}}, "not negative"),
    ],
)
def test_weights_that_cannot_be_right_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        TaskWeights({"age": 1.0}, **options)  # type: ignore[arg-type]


def test_no_table_is_read_more_often_than_it_may_be() -> None:
    rows = {"log": 100_000, "few": 100, "more": 1_000}
    by_default = TableMix(rows, 1000, passes=2.0)
    own = TableMix(rows, 1000, passes={"log": 0.5, "few": 0.5, "more": 4.0})  # the largest is read once, whatever it says
    for mix, most in ((by_default, {"few": 2.0, "more": 2.0}), (own, {"few": 0.5, "more": 4.0})):
        epoch = mix.steps("log")
        read = dict.fromkeys(rows, 0)
        for _ in range(epoch):
            for name, count in mix.step().items():
                read[name] += count
        assert read["log"] == pytest.approx(rows["log"], abs=1000)
        for name, passes in most.items():
            assert read[name] == pytest.approx(passes * rows[name], rel=0.05, abs=2)

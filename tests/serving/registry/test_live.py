"""A request is answered by one model from its first line to its last, whatever is promoted; an old model goes with its last request."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from banyan.bundle import folder
from banyan.errors import ConfigError, ConflictError, StateError
from banyan.serving.live import Live, arm_of, share_of
from banyan.serving.registry import Registry, Split
from banyan.serving.settings import FileSettings
from banyan.serving.shadow import Shadow, merged

Make = Callable[..., Path]


@pytest.fixture
def pair(registry: Registry, bundle: Make) -> tuple[str, str]:
    """Two versions, the first of which answers."""
    one, two = registry.add(bundle("one", score=1.0)).name, registry.add(bundle("two", score=2.0)).name
    registry.promote(one, "ann")
    return one, two


def test_nothing_answers_before_a_version_was_promoted(registry: Registry, engine: Any) -> None:
    live = Live(registry, engine)
    with pytest.raises(ConfigError, match="promote"):
        live.adopt()
    with pytest.raises(ConfigError, match="adopt"), live.serving():
        pass


def test_a_change_of_another_process_is_adopted(registry: Registry, pair: tuple[str, str], engine: Any) -> None:
    live = Live(registry, engine)
    assert live.adopt()
    assert not live.adopt()
    other = Registry(registry.folder, FileSettings(registry.settings.folder), registry.trial)  # type: ignore[attr-defined]
    other.promote(pair[1], "bob")
    assert live.version == pair[0]
    assert live.adopt()
    with live.serving() as serving:
        assert serving.version == pair[1]
    assert live.versions == (pair[1],)


def test_a_request_keeps_its_model_and_the_old_one_goes_with_its_last_request(registry: Registry, pair: tuple[str, str], engine: Any, ask: Any) -> None:
    live = Live(registry, engine)
    live.adopt()
    with live.serving() as first, live.serving():
        registry.promote(pair[1], "ann")
        live.adopt()
        with live.serving() as later:
            assert later.version == pair[1]
        assert first.version == pair[0]
        assert first.engine.recommend(ask("u"), None).items[0].score == 1.0
        assert not first.engine.closed
    assert first.engine.closed
    assert not later.engine.closed
    live.close()
    assert all(each.closed for each in engine.opened)


def test_no_answer_is_mixed_while_models_and_values_change(registry: Registry, pair: tuple[str, str], engine: Any, ask: Any, settings: FileSettings) -> None:
    live = Live(registry, engine)
    live.adopt()
    scores = dict(zip(pair, (1.0, 2.0), strict=True))
    stop, seen = threading.Event(), Counter[str]()

    def request(number: int) -> None:
        while not stop.is_set():
            with live.serving(user=f"u{number}") as serving:
                score = serving.engine.recommend(ask("u"), serving.value).items[0].score
                assert score == scores[serving.version]
                assert serving.value is None or serving.value.text == ("click" if serving.value_version % 2 else "buy.buy")
                seen[serving.version] += 1
            time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(request, i) for i in range(4)]
        for turn in range(30):
            registry.settings.set("layout", {"active": pair[turn % 2], "trail": [], "shadow": "", "split": None}, "ann")
            number = registry.settings.newest() + 1
            live.set_value({"": "click" if number % 2 else "buy.buy"}, "ann")
            assert live.adopt()
        stop.set()
        for job in jobs:
            job.result()
    assert set(seen) == set(pair)
    live.close()
    assert all(each.closed for each in engine.opened)


def test_what_cannot_be_adopted_leaves_the_old_model_and_says_why(registry: Registry, pair: tuple[str, str], engine: Any, bundle: Make) -> None:
    live = Live(registry, engine)
    live.adopt()
    broken = registry.add(bundle("broken", broken=True))
    registry.settings.set("layout", {"active": broken.name, "trail": [], "shadow": "", "split": None}, "somebody by hand")
    assert not live.adopt()
    assert "cannot be opened" in live.trouble
    opened = len(engine.opened)
    assert not live.adopt()  # not tried again at once
    assert len(engine.opened) == opened
    with live.serving() as serving:
        assert serving.version == pair[0]
    registry.promote(pair[1], "ann")
    assert live.adopt()
    assert live.trouble == ""
    assert live.version == pair[1]


def test_settings_out_of_reach_leave_the_old_model(registry: Registry, pair: tuple[str, str], engine: Any, settings: FileSettings) -> None:
    class Away:
        away = False

        def __getattr__(self, name: str) -> Any:
            if self.away:
                raise StateError("The database cannot be reached.")
            return getattr(settings, name)

    reached = Away()
    live = Live(registry, engine, reached)
    live.adopt()
    reached.away = True
    assert not live.adopt()
    assert live.trouble == "The database cannot be reached."
    with live.serving() as serving:
        assert serving.version == pair[0]
    reached.away = False
    live._again = 0.0
    live.adopt()
    assert live.trouble == ""


def test_a_version_that_was_rewritten_is_loaded_anew(registry: Registry, pair: tuple[str, str], engine: Any, ask: Any) -> None:
    live = Live(registry, engine)
    live.adopt()
    registry.rewrite(pair[0], lambda old, new: folder.write(new, lambda aside: (aside / "engine.json").write_text('{"score": 9.0}') and None, {}) and None)
    assert live.adopt()
    with live.serving() as serving:
        assert serving.engine.recommend(ask("u"), None).items[0].score == 9.0
    assert engine.opened[-2].closed


def test_each_scenario_has_its_value_model_and_a_wrong_one_is_refused(registry: Registry, pair: tuple[str, str], engine: Any) -> None:
    live = Live(registry, engine)
    live.adopt()
    with live.serving() as serving:
        assert (serving.value, serving.value_version) == (None, 0)
    version = live.set_value({"": "click", "cart": "buy*item.price"}, "ann", expected=0)
    live.adopt()
    with live.serving(scenario="cart") as serving:
        assert serving.value is not None
        assert serving.value.text == "buy*item.price"
        assert serving.value_version == version
    with pytest.raises(ConfigError, match="character 1"):
        live.set_value({"": "clikc"}, "ann")
    with pytest.raises(ConflictError):
        live.set_value({"": "click"}, "ann", expected=0)
    assert [each.who for each in registry.settings.changes("value")] == ["ann"]


def test_a_split_is_sticky_and_gives_the_share_that_was_asked_for(registry: Registry, pair: tuple[str, str], engine: Any) -> None:
    registry.split(pair[1], 0.2, "ann")
    live = Live(registry, engine)
    live.adopt()

    def versions() -> list[str]:
        found = []
        for i in range(12_000):  # the salt is drawn: of fewer users the share strays too far by chance now and then
            with live.serving(user=f"user {i}") as serving:
                found.append(serving.version)
                assert serving.arm == ("candidate" if serving.version == pair[1] else "control")
                assert serving.experiment
        return found

    first = versions()
    assert first == versions()
    assert abs(np.mean([each == pair[1] for each in first]) - 0.2) < 0.02
    registry.split(pair[1], 0.5, "ann")
    live.adopt()
    grown = versions()
    assert all(now == pair[1] for was, now in zip(first, grown, strict=True) if was == pair[1])
    with live.serving() as serving:  # nobody: the active version
        assert (serving.version, serving.arm) == (pair[0], "")


def test_two_salts_share_users_out_independently() -> None:
    users = [f"user {i}" for i in range(20_000)]
    one, two = (np.array([arm_of(Split("v", 0.3, salt, "x", 0), user) == "candidate" for user in users]) for salt in ("a", "b"))
    assert abs(one.mean() - 0.3) < 0.012
    assert abs((one & two).mean() - 0.09) < 0.008
    places = np.sort([share_of("a", user) for user in users])
    assert np.abs(places - np.linspace(0, 1, len(places))).max() < 1.95 / np.sqrt(len(users))  # Kolmogorov and Smirnov, 0.1 %


def test_a_shadow_answers_the_same_requests_unseen(registry: Registry, bundle: Make, pair: tuple[str, str], engine: Any, ask: Any) -> None:
    other = registry.add(bundle("other", answer=0.75, items=["b", "x", "a"])).name
    registry.shadow(other, "ann")
    reports: list[dict[str, Any]] = []
    live = Live(registry, engine, shadow=Shadow(lambda _, sums: reports.append(sums)))
    live.adopt()
    for i in range(10):
        with live.serving(user=f"u{i}") as serving:
            asked = ask(f"u{i}")
            ranked = serving.engine.recommend(asked, serving.value)
            assert serving.version == pair[0]
            assert live.shadow(asked, ranked, serving)
    live.close()
    summary = merged(reports)[0].summary()
    assert (summary["serving"], summary["shadow"], summary["requests"], summary["failed"]) == (pair[0], other, 10, 0)
    assert summary["common"] == pytest.approx(2 / 3)
    assert summary["same_first"] == 0
    assert summary["gaps"]["buy.buy"] == {"items": 20, "mean": pytest.approx(0.25), "root_mean_square": pytest.approx(0.25)}
    assert all(each.closed for each in engine.opened)


def test_a_slow_or_failing_shadow_holds_nobody_up(registry: Registry, bundle: Make, pair: tuple[str, str], engine: Any, ask: Any) -> None:
    other = registry.add(bundle("other", items=[])).name
    registry.settings.set("layout", {"active": pair[0], "trail": [], "shadow": other, "split": None}, "ann")
    reports: list[dict[str, Any]] = []
    live = Live(registry, engine, shadow=Shadow(lambda _, sums: reports.append(sums), waiting=2))
    live.adopt()
    gate = threading.Event()
    held = next(each for each in engine.opened if each.said["called"] == "other" and not each.closed)

    def stuck(ask: Any, value: Any) -> Any:
        gate.wait(10)
        raise RuntimeError("out of order")

    held.recommend = stuck
    with live.serving() as serving:
        ranked = serving.engine.recommend(ask("u"), None)
        taken = [live.shadow(ask("u"), ranked, serving) for _ in range(20)]
    assert sum(taken) <= 4
    gate.set()
    live.close()
    summary = merged(reports)[0].summary()
    assert summary["failed"] == sum(taken)
    assert summary["left_out"] == 20 - sum(taken)
    assert all(each.closed for each in engine.opened)

"""A retraining reads what happened and nobody who was forgotten, is judged on the same rows as the serving model, and is promoted only when it is not worse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from banyan.bundle import Bundle
from banyan.errors import BundleError, ConfigError, StateError
from banyan.serving import freshness
from banyan.serving.freshness import DONE, RETRAIN, TRAINING, Judged, Retrained, due, keep_fresh, retrain, sentence
from banyan.serving.harvest import again, harvest
from banyan.serving.registry import Checked, Registry
from banyan.serving.state import Event, Journal, journal_at
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store

BEGIN, DAY = 1_700_000_000_000_000, 86_400_000_000
GONE = "u3"


@pytest.fixture
def store(tmp_path: Path, tables: Callable[..., dict[str, pl.DataFrame]], described: Callable[[], dict[str, Any]]) -> Store:
    page = described()
    for name, frame in tables().items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    page["tasks"] = {name: page["tasks"][name] for name in ("bought", "next", "liked")}
    page["samples"] = {name: page["samples"][name] for name in ("viewed", "next", "shown")}
    page["samples"]["shown"]["labels"] = {"liked": "liked"}
    page["training"] = {"epochs": 1, "steps": 4, "batch": 128, "bf16": False}
    (tmp_path / "store.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    return load(tmp_path / "store.yaml")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = journal_at(tmp_path / "state")
    yield found
    found.close()


def live(journal: Journal, count: int = 700, begin: int = 41, days: int = 12, seed: int = 0) -> None:
    """Events of the days after the shop's own log."""
    rng = np.random.default_rng(seed)
    times = BEGIN + begin * DAY + np.sort(rng.integers(0, days * DAY, count))
    users, items = rng.integers(0, 27, count), rng.integers(0, 18, count)
    behaviours = rng.choice(["view", "cart", "buy"], count, p=[0.5, 0.3, 0.2])
    journal.append(
        [Event(f"{seed}/{i}", f"u{users[i]}", f"i{items[i]}", str(behaviours[i]), int(times[i]), scenario=["home", "app"][i % 2]) for i in range(count)]
    )


def test_what_happened_joins_the_log_of_the_shop(store: Store, journal: Journal, tmp_path: Path) -> None:
    live(journal, 50)
    odd = [
        Event("a", "", "i1", "view", BEGIN + 50 * DAY, session="s"),
        Event("b", "u1", None, "view", BEGIN + 50 * DAY),
        Event("c", "u1", "i1", "wave", BEGIN + 50 * DAY),
        Event("d", "u1", "i1", "view", BEGIN + 5 * DAY),
        Event("e", "somebody new", "something new", "view", BEGIN + 50 * DAY),
    ]
    journal.append(odd)
    until = journal.last()
    journal.append([Event("late", "u1", "i1", "view", BEGIN + 60 * DAY)])
    described, found = harvest(store, journal, tmp_path / "work", until)
    assert (found.until, found.events, found.forgotten) == (until, 51, 0)
    assert found.left_out == {"without a user": 1, "without an item": 1, "of an unknown behaviour": 1, "not later than the shop's own log": 1}
    before, after = open_store(store), open_store(described)
    assert before.log is not None
    assert after.log is not None
    assert len(after.log.item) == len(before.log.item) + 51
    assert set(after.scenarios) == {"", "home", "search", "app"}
    assert int(after.log.time.max()) < BEGIN + 60 * DAY
    assert "somebody new" in after.entities["user"].ids
    kept = again(store, journal, tmp_path / "work")
    assert kept == (described, found)


def test_nobody_who_was_forgotten_is_in_the_next_training_data(store: Store, journal: Journal, tmp_path: Path) -> None:
    live(journal, 60)
    journal.forget(GONE)
    described, found = harvest(store, journal, tmp_path / "work", journal.last())
    assert found.forgotten == 1
    after, before = open_store(described), open_store(store)
    assert GONE in before.entities["user"].ids
    assert GONE not in after.entities["user"].ids
    assert len(after.samples["shown"]) < len(before.samples["shown"])
    for path in (tmp_path / "work").rglob("*.parquet"):
        assert not any(GONE in frame.cast(pl.String).to_list() for frame in pl.read_parquet(path).iter_columns() if frame.dtype == pl.String), path
    assert again(store, journal, tmp_path / "work") == (described, found)


def test_a_store_without_events_has_nothing_to_join(store: Store, journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no events"):
        harvest(store.model_copy(update={"events": None}), journal, tmp_path / "work", 0)


def test_a_service_keeps_up_with_what_happens(store: Store, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first model to the second; each trains for a moment."""
    monkeypatch.setattr(freshness, "LEAST", 10)
    registry = Registry(tmp_path / "registry", journal)

    def attempt(**options: Any) -> Retrained:
        return retrain(store, tmp_path / "state", journal, registry, draws=20, most=500, device="cpu", **options)

    first = attempt()
    assert (first.promoted, first.against, first.tasks) == (True, "", ())
    assert "answers now." in sentence(first)
    assert attempt().version == ""  # nothing has happened since

    live(journal)
    second = attempt(margin=0.9)
    active = registry.active()
    assert active is not None
    assert second.promoted, second.reasons
    assert (second.version, second.against, second.events) == (active.name, first.version, 700)
    assert Bundle.load(active.path, device="cpu").facts["through"] == journal.last()
    judged = {each.task: each for each in second.tasks}
    assert set(judged) == {"bought", "next"}  # there is nothing new of the table `shown`
    assert judged["bought"].rows > 30
    assert judged["bought"].low <= judged["bought"].gain <= judged["bought"].high
    told = journal.setting(RETRAIN)[1]
    assert told["version"] == second.version
    assert {each["column"] for each in told["calibration"]} == {"cart", "buy"}
    assert told["drift"]["now"] == 700
    assert next(each for each in told["drift"]["shifts"] if each["feature"] == "scenario")["alarm"]  # `app` is new


@pytest.mark.slow
def test_what_is_worse_or_fails_its_trial_is_not_promoted(store: Store, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, state = Registry(tmp_path / "registry", journal), tmp_path / "state"
    monkeypatch.setattr(freshness, "LEAST", 10)
    second = retrain(store, state, journal, registry, draws=20, most=500, device="cpu")
    live(journal)
    live(journal, 100, begin=54, days=2, seed=1)
    monkeypatch.setattr(freshness, "_beside", lambda gain, rows, margin: Judged(gain.task, gain.metric, rows, 0.5, 0.6, -0.1, -0.2, 0.0, False))
    third = retrain(store, state, journal, registry, draws=20, most=500, device="cpu")
    assert not third.promoted
    assert any("16.7% worse" in reason for reason in third.reasons)
    assert registry.layout()[1].active == second.version
    assert "goes on answering" in sentence(third)
    monkeypatch.undo()

    live(journal, 100, begin=57, days=2, seed=2)
    journal.forget("u5")
    refused = Registry(tmp_path / "registry", journal, lambda candidate, serving, value: Checked(("It answers nonsense.",)))
    killed = state / TRAINING

    def kill(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("banyan.serving.freshness.runs.train", kill)
    with pytest.raises(KeyboardInterrupt):
        retrain(store, state, journal, refused, draws=20, device="cpu", margin=0.9)
    monkeypatch.undo()
    begun = [each for each in killed.iterdir() if not (each / DONE).exists()]
    assert len(begun) == 1
    monkeypatch.setattr(freshness, "LEAST", 10)
    fourth = retrain(store, state, journal, refused, draws=20, device="cpu", margin=0.9)
    assert [each.name for each in killed.iterdir()] == [begun[0].name]  # it went on where it stopped
    assert not fourth.promoted
    assert "It answers nonsense." in " ".join(fourth.reasons)
    kept = Bundle.load(registry.version(fourth.version).path, device="cpu")
    assert "u5" not in kept.stock.ids["user"]
    assert not (begun[0] / "tables").exists()
    assert json.loads((begun[0] / DONE).read_text())["version"] == fourth.version
    assert [each.who for each in journal.changes(RETRAIN)] == [freshness.WHO] * 3


def test_a_margin_is_a_share_of_the_serving_figure() -> None:
    from banyan.evaluation.certainty import Gain
    from banyan.metrics import Interval

    def judged(value: float, rows: int = 1_000) -> bool:
        return freshness._beside(Gain("t", "", "auc", 0.7 + value, 0.7, Interval(value, value - 0.1, value + 0.1), 0.5), rows, 0.01).fine

    assert judged(0.0)
    assert judged(-0.0069)
    assert not judged(-0.0071)
    assert judged(-0.5, rows=50)  # says nothing
    assert judged(0.3)


def test_a_schedule_outlives_restarts_failures_and_clocks(journal: Journal) -> None:
    assert due(journal, 100.0) == 0
    journal.set(RETRAIN, {"at": 1_000 * 1_000_000}, "test")
    assert due(journal, 100.0, now=1_030.0) == 70
    assert due(journal, 100.0, now=5_000.0) == 0
    assert due(journal, 100.0, now=-9e9) == 100
    waits, told, turns = list[float](), list[str](), iter([StateError("The database cannot be reached."), BundleError("broken"), None])

    def attempt() -> Retrained:
        wrong = next(turns)
        if wrong is None:
            raise KeyboardInterrupt
        raise wrong

    with pytest.raises(KeyboardInterrupt):
        keep_fresh(attempt, journal, 86_400.0, told.append, waits.append)
    assert waits == [0.0, 3_600.0, 3_600.0]
    assert told == ["The retraining failed: The database cannot be reached.", "The retraining failed: broken"]

"""Promises of the search: validation only, one objective a task, goes on after a stop, and refuses a space that cannot be."""

from pathlib import Path

import pytest

from banyan.errors import ConfigError
from banyan.evaluation import space as spaces
from banyan.evaluation import tune_report
from banyan.evaluation.trial import Bench
from banyan.evaluation.tune import Losing, LosingTrialError, Search, tune
from banyan.store.load import load
from banyan.store.schema import Store
from tests.training.planted import planted

pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def found(store: Store) -> Search:
    return tune(store, store.folder / "tune", trials=3, share=0.3)


def test_the_store_as_it_is_comes_first_and_every_trial_has_a_value_a_task(found: Search) -> None:
    assert found.trials[0].number == 0
    assert found.trials[0].score == 0
    assert all(set(each.values) == {"same", "like", "other"} for each in found.trials)
    assert len(found.trials) + found.pruned + found.failed == 3


def test_the_front_is_not_beaten(found: Search) -> None:
    for mine in found.trials:
        beaten = any(all(o.values[t] >= mine.values[t] for t in mine.values) and o.values != mine.values for o in found.trials)
        assert mine.front == (not beaten)
    assert found.best.front


def test_the_same_call_goes_on_where_it_stood(store: Store, found: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "fit", lambda *_, **__: pytest.fail("trained again"))
    again = tune(store, found.folder, trials=3, share=0.3)
    assert again.trials == found.trials
    with pytest.raises(ConfigError, match="another description, space or share"):
        tune(store, found.folder, trials=3, share=0.5)


def test_test_rows_are_never_asked(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "questions", lambda *_, **__: pytest.fail("looked at the test part"))
    assert tune(store, tmp_path, trials=1, share=0.1).trials


def test_what_is_found_can_be_used(found: Search) -> None:
    text = tune_report.write(found).read_text(encoding="utf-8")
    assert "Pareto" in text
    whole = load(found.folder / tune_report.WHOLE)
    assert whole.training.lr == found.recommended.training.lr
    assert whole.model == found.recommended.model
    assert tune_report.table(found).row_count >= 1


def test_a_search_needs_an_end(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs an end"):
        tune(store, tmp_path)


def test_a_usual_space_begins_where_the_store_stands(store: Store) -> None:
    room = spaces.usual(store)
    here = room.here(store)
    assert here["training.lr"] == store.training.lr
    assert here["model.sharing"] == "bottom"
    assert here["sharing.bottom.layers"] == "[4]"
    assert room.of(store, here).model.sharing["layers"] == [4]  # type: ignore[index]
    assert "sharing.ple.own" in room.asked({"model.sharing": "ple"})
    assert not [key for key in room.asked({"model.sharing": "bottom"}) if key.startswith("sharing.ple")]
    changed = room.of(store, {"model.sharing": "ple", "sharing.ple.own": 2, "training.lr": 0.5, "model.width": 8})
    assert changed.model.sharing == {"part": "ple", "own": 2}
    assert (changed.training.lr, changed.model.width) == (0.5, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training.lrr: [1, 2]", "'training.lrr' cannot be searched. Did you mean 'training.lr'"),
        ("sharing.ple.owm: [1, 2]", "no option 'owm'. Did you mean 'own'"),
        ("training.lr: {low: 2}", "has low and high, or is a list"),
        ("training.lr: {low: 2, high: 1}", "low is at most high"),
        ("training.lr: {low: 0, high: 1, log: true}", "above 0 on a log scale"),
        ("model.length: [5, 10]", "cannot be searched"),
        ("- a", "is a mapping"),
    ],
)
def test_a_space_that_cannot_be_is_refused(text: str, said: str, store: Store, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        spaces.read(tmp_path / "space.yaml", store)


def test_only_a_trial_that_loses_everywhere_is_stopped(store: Store) -> None:
    bench = Bench.read(store, store.folder)
    before = [[{"same": 0.6 + i / 100, "like": 0.7, "other": 0.8}] for i in range(5)]
    worse = {"same": {"auc": 0.5}, "like": {"auc": 0.5}, "other": {"auc": 0.5}}
    with pytest.raises(LosingTrialError):
        Losing(bench, before).epoch(0, worse, 0.0, best=False)
    Losing(bench, before).epoch(0, {**worse, "other": {"auc": 0.9}}, 0.0, best=False)
    Losing(bench, before[:2]).epoch(0, worse, 0.0, best=False)
    Losing(bench, before).epoch(1, worse, 0.0, best=False)

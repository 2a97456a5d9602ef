"""Promises of folds: every id is tested once, no fold trains on what it tests, windows follow each other; a stopped call goes on."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.evaluation import crossval as cross
from banyan.evaluation.crossval import crossval
from banyan.store.schema import Store
from banyan.store.shop import Shop
from banyan.types import TEST, TRAIN, VALID
from tests.training.planted import planted

Page = Callable[[], dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted(tmp_path_factory.mktemp("planted"))


def test_every_user_is_tested_in_one_fold_and_trains_no_fold_that_tests_it(store: Store) -> None:
    folds = list(cross._grouped(store, 4, "user"))
    tested = []
    for fold in folds:
        table = fold.shop.samples["asked"]
        users = {part: set(table.entities["user"][table.part == part].tolist()) for part in (TRAIN, VALID, TEST)}
        assert not users[TEST] & (users[TRAIN] | users[VALID])
        assert not users[VALID] & users[TRAIN]
        assert all(users.values())
        tested += sorted(users[TEST])
    assert sorted(tested) == list(range(1, len(store_ids(folds[0].shop)) + 1))


def store_ids(shop: Shop) -> Any:
    return shop.entities["user"].ids


def test_a_scenario_that_is_left_out_is_the_whole_test_and_nothing_else(store: Store) -> None:
    for fold in cross._scenarios(store, 4, "user"):
        table = fold.shop.samples["asked"]
        assert len(set(table.scenario[table.part == TEST].tolist())) == 1
        assert not set(table.scenario[table.part == TEST].tolist()) & set(table.scenario[(table.part == TRAIN) | (table.part == VALID)].tolist())


def test_rolling_windows_follow_each_other_back_in_time(described: Page, tables: Callable[[], Any], opened: Callable[..., Shop]) -> None:
    page = described()
    del page["samples"]["weekly"], page["tasks"]["demand"]
    shop = opened(tables(), page)
    found = list(cross._rolling(shop.store, 3, "user"))
    cuts = [fold.shop.cut for fold in found]
    assert cuts[0] == shop.cut
    for newer, older in itertools.pairwise(found):
        assert newer.shop.cut is not None
        assert older.shop.cut is not None
        assert older.until == newer.shop.cut[1]
        assert older.shop.cut[1] < newer.shop.cut[1]
        assert older.shop.cut[0] < newer.shop.cut[0]
    table = found[-1].shop.samples["shown"]
    assert table.time is not None
    assert table.time[table.part == TRAIN].max() < found[-1].shop.cut[0]  # type: ignore[index]
    assert "people" not in found[0].tables, "it is split by user"


def test_a_fold_is_fitted_and_judged_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = crossval(store, tmp_path, folds=2, kind="grouped", share=0.2)
    assert len(found.figures) == 2
    spread = cross.summary(found)["same"]["auc"]
    each = [fold["same"]["auc"] for fold in found.figures.values()]
    assert spread["mean"] == pytest.approx(np.mean(each))
    assert spread["sd"] == pytest.approx(np.std(each, ddof=1))
    assert sum(rows["same"] for rows in found.rows.values()) == pl.read_parquet(store.folder / "asked.parquet").height
    assert json.loads((tmp_path / cross.FIGURES).read_text())["summary"]["same"]["auc"]["folds"] == 2
    monkeypatch.setattr(cross, "_fitted", lambda *_: pytest.fail("fitted again"))
    assert cross.plain(crossval(store, tmp_path, folds=2, kind="grouped", share=0.2)) == cross.plain(found)
    assert cross.table(found).row_count == 3


def test_what_is_undefined_enters_no_mean() -> None:
    assert cross._spread([0.5, float("nan"), 0.7]) == pytest.approx({"mean": 0.6, "sd": np.std([0.5, 0.7], ddof=1), "folds": 2})
    assert np.isnan(cross._spread([float("nan")])["mean"])


def test_a_fold_that_has_no_row_to_train_on_is_named(shop: Shop) -> None:
    with pytest.raises(ConfigError, match=r"Fold \d of 9, whose test begins .* before the end, cannot be: .* Take fewer folds"):
        list(cross._rolling(shop.store, 9, "user"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "rolled"}, "no kind of folds 'rolled'"),
        ({"kind": "rolling"}, "split by user. Take --kind grouped"),
        ({"kind": "grouped", "by": "shop"}, "'shop', which is no entity"),
    ],
)
def test_folds_that_cannot_be_are_refused(options: dict[str, Any], said: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        crossval(store, tmp_path, **options)

"""Promises of a comparison of two runs: the same run is no different, other rows are refused, and what is no run is named."""

from pathlib import Path

import polars as pl
import pytest

import banyan
from banyan.errors import ConfigError
from banyan.evaluation import compare as pair
from banyan.evaluation.compare import compare
from banyan.store.schema import Store
from tests.training.planted import planted


def trained(store: Store, name: str, **training: object) -> Path:
    changed = store.model_copy(update={"training": store.training.model_copy(update=training)})
    return banyan.train(changed, store.folder / name, alone=False, simple=False, draws=0, device="cpu").folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def good(store: Store) -> Path:
    return trained(store, "good", epochs=6, seed=1)


@pytest.fixture(scope="module")
def poor(store: Store) -> Path:
    return trained(store, "poor", epochs=1, steps=1, seed=1)


def test_a_trained_run_is_better_than_one_of_a_single_step(good: Path, poor: Path) -> None:
    found = {each.task: each for each in compare(good, poor, draws=50, device="cpu")}
    assert found["same"].interval.value > 0.1
    assert found["same"].verdict == "better"
    turned = {each.task: each for each in compare(poor / "bundle", good, draws=50, device="cpu")}
    assert turned["same"].interval.value == pytest.approx(-found["same"].interval.value)
    assert turned["same"].verdict == "worse"
    assert pair.table(list(found.values())).row_count == 3
    assert pair.plain(list(found.values()))[0]["interval"]["value"] > 0


def test_a_run_is_no_different_from_itself(poor: Path) -> None:
    found = compare(poor, poor, draws=20, device="cpu")
    assert {each.verdict for each in found} == {"no difference"}
    assert {each.interval.value for each in found} == {0.0}


def test_other_rows_and_other_labels_are_refused(store: Store, good: Path, tmp_path: Path) -> None:
    other = planted(tmp_path, seed=3)
    with pytest.raises(ConfigError, match="only runs on the same rows can be compared"):
        compare(good, trained(other, "run", epochs=1, steps=1), device="cpu")
    frame = pl.read_parquet(store.folder / "asked.parquet")
    swapped = planted(tmp_path)
    frame.with_columns(same=1 - pl.col("same")).write_parquet(tmp_path / "asked.parquet")
    with pytest.raises(ConfigError, match=r"same: the labels of its .* rows differ"):
        compare(good, trained(swapped, "swapped", epochs=1, steps=1), device="cpu")


def test_what_is_no_run_is_named(good: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no run"):
        compare(good, tmp_path)
    with pytest.raises(ConfigError, match="no part 'tset'"):
        compare(good, good, part="tset")

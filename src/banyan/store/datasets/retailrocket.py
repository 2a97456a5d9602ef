"""RetailRocket: views, carts and transactions of a shop over four and a half months, with properties of items that change from week to week."""

from typing import ClassVar

import polars as pl

from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Separated, respelled
from banyan.store.datasets._writer import Writer

EVENTS, TREE, PROPERTIES = "events.csv", "category_tree.csv", ("item_properties_part1.csv", "item_properties_part2.csv")
BEHAVIOURS = {"view": "view", "addtocart": "cart", "transaction": "purchase"}
KEPT = ("categoryid", "available")  # the two properties whose names are not hashed


class RetailRocket(Dataset):
    """Download the four CSV files from https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset and unpack them.

    `events.csv`: timestamp (ms), visitorid, event (view, addtocart, transaction), itemid, transactionid. `item_properties_part1.csv` and
    `_part2.csv`: timestamp, itemid, property, value, one line for each week in which a value is new; all names but `categoryid` and `available` are
    hashed, and those two are kept, as states of the item from the time they were written (a state is never known before it). `category_tree.csv`:
    categoryid, parentid.

    Split: none comes with the set; the page cuts by time.
    """

    title: ClassVar[str] = "RetailRocket"
    url: ClassVar[str] = "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"
    licence: ClassVar[str] = "CC BY-NC-SA 4.0"
    paper: ClassVar[str] = "Zykov, Artem and Alexander, Retailrocket recommender system dataset, Kaggle 2022, doi 10.34740/KAGGLE/DSV/4471234"
    size: ClassVar[str] = "2,756,101 events, 1,407,580 visitors, 20,275,902 properties of 417,053 items"
    split: ClassVar[str] = "by time: the last two weeks judge, the two before them choose (none is published with the set)"
    needs: ClassVar[str] = f"{EVENTS}, {PROPERTIES[0]}, {PROPERTIES[1]} and {TREE}"
    rows = {EVENTS: 2_756_101}

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: events, items (several states an item)."""
        whole, words = pl.Int64, pl.String
        log = {"timestamp": whole, "visitorid": whole, "event": words, "itemid": whole}
        published = Separated(source.one(EVENTS), log, needed=tuple(log), header=True, words={"event": BEHAVIOURS})
        behaviour = respelled("event", BEHAVIOURS).alias("behaviour")
        named = published.scan().select(pl.col("visitorid").alias("user"), pl.col("itemid").alias("item"), behaviour, _time())
        events = writer.table("events", writer.some(named, "user"), [published])
        form = {"timestamp": whole, "itemid": whole, "property": words, "value": words}
        parts = [Separated(source.one(name), form, needed=("timestamp", "itemid", "property"), header=True) for name in PROPERTIES]
        kept = [part.scan().filter(pl.col("property").is_in(KEPT)) for part in parts]
        raw = writer.table("properties", pl.concat(kept).select(pl.col("itemid").alias("item"), _time(), "property", "value"), parts)
        tree = Separated(source.one(TREE), {"categoryid": words, "parentid": words}, needed=("categoryid",), header=True)
        parents = tree.scan().select(pl.col("categoryid").alias("category"), pl.col("parentid").alias("parent"))
        states = _states(raw.join(events.select("item").unique(), on="item", how="semi"))
        writer.table("items", states.join(parents, on="category", how="left").sort("item", "time"))
        return PAGE


def _time() -> pl.Expr:
    return pl.from_epoch("timestamp", time_unit="ms").cast(pl.Datetime("us")).alias("time")


def _states(raw: pl.LazyFrame) -> pl.LazyFrame:
    """One row an item and moment at which its category or availability is another than before: item, time, category, available."""
    value = {name: pl.col("value").filter(pl.col("property") == name).last() for name in KEPT}
    wide = raw.group_by("item", "time").agg(value["categoryid"].alias("category"), value["available"].alias("available")).sort("item", "time")
    known = wide.with_columns(pl.col("category", "available").forward_fill().over("item"))
    changed = pl.any_horizontal(pl.col("category", "available").ne_missing(pl.col("category", "available").shift(1).over("item")))
    return known.filter(changed | (pl.col("item") != pl.col("item").shift(1)).fill_null(True))


PAGE = """
store: retailrocket
entities:
  user: {id: user, least: 2}                            # most visitors come once: those in one training event share a vector
  item:
    table: items.parquet                                # a row for each state of an item, from when it was written
    id: item
    valid_from: time
    features: {category: category, parent: category, available: category}
    least: 3
events: {table: events.parquet, user: user, item: item, behaviour: behaviour, time: time}

samples:
  # One row a view: whether the visitor put the item into the cart, or bought it, within a week.
  viewed: {recipe: outcomes, after: view, within: 7d, labels: {cart: cart, buy: purchase}}
  # What a visitor who has a past turns to next.
  next:   {recipe: next_item, behaviours: [view, cart, purchase]}

tasks:
  bought: {kind: funnel, samples: viewed, stages: [cart, buy]}
  next:   {kind: ranking, samples: next}

split: {by: time, valid: 14d, test: 14d}                # of each part, the rows of its first week are judged: the others' week is not over
model: {width: 16, sharing: mmoe, balancing: uncertainty, history: target, length: 30}
training: {epochs: 5, batch: 4096}
"""

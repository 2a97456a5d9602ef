"""Taobao UserBehavior: views, carts, favourites and purchases of a million users over nine days."""

from datetime import UTC, datetime
from typing import ClassVar

import polars as pl

from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Separated, respelled
from banyan.store.datasets._writer import Writer

FILE = "UserBehavior.csv"
BEHAVIOURS = {"pv": "view", "cart": "cart", "fav": "favourite", "buy": "purchase"}
FIRST, END = datetime(2017, 11, 24, 16, tzinfo=UTC), datetime(2017, 12, 3, 16, tzinfo=UTC)  # 2017-11-25 to 2017-12-03 in Beijing


class Taobao(Dataset):
    """Download `UserBehavior.csv.zip` from https://tianchi.aliyun.com/dataset/649 and unpack it.

    One line an event, without a header: user, item, category (whole numbers), behaviour (pv, cart, fav, buy), Unix time in seconds. The
    users are about a million, drawn at random from those who were active from 25 November to 3 December 2017, Beijing time. Some lines have times far outside
    of these days; they are left out and counted. An item that stands with several categories keeps the largest number.

    Split: none comes with the set (Zhu et al., KDD 2018, draw users, and papers differ in how they cut it); the page cuts by time.
    """

    title: ClassVar[str] = "Taobao UserBehavior"
    url: ClassVar[str] = "https://tianchi.aliyun.com/dataset/649"
    licence: ClassVar[str] = "as Tianchi states them on the set's page; for research"
    paper: ClassVar[str] = "Zhu et al., Learning Tree-based Deep Model for Recommender Systems, KDD 2018"
    size: ClassVar[str] = "100,150,807 events, 987,994 users, 4,162,024 items, 9,439 categories"
    split: ClassVar[str] = "by time: the last two days judge, the two before them choose (none is published with the set)"
    needs: ClassVar[str] = FILE
    rows = {FILE: 100_150_807}

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: events, items."""
        schema = {"user": pl.Int64, "item": pl.Int64, "category": pl.Int64, "behaviour": pl.String, "seconds": pl.Int64}
        published = Separated(source.one(FILE), schema, needed=tuple(schema), words={"behaviour": BEHAVIOURS})
        time = pl.from_epoch("seconds", time_unit="s").cast(pl.Datetime("us")).alias("time")
        behaviour = respelled("behaviour", BEHAVIOURS).alias("behaviour")
        inside = pl.col("seconds").is_between(int(FIRST.timestamp()), int(END.timestamp()), closed="left")
        frame = writer.some(published.scan().filter(inside), "user").select("user", "item", "category", behaviour, time)
        events = writer.table("events", frame, [published])
        writer.left_out("events", "their times are not from 2017-11-25 to 2017-12-03, Beijing time")
        writer.table("items", events.group_by("item").agg(pl.col("category").max()).sort("item"))
        return PAGE


PAGE = """
store: taobao userbehavior
entities:
  user: {id: user}                                      # no table of its own: the ids that the events name
  item: {table: items.parquet, id: item, features: {category: category}, least: 3}   # items in fewer than 3 training events share one vector
events: {table: events.parquet, user: user, item: item, behaviour: behaviour, time: time}

samples:
  # One row a view: whether the user put the item into the cart, kept it as a favourite, or bought it within a day.
  viewed: {recipe: outcomes, after: view, within: 1d, labels: {cart: cart, favourite: favourite, buy: purchase}}
  # What the user buys next, of all items. For every touch: behaviours: [view, cart, favourite, purchase].
  next:   {recipe: next_item, behaviours: purchase}

tasks:
  bought:    {kind: funnel, samples: viewed, stages: [cart, buy]}
  favourite: {kind: binary, samples: viewed, label: favourite}
  next:      {kind: ranking, samples: next}

split: {by: time, valid: 2d, test: 2d}                  # a row is judged when its day is over, so two days leave one of rows
model: {width: 16, sharing: mmoe, balancing: uncertainty, history: target, length: 50, snapshot: 1d}
training: {epochs: 3, batch: 4096}                      # a first try: banyan train store.yaml --set training.steps=200
"""

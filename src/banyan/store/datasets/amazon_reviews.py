"""Amazon Reviews 2023: ratings of products in 33 categories from 1996 to 2023, with what is known of the products."""

import re
from pathlib import Path
from typing import ClassVar

import polars as pl

from banyan.errors import DataError
from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import JsonLines, Published, Separated
from banyan.store.datasets._writer import Writer

RATING = {"user_id": pl.String, "parent_asin": pl.String, "rating": pl.Float64, "timestamp": pl.Int64}
META = dict.fromkeys(("parent_asin", "title", "main_category", "store", "price"), pl.String) | {"categories": pl.List(pl.String)}
VALID, TEST = 1_628_643_414_042, 1_658_002_729_837  # ms: the paper's moments, at which 80 % and 90 % of all categories' reviews are over
PARTS = ("train", "valid", "test")
LIKED = 4  # stars from which a product counts as liked


class AmazonReviews(Dataset):
    """Download from https://amazon-reviews-2023.github.io, for each category wanted, its ratings and `meta_<Category>.jsonl.gz`.

    Ratings are one of: `<Category>.train.csv.gz`, `.valid.csv.gz` and `.test.csv.gz` (the benchmark's parts), `<Category>.csv.gz` (5-core or 0-core ratings;
    user_id, parent_asin, rating, timestamp in ms, with or without a header, the parts also with a history that is not read), or `<Category>.jsonl.gz`
    (the raw reviews; repeated ones stay). Of several the first in this order is read. Files may be unpacked. `meta_` files are JSON lines; title,
    main_category, store, price and categories are read; average_rating and rating_number are of the day of the crawl and are left out. Without
    the `meta_` file items are known by their id alone. Several categories make one store with the category as scenario.

    Split: the paper's two moments in time (Hou et al., 2024, `timestamp`), to the second, counted back from the last review of these files; where a
    category does not reach them, 10 % and 10 %. Parts of `last_out` become a split that leaves one out, which sets aside the same reviews.
    """

    title: ClassVar[str] = "Amazon Reviews 2023"
    url: ClassVar[str] = "https://amazon-reviews-2023.github.io"
    licence: ClassVar[str] = "none is stated for the data; its authors offer it for research"
    paper: ClassVar[str] = "Hou et al., Bridging Language and Items for Retrieval and Recommendation, arXiv 2403.03952, 2024"
    size: ClassVar[str] = "571.54 million reviews, 54.51 million users, 48.19 million items in 33 categories"
    split: ClassVar[str] = "of Hou et al., 2024: its moments in time, or leave one out where its last_out parts are given"
    needs: ClassVar[str] = "<Category>.train/.valid/.test.csv, <Category>.csv or <Category>.jsonl, and meta_<Category>.jsonl"

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: events, items."""
        found = _ratings(source)
        frames = [_events(each).with_columns(pl.lit(name).alias("category")) for name, files in found.items() for each in files]
        events = writer.table("events", writer.some(pl.concat(frames), "user"), [each for files in found.values() for each in files])
        page = PAGE if len(found) > 1 else PAGE.replace(", scenario: category", "")
        metas = {match[1]: path for match, path in source.matching(r"meta_(.+)\.jsonl")}
        if absent := [name for name in found if name not in metas]:
            writer.notes.append(f"There is no meta_{absent[0]}.jsonl: items of {', '.join(absent)} are known by their id alone.")
        if chosen := [JsonLines(metas[name], META, ("parent_asin",)) for name in found if name in metas]:
            items = pl.concat([_items(each) for each in chosen]).unique("item", keep="first")
            writer.table("items", items.join(events.select("item").unique(), on="item", how="semi").sort("item"), chosen)
        else:
            page = re.sub(r"item: \{table.*", "item: {id: item, least: 2}", page)
        last = [files[-1].scan().select(pl.col("timestamp").min()).collect().item() for files in found.values() if len(files) == len(PARTS)]
        return page.replace("SPLIT", LAST_OUT if last and min(last) < TEST else _split(events))


def _ratings(source: Folder) -> dict[str, list[Published]]:
    """Category -> the files of its ratings. Raises ConfigError where there are none, or only some of the parts."""
    parts: dict[str, dict[str, Path]] = {}
    for match, path in source.matching(r"(.+)\.(train|valid|test)\.csv"):
        parts.setdefault(match[1], {})[match[2]] = path
    found: dict[str, list[Published]] = {}
    for name, those in parts.items():
        if absent := [part for part in PARTS if part not in those]:
            raise source.missing(f"{name}.{absent[0]}.csv")
        found[name] = [Rated(those[part]) for part in PARTS]
    for match, path in source.matching(r"(.+)(?<!\.train)(?<!\.valid)(?<!\.test)\.csv"):
        found.setdefault(match[1], [Rated(path)])
    for match, path in source.matching(r"(?!meta_)(.+)\.jsonl"):
        found.setdefault(match[1], [JsonLines(path, RATING, tuple(RATING))])
    if not found:
        raise source.missing("<Category>.csv or <Category>.jsonl")
    return found


class Rated(Separated):
    """user_id, parent_asin, rating, timestamp and perhaps a history, with or without a header."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, RATING, needed=tuple(RATING))

    def begin(self, first: bytes) -> bool:
        """Whether there is a header; one line tells how many fields there are."""
        fields = self._split(first)
        self.fields = dict(self.schema) | ({"history": pl.String} if len(fields) == len(RATING) + 1 else {})
        if fields[0] == "user_id" and fields[: len(RATING)] != list(RATING):
            raise DataError(f"{self.path}, line 1: the header is {', '.join(fields)}; it should begin with {', '.join(RATING)}.")
        return fields[0] == "user_id"


def _events(published: Published) -> pl.LazyFrame:
    time = pl.from_epoch("timestamp", time_unit="ms").cast(pl.Datetime("us")).alias("time")
    liked = (pl.col("rating") >= LIKED).cast(pl.Int8).alias("liked")
    behaviour = pl.when(pl.col("rating") >= LIKED).then(pl.lit("like")).otherwise(pl.lit("rate")).alias("behaviour")
    return published.scan().select(pl.col("user_id").alias("user"), pl.col("parent_asin").alias("item"), behaviour, time, "rating", liked)


def _items(published: Published) -> pl.LazyFrame:
    price = pl.col("price").str.replace_all(",", "").str.extract(r"(\d+(?:\.\d+)?)").cast(pl.Float64)
    return published.scan().select(pl.col("parent_asin").alias("item"), "title", "main_category", "store", price, "categories")


def _split(events: pl.LazyFrame) -> str:
    """A split by time as it stands in the page."""
    times = pl.col("time").dt.epoch("ms")
    first, last = events.select(times.min().alias("first"), times.max().alias("last")).collect().row(0)
    if not first < VALID < TEST < last:
        return "{by: time, valid: 0.1, test: 0.1}                # these reviews do not reach from before to after the paper's moments"
    test, valid = -(-(last - TEST) // 1000), (TEST - VALID) // 1000
    return f"{{by: time, valid: {valid}s, test: {test}s}}            # at the moments of the paper, counted back from the last review"


LAST_OUT = "{by: leave_one_out}                              # the paper's last_out: the last review judges, the one before it chooses"

PAGE = """
store: amazon reviews
entities:
  user: {id: user}
  item: {table: items.parquet, id: item, least: 2, features: {title: text, main_category: category, store: category, price: number, categories: tags}}
# Behaviours: like (4 stars and more) and rate (fewer).
events: {table: events.parquet, user: user, item: item, behaviour: behaviour, time: time, value: rating, scenario: category}

samples:
  # One row a review: how many stars, and whether the product is liked. A row's own stars are in the history of later rows only.
  rated: {table: events.parquet, user: user, item: item, time: time, scenario: category, labels: {rating: rating, liked: liked}}
  # What a user reviews next.
  next:  {recipe: next_item, behaviours: [like, rate]}

tasks:
  liked:  {kind: binary, samples: rated, label: liked}
  rating: {kind: graded, samples: rated, label: rating}
  next:   {kind: ranking, samples: next}

split: SPLIT
model: {width: 16, sharing: mmoe, balancing: uncertainty, history: target, length: 50}
training: {epochs: 5, batch: 4096}
"""

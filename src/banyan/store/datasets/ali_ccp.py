"""Ali-CCP: impressions of Taobao's recommendations with clicks and conversions, the set of ESMM."""

from typing import ClassVar

import polars as pl

from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Separated
from banyan.store.datasets._writer import SEED, Writer, draw

PARTS = ("train", "test")
SKELETON, COMMON = "sample_skeleton_{}.csv", "common_features_{}.csv"
BETWEEN, OF, WORTH = "\x01", "\x02", "\x03"  # between features, between field and feature, between feature and value
PROFILE = {
    "user": "101",
    "profile": "121",
    "profile_group": "122",
    "gender": "124",
    "age": "125",
    "spending": "126",
    "spending_level": "127",
    "occupation": "128",
    "geography": "129",
}
PAST = {"categories_before": "109_14", "shops_before": "110_14", "brands_before": "127_14", "intentions_before": "150_14"}
ITEM = {"category": "206", "shop": "207", "brand": "216"}
CROSS = {"user_category": "508", "user_shop": "509", "user_brand": "702"}  # what the user did before with the item's category, shop, brand
SEVERAL = {"intentions": "210", "user_intentions": "853"}
MOST = 20  # of a user's past, those with the largest values
VALID = 0.05  # share of the visits of the training part that choose


class AliCCP(Dataset):
    r"""Download `sample_train.tar.gz` and `sample_test.tar.gz` from https://tianchi.aliyun.com/dataset/408 and unpack them.

    `sample_skeleton_train.csv` and `_test.csv`, without a header: sample, click, conversion, index of the common features, number of features, features.
    `common_features_train.csv` and `_test.csv`: index, number of features, features. Features are `field \x02 feature \x03 value` with `\x01` between them.
    Fields: 101 user, 121 to 129 profile, 109_14, 110_14, 127_14, 150_14 what the user did before by category, shop, brand, intention; 205 item, 206
    category, 207 shop, 210 intentions, 216 brand; 508, 509, 702, 853 both together; 301 scene. Common features become an entity, `visit`, stored once;
    of what a user did before the 20 largest are kept. A conversion without a click is left out, as papers do.

    Split: train and test as published (Ma et al., ESMM, SIGIR 2018); 5 % of the training visits are set aside to choose by.
    Published bars, test AUC: ESMM .6856 for conversion among the clicked, .6532 for click and conversion over all rows (its table 2).
    """

    title: ClassVar[str] = "Ali-CCP"
    url: ClassVar[str] = "https://tianchi.aliyun.com/dataset/408"
    licence: ClassVar[str] = "as Tianchi states them on the set's page; for research"
    paper: ClassVar[str] = "Ma et al., Entire Space Multi-Task Model, SIGIR 2018"
    size: ClassVar[str] = "42,300,135 + 43,016,840 impressions, about 400,000 users, 4.3 million items"
    split: ClassVar[str] = "train and test as published (Ma et al., SIGIR 2018); 5 % of the training visits choose"
    needs: ClassVar[str] = ", ".join(form.format(part) for part in PARTS for form in (SKELETON, COMMON))
    rows = {SKELETON.format("train"): 42_300_135, SKELETON.format("test"): 43_016_840}

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: visits, impressions, items."""
        schema = {"index": pl.String, "count": pl.Int64, "features": pl.String}
        common = {part: Separated(source.one(COMMON.format(part)), schema, needed=("index",)) for part in PARTS}
        frames = [writer.some(each.scan(), "index").select(pl.lit(part).alias("part"), "index", *_profile()) for part, each in common.items()]
        visits = writer.table("visits", pl.concat(frames).with_row_index("visit"), list(common.values()))
        schema = {"sample": pl.Int64, "click": pl.Int8, "conversion": pl.Int8, **schema}
        needed = ("sample", "click", "conversion", "index", "features")
        shown = {part: Separated(source.one(SKELETON.format(part)), schema, needed=needed) for part in PARTS}
        impressions = pl.concat([self._impressions(each, part, visits) for part, each in shown.items()])
        rows = writer.table("impressions", impressions, list(shown.values()))
        writer.left_out("impressions", "they convert without a click, or their common features are in no file")
        numbered = rows.with_row_index("row")
        first = numbered.filter(pl.col("item").is_not_null()).group_by("item").agg(pl.col("row").min()).select("row")  # numbers only: items are millions
        writer.table("items", numbered.join(first, on="row", how="semi", maintain_order="left").select("item", *ITEM, "intentions"))
        return PAGE.replace("PROFILE", ", ".join(f"{name}: category" for name in PROFILE)).replace("PAST", ", ".join(f"{name}: tags" for name in PAST))

    def _impressions(self, published: Separated, part: str, visits: pl.LazyFrame) -> pl.LazyFrame:
        """One row an impression, with the number of its visit in place of the index."""
        mine = visits.filter(pl.col("part") == part).select("index", "visit")
        rows = published.scan().filter((pl.col("click") == 1) | (pl.col("conversion") == 0)).with_columns(_led())
        rows = rows.join(mine, on="index", how="inner", maintain_order="left")
        cross = [_one(field).alias(name) for name, field in CROSS.items()]
        strengths = [_one(field, value=True).cast(pl.Float32, strict=False).alias(f"{name}_strength") for name, field in CROSS.items()]
        found = [_one("205").alias("item"), *(_one(field).alias(name) for name, field in ITEM.items()), *cross, *strengths]
        several = [_several(field).alias(name) for name, field in SEVERAL.items()]
        valid = (draw("visit", SEED + 1) < VALID) & (part == "train")
        chosen = pl.when(valid).then(pl.lit("valid")).otherwise(pl.lit(part)).alias("part")
        return rows.select("visit", "click", "conversion", *found, *several, _one("301").alias("scene"), chosen)


def _led() -> pl.Expr:
    """The features, each with the sign that stands between features before it."""
    return (pl.lit(BETWEEN) + pl.col("features")).alias("features")


def _one(field: str, *, value: bool = False) -> pl.Expr:
    """The feature of a field that has one, or its value."""
    return pl.col("features").str.extract(f"{BETWEEN}{field}{OF}([^{WORTH}]*){WORTH}([^{BETWEEN}]*)", 2 if value else 1)


def _several(field: str) -> pl.Expr:
    """The features of a field that has several."""
    found = pl.col("features").str.extract_all(f"{BETWEEN}{field}{OF}[^{WORTH}]*")
    return found.list.eval(pl.element().str.slice(len(field) + 2))


def _profile() -> list[pl.Expr]:
    """What the common features say of the user."""
    led = pl.lit(BETWEEN) + pl.col("features")
    single = [led.str.extract(f"{BETWEEN}{field}{OF}([^{WORTH}]*)").alias(name) for name, field in PROFILE.items()]
    return [*single, *(_largest(led, field).alias(name) for name, field in PAST.items())]


def _largest(led: pl.Expr, field: str) -> pl.Expr:
    """The features of a field with the largest values, largest first."""
    found = led.str.extract_all(f"{BETWEEN}{field}{OF}[^{BETWEEN}]*")
    value = pl.element().str.extract(f"{WORTH}(.*)").cast(pl.Float32, strict=False)
    return found.list.eval(pl.element().sort_by(value, descending=True, nulls_last=True).head(MOST).str.extract(f"{OF}([^{WORTH}]*)"))


PAGE = """
store: ali-ccp
entities:
  visit:                                                # a user at a moment: what the common features say, stored once for all its impressions
    table: visits.parquet
    id: visit
    embed_id: false                                     # a visit never comes again; the user does
    features: {PROFILE, PAST}
  item: {table: items.parquet, id: item, least: 3, features: {category: category, shop: category, brand: category, intentions: tags}}

samples:
  # One row an impression. Conversion is a click and a purchase, over all rows.
  shown:
    table: impressions.parquet
    visit: visit
    item: item
    scenario: scene
    labels: {click: click, conversion: conversion}
    split: {by: given, column: part}
    features:                                           # what the user did before with the category, shop, brand and intentions of this item
      user_category: category
      user_shop: category
      user_brand: category
      user_intentions: tags
      user_category_strength: number
      user_shop_strength: number
      user_brand_strength: number

tasks:
  bought: {kind: funnel, samples: shown, stages: [click, conversion]}

model: {width: 16, sharing: mmoe, balancing: fixed, history: null, pairs: false, statistics: false}
training: {epochs: 1, batch: 4096}                      # a first try: banyan train store.yaml --set training.steps=500
"""

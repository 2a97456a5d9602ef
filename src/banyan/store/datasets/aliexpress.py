"""AliExpress: search logs of several countries, with what was clicked and bought of the products shown."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from banyan.errors import ConfigError
from banyan.store.datasets import Dataset
from banyan.store.datasets._folder import Folder
from banyan.store.datasets._text import Published, Separated
from banyan.store.datasets._writer import SEED, Writer, draw

COUNTRIES = ("NL", "ES", "FR", "US", "RU")
PARTS = ("train", "test")
VALID = 0.05  # share of the training searches that choose
BARS = {"NL": (0.7292, 0.8615), "ES": (0.7299, 0.8913), "FR": (0.7276, 0.8813), "US": (0.7138, 0.8758)}  # test AUC of click, of click and buy
OF_SEARCH = {"categorical": range(1, 10), "numerical": range(1, 24)}  # of user and query, the same for all products of a search
OF_PRODUCT = {"categorical": range(10, 17), "numerical": range(24, 64)}
USER_FIELDS = {**{f"categorical_{i}": i + 1 for i in range(1, 8)}, "categorical_8": 32, "categorical_9": 33, **{f"numerical_{i}": i + 8 for i in range(1, 24)}}
ITEM_CODES = (19, 34, 35, 36, 40, 41, 42)
ITEM_NUMBERS = tuple(i for i in range(2, 49) if i not in ITEM_CODES)
ITEM_FIELDS = {f"categorical_{i + 10}": at for i, at in enumerate(ITEM_CODES)} | {f"numerical_{i + 24}": at for i, at in enumerate(ITEM_NUMBERS)}
USER_WIDTH, ITEM_WIDTH = 33, 49
SHOWN = 2  # what the last field of a product says when it was bought; 1: clicked; 0: shown only


class AliExpress(Dataset):
    """Download `aliexpress_<country>_datasets.zip` from https://tianchi.aliyun.com/dataset/74690 and unpack it, and the four archives in it.

    As published: `<country>_user_train.csv`, `<country>_item_train.csv` and the same of `test`, without headers. A user line is a search: its id and 32
    features of user and query. An item line is a product shown: the id of its search, 47 features, and 0 (shown), 1 (clicked) or 2 (bought). As the
    papers merge them: `AliExpress_<country>/train.csv` and `test.csv` with the header search_id, categorical_1 to _16, numerical_1 to _63, click,
    conversion; read as well, and called so in both cases. No feature has a name. Searches become an entity, stored once. Several countries make one
    store with the country as scenario; for one country, `--from` is its folder.

    Split: train and test as published, cut in time (Li et al., CIKM 2020). 5 % of the training searches are set aside to choose by: the
    papers that publish no validation part choose on the test part.

    Published bars, test AUC over all rows of click / click and buy: NL .7292 / .8615, ES .7299 / .8913, FR .7276 / .8813, US .7138 / .8758.
    `python -m benchmarks.aliexpress --data FOLDER` compares with them.
    """

    title: ClassVar[str] = "AliExpress search logs"
    url: ClassVar[str] = "https://tianchi.aliyun.com/dataset/74690"
    licence: ClassVar[str] = "as Tianchi states them on the set's page; for research"
    paper: ClassVar[str] = "Li et al., Improving Multi-Scenario Learning to Rank in E-commerce by Exploiting Task Relationships in the Label Space, CIKM 2020"
    size: ClassVar[str] = "NL 12,157,895 + 5,559,302 products shown; ES, FR and US of the same order; RU larger"
    split: ClassVar[str] = "train and test as published (Li et al., CIKM 2020), cut in time; 5 % of the training searches choose"
    needs: ClassVar[str] = "<country>_user_train.csv, _item_train.csv, _user_test.csv and _item_test.csv, or train.csv and test.csv in AliExpress_<country>"
    rows = {"NL train": 12_157_895, "NL test": 5_559_302}

    def write(self, source: Folder, writer: Writer) -> str:
        """Tables: searches, shown."""
        logs = list(_logs(source))
        reads = [each.shown for each in logs]
        searches = pl.concat([each.searches() for each in logs])
        kept = writer.table("searches", writer.some(searches, "search"), [each.user or each.shown for each in logs])
        shown = pl.concat([each.rows() for each in logs])
        writer.table("shown", shown.join(kept.select("search"), on="search", how="semi", maintain_order="left"), reads)
        writer.left_out("shown", "their search is in no file of searches")
        page = PAGE if len({each.country for each in logs}) > 1 else PAGE.replace("    scenario: country", "    # scenario: country, where there are several")
        return page.replace("SEARCH", _described(OF_SEARCH)).replace("PRODUCT", _described(OF_PRODUCT))


@dataclass(frozen=True)
class _Log:
    """One part of one country: searches and what they showed; where `user` is None, both are in one file."""

    country: str
    part: str
    shown: Published
    user: Published | None

    def searches(self) -> pl.LazyFrame:
        """One row a search."""
        frame = (self.user or self.shown).scan().select(self._key(), *_columns(OF_SEARCH))
        return frame if self.user else frame.group_by("search").first().sort("search")

    def rows(self) -> pl.LazyFrame:
        """One row a product shown."""
        valid = (draw("search", SEED + 1) < VALID) & (self.part == "train")
        part = pl.when(valid).then(pl.lit("valid")).otherwise(pl.lit(self.part)).alias("part")
        clicks = [(pl.col("feedback") >= 1).alias("click"), (pl.col("feedback") >= SHOWN).alias("conversion")] if self.user else [pl.col("click", "conversion")]
        labels = [each.cast(pl.Int8) for each in clicks]
        return self.shown.scan().select(self._key(), *_columns(OF_PRODUCT), *labels, pl.lit(self.country).alias("country")).with_columns(part)

    def _key(self) -> pl.Expr:
        """The search's id, another one in each country and part."""
        number = COUNTRIES.index(self.country) * len(PARTS) + PARTS.index(self.part) if self.country in COUNTRIES else PARTS.index(self.part)
        return (pl.col("search_id") * (len(COUNTRIES) * len(PARTS)) + number).alias("search")


def _logs(source: Folder) -> Iterator[_Log]:
    """Every country's parts. Raises ConfigError where one lacks a file."""
    merged = {_country(path): path for _, path in source.matching(r"train\.csv")}
    raw = {match[1]: path for match, path in source.matching(r"(nl|es|fr|us|ru)_item_train\.csv")}
    if not merged and not raw:
        raise source.missing("<country>_item_train.csv, or train.csv")
    if len(merged) < len(source.matching(r"train\.csv")):
        raise ConfigError(f"{source.path} holds several files train.csv, and their folders do not name its country; call them AliExpress_NL and so on.")
    for country, path in merged.items():
        for part in PARTS:
            beside = source.only(f"{path.parent.name}/{part}.csv", [each for _, each in source.matching(rf"{part}\.csv") if each.parent == path.parent])
            yield _Log(country, part, _named(Merged(beside), f"{country} {part}"), None)
    for code in raw:
        for part in PARTS if code.upper() not in merged else ():
            user = _Bare(source.one(f"{code}_user_{part}.csv"), USER_FIELDS, USER_WIDTH)
            item = _Bare(source.one(f"{code}_item_{part}.csv"), ITEM_FIELDS | {"feedback": ITEM_WIDTH}, ITEM_WIDTH)
            yield _Log(code.upper(), part, _named(item, f"{code.upper()} {part}"), user)


def folders(path: Path) -> dict[str, Path]:
    """Country -> the folder of its files, at or below `path`. Raises ConfigError where there is none, or where countries share a folder."""
    source = Folder(path, AliExpress.title, AliExpress.needs, AliExpress.url)
    found = {match[1].upper(): file.parent for match, file in source.matching(r"(nl|es|fr|us|ru)_item_train\.csv")}
    found |= {_country(file): file.parent for _, file in source.matching(r"train\.csv")}
    if not found:
        raise source.missing("<country>_item_train.csv, or train.csv")
    if len(set(found.values())) < len(found):
        raise ConfigError(f"{path} holds the files of {', '.join(found)} in one folder; give each country a folder of its own, to compare each by itself.")
    return found


def _named(published: Published, label: str) -> Published:
    published.label = label
    return published


def _country(path: Path) -> str:
    """The country that the folders of a file name; `here` where they name none."""
    words = [word for folder in reversed(path.parent.parts) for word in re.split(r"[^A-Za-z]+", folder)]
    return next((word for word in words if word in COUNTRIES), "here")


class Merged(Separated):
    """Searches and products in one file, with a header."""

    def __init__(self, path: Path) -> None:
        numbers = dict.fromkeys([*_names(OF_SEARCH), *_names(OF_PRODUCT), "click", "conversion"], pl.Float64)
        super().__init__(path, {"search_id": pl.Int64, **numbers}, needed=("search_id", "click", "conversion"), header=True)


class _Bare(Separated):
    """Fields without a header; `fields` are the places, from 1, of those with a name."""

    def __init__(self, path: Path, fields: dict[str, int], width: int) -> None:
        names = {at: name for name, at in fields.items()} | {1: "search_id"}
        schema = {names.get(at, f"field_{at}"): pl.Int64 if at == 1 else pl.Float64 for at in range(1, width + 1)}
        super().__init__(path, schema, needed=("search_id", *(["feedback"] if "feedback" in fields else [])))


def _names(which: dict[str, range]) -> list[str]:
    return [f"{kind}_{i}" for kind, numbers in which.items() for i in numbers]


def _columns(which: dict[str, range]) -> list[pl.Expr]:
    codes, numbers = (pl.col([f"{kind}_{i}" for i in which[kind]]) for kind in ("categorical", "numerical"))
    return [codes.cast(pl.Int32), numbers.cast(pl.Float32)]


def _described(which: dict[str, range]) -> str:
    kinds = {"categorical": "category", "numerical": "number"}
    return ",\n      ".join(", ".join(f"{kind}_{i}: {kinds[kind]}" for i in which[kind]) for kind in which)


PAGE = """
store: aliexpress
entities:
  search:                                               # user and query of a search, stored once for all products that it showed
    table: searches.parquet
    id: search
    embed_id: false                                     # a search never comes again: what it is stands in its features
    features: {
      SEARCH}

samples:
  # One row a product shown. Conversion is a click and a purchase, over all rows.
  shown:
    table: shown.parquet
    search: search
    scenario: country
    labels: {click: click, conversion: conversion}
    split: {by: given, column: part}
    features: {
      PRODUCT}

tasks:
  bought: {kind: funnel, samples: shown, stages: [click, conversion]}

model: {width: 16, sharing: ple, balancing: fixed, history: null, pairs: false, statistics: false}
training: {epochs: 2, batch: 4096, lr: 0.001}           # a first try: banyan train store.yaml --set training.steps=500
"""

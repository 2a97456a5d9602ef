"""What a shop's texts say, kept for searching: the tokens of every item, the words with how often they stand, and which words are asked for alike.

Fitted with the plan and saved in the bundle: the model itself keeps no spelling of any word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from banyan.features import synonyms, tokens
from banyan.features.columns import Layout
from banyan.features.synonyms import Synonym
from banyan.store.shop import EntityFrame, Shop
from banyan.types import TRAIN, Array

ITEM = "item"
MOST = 200_000  # words whose spelling is kept, the commonest; about 60 bytes each in memory
ASKED = 3  # queries that must hold a word before it is kept: what one person typed is not
OFTEN = 3  # times that a run of three or four Chinese characters must stand before it is kept

Bag = tuple[Array, Array]  # (rows + 1,) offsets and the tokens


@dataclass(frozen=True)
class Lexis:
    """The words of a shop. Row numbers are those of the items, row 0 the missing one."""

    bags: Mapping[str, Bag]  # text of the items -> its tokens
    words: list[str] = field(default_factory=list)  # the commonest first
    counts: Array = field(default_factory=lambda: np.zeros((0, 2), np.int64))  # (words, 2): how often items' texts and queries hold each
    synonyms: list[Synonym] = field(default_factory=list)

    def longer(self, rows: int) -> "Lexis":
        """With further items of which no text is known."""
        return replace(self, bags={key: (np.append(offsets, np.full(rows, offsets[-1])), found) for key, (offsets, found) in self.bags.items()})

    def saying(self, frame: pl.DataFrame) -> "Lexis":
        """With the texts of the last rows, as many as the frame has, which had none: they are found from now on, and their words are known."""
        bags = {}
        for key, (offsets, found) in self.bags.items():
            more, fresh = tokens.bag(frame[key])
            bags[key] = np.concatenate([offsets[: len(offsets) - frame.height], more[1:] + offsets[-1]]), np.concatenate([found, fresh])
        items = _counted([tokens.runs(frame[key]) for key in self.bags], OFTEN)
        mine = pl.DataFrame({"text": pl.Series(self.words, dtype=pl.String), "items": self.counts[:, 0], "queries": self.counts[:, 1]})
        both = pl.concat([mine, items.with_columns(queries=pl.lit(0, pl.Int64))]).group_by("text").agg(pl.col("items", "queries").sum())
        words, counts = _kept(both)
        return replace(self, bags=bags, words=words, counts=counts)


def fit(shop: Shop, layouts: Mapping[str, Layout]) -> Lexis | None:
    """The words of a shop's items and queries, and what its judged or clicked pairs of them say; None where items have neither texts nor categories."""
    titles, names = _texts(layouts.get(ITEM)), _named(shop, layouts.get(ITEM))
    if not titles and not names:
        return None
    frame = shop.entities[ITEM].frame
    bags = {key: _blanked(tokens.bag(frame[key])) for key in titles}
    said = [tokens.runs(frame[key][start : start + tokens.CHUNK]) for key in titles for start in range(0, frame.height, tokens.CHUNK)]
    items = _counted([*said, *(_repeated(each) for each in names)], OFTEN)
    asked = [_asked(shop, name, text) for name, text in queries(shop, layouts)]
    queried = _counted([_repeated(each) for each in asked], ASKED).filter(pl.col("items") >= ASKED).rename({"items": "queries"})
    both = items.join(queried, on="text", how="full", coalesce=True).fill_null(0)
    return Lexis(bags, *_kept(both), synonyms.fit(shop, queries(shop, layouts)))


def _named(shop: Shop, layout: Layout | None) -> list[pl.DataFrame]:
    """(text, count) of the values of each category of the items."""
    keys = [key for key, feature in layout.features.items() if feature.kind == "category"] if layout is not None else []
    columns = [shop.entities[ITEM].frame[key].cast(pl.String).drop_nulls().alias("text") for key in keys]
    return [each.value_counts(name="count").with_columns(pl.col("count").cast(pl.Int64)) for each in columns]


def queries(shop: Shop, layouts: Mapping[str, Layout]) -> list[tuple[str, str]]:
    """(entity, text) of what is asked for: things beside users that have a text and stand in one row with an item."""
    named = dict.fromkeys(name for table in shop.samples.values() if ITEM in table.entities or table.targets is not None for name in table.entities)
    return [(name, text) for name in named if name not in ("user", ITEM) for text in _texts(layouts.get(name))[:1]]


def _texts(layout: Layout | None) -> list[str]:
    """Distinct columns of texts: one column may be read in two ways."""
    found: dict[str, str] = {}
    for key, feature in layout.features.items() if layout is not None else ():
        if feature.kind == "text":
            found.setdefault(feature.column or key, key)
    return list(found.values())


def _blanked(found: Bag) -> Bag:
    return np.concatenate([[0], found[0]]), found[1]


def _asked(shop: Shop, name: str, text: str) -> pl.DataFrame:
    """(text, count) of queries, each as often as training rows name it."""
    entity: EntityFrame = shop.entities[name]
    counts = np.zeros(len(entity), np.int64)
    for table in shop.samples.values():
        if name in table.entities:
            counts += np.bincount(table.entities[name][table.part == TRAIN], minlength=len(entity))
    return pl.DataFrame({"text": entity.frame[text].cast(pl.String), "count": counts[1:]}).filter(pl.col("count") > 0)


def _repeated(asked: pl.DataFrame) -> pl.DataFrame:
    """The runs of queries, with how often each was asked."""
    found = tokens.runs(asked["text"])
    return found.with_columns(times=asked["count"].cast(pl.Int64).gather(found["row"]))


def _counted(found: list[pl.DataFrame], least: int) -> pl.DataFrame:
    """(text, items) how often each word, and each run of three or four Chinese characters, stands in runs of texts; the latter at least `least` times."""
    total = pl.DataFrame(schema={"text": pl.String, "items": pl.Int64})
    for each in found:
        each = each if "times" in each.columns else each.with_columns(times=pl.lit(1, pl.Int64))
        parts = [each.filter(~pl.col("han")).select("text", "times")]
        parts += [tokens.grams(each, size).select("text", times=pl.lit(1, pl.Int64)) for size in (3, 4)]
        now = pl.concat(parts).group_by("text").agg(items=pl.col("times").sum())
        total = pl.concat([total, now]).group_by("text").agg(pl.col("items").sum())
    return total.filter(~pl.col("text").str.contains(f"^{tokens.HAN}") | (pl.col("items") >= least))


def _kept(both: pl.DataFrame) -> tuple[list[str], Array]:
    """(The commonest words, (words, 2) their counts)."""
    best = both.with_columns(total=pl.col("items") + pl.col("queries")).sort("total", "text", descending=[True, False]).head(MOST)
    return best["text"].to_list(), best.select("items", "queries").to_numpy().astype(np.int64)

"""The items as people see them: features in the shop's own words, a page at a time. Knows no model and no HTTP.

What the bundle holds of an item is shown as it was read in training: rare values are missing, numbers come back to about six digits, texts are not kept. A
table of the shop's own beside it brings the rest: titles, pictures, whatever its columns say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from banyan.bundle import Bundle
from banyan.errors import ConfigError, DataError
from banyan.features.columns import ID, Layout, Values
from banyan.features.stock import ITEM
from banyan.features.vocabulary import FIRST
from banyan.store import columns, figures
from banyan.store.hints import hint
from banyan.store.schema import Source
from banyan.store.sources import read
from banyan.types import Array

VALUES = 50  # commonest values that are shown of a feature
FACETS = 8  # features whose values are counted
ORDERS = ("popular", "id")


@dataclass(frozen=True)
class Page:
    """Some items in their order."""

    items: list[tuple[str, dict[str, Any]]]
    total: int
    next: int | None  # where the page after it begins
    facets: dict[str, dict[str, int]]


class Catalogue:
    """A bundle's items, with the columns of the shop's own table where there is one."""

    def __init__(self, bundle: Bundle, table: pl.DataFrame | None = None) -> None:
        stock, layout = bundle.stock, bundle.plan.entities[ITEM]
        ids = stock.ids[ITEM]
        newest = np.flatnonzero(stock.current(ITEM)[1 : len(ids) + 1] == np.arange(1, len(ids) + 1)) + 1
        self.key = bundle.store.entities[ITEM].id
        self.kinds = {name: feature.kind for name, feature in layout.features.items()}
        frame = pl.DataFrame([pl.Series(ITEM, ids[newest - 1], dtype=pl.String), *shown(stock.entities[ITEM], layout, bundle.plan.books, newest)])
        self.frame = frame if table is None else _joined(frame, _named(table, layout))
        self.counts = _counts(bundle, newest)
        self.orders = {"popular": np.lexsort((np.arange(len(newest)), -self.counts)), "id": self.frame[ITEM].arg_sort().to_numpy()}
        hashes = self.frame[ITEM].hash(seed=1).to_numpy()
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def __len__(self) -> int:
        return self.frame.height

    def row(self, item: str) -> int | None:
        """Where an item stands; None for one that is not known."""
        hashed = pl.Series([item], dtype=pl.String).hash(seed=1).to_numpy()[0]
        place = int(np.searchsorted(self._hashes, hashed))
        while place < len(self._hashes) and self._hashes[place] == hashed:
            if self.frame[ITEM][int(self._order[place])] == item:
                return int(self._order[place])
            place += 1
        return None

    def item(self, item: str) -> dict[str, Any] | None:
        """An item's features, without those that are missing."""
        row = self.row(item)
        return None if row is None else _plain(self.frame.row(row, named=True))

    def items(self, items: Sequence[str]) -> list[dict[str, Any] | None]:
        """The features of several items."""
        rows = [self.row(each) for each in items]
        found = iter(self.frame[[row for row in rows if row is not None]].to_dicts())
        return [None if row is None else _plain(next(found)) for row in rows]

    def popularity(self, item: str) -> int:
        """How many events of the bundle's log are of the item."""
        row = self.row(item)
        return 0 if row is None else int(self.counts[row])

    def page(self, where: Mapping[str, Sequence[str]], start: int, count: int, order: str = "popular", facets: bool = False) -> Page:
        """Some items of those that have one of the values of each feature. Raises ConfigError for an unknown feature or order."""
        if order not in self.orders:
            raise ConfigError(f"Items have no order {order!r}.{hint(order, ORDERS)}")
        chosen = self.orders[order]
        if where:
            mask = self.frame.select(pl.all_horizontal([self._met(name, values) for name, values in where.items()])).to_series().fill_null(False).to_numpy()
            chosen = chosen[mask[chosen]]
        rows = self.frame[chosen[start : start + count]].to_dicts()
        after = start + count if start + count < len(chosen) else None
        return Page([(row[ITEM], _plain(row)) for row in rows], len(chosen), after, self._facets(chosen) if facets else {})

    def _met(self, name: str, values: Sequence[str]) -> pl.Expr:
        if name not in self.frame.columns:
            raise ConfigError(f"Items have no feature {name!r}.{hint(name, [each for each in self.frame.columns if each != ITEM])}")
        column = pl.col(name)
        if isinstance(self.frame.schema[name], pl.List):
            return column.list.eval(pl.element().cast(pl.String).is_in(list(values))).list.any()
        return column.cast(pl.String).is_in(list(values))

    def _facets(self, chosen: Array) -> dict[str, dict[str, int]]:
        found = {}
        for name in [each for each, kind in self.frame.schema.items() if isinstance(kind, pl.Enum)][:FACETS]:
            counts = self.frame[name][chosen].drop_nulls().value_counts(sort=True, name="how many").head(VALUES)
            found[name] = {str(value): int(count) for value, count in counts.iter_rows()}
        return found

    def values(self, name: str) -> list[str]:
        """The commonest values of a category."""
        if not isinstance(self.frame.schema.get(name), pl.Enum):
            return []
        return [str(value) for value in self.frame[name].drop_nulls().value_counts(sort=True, name="how many").head(VALUES)[name]]

    def span(self, name: str) -> tuple[float, float] | None:
        """The least and the largest of a number."""
        if not self.frame.schema.get(name, pl.String()).is_numeric() or self.frame[name].null_count() == self.frame.height:
            return None
        return figures.span(self.frame[name])


def table_of(path: Path, key: str) -> pl.DataFrame:
    """A table of items (Parquet, CSV, JSON lines) with their ids in the column `key`. Raises DataError that names the file."""
    frame = read(Source(path=str(path)), Path(), plain=True)
    if key not in frame.columns:
        raise DataError(f"{path} has no column {key!r} with the ids of the items.{hint(key, frame.columns)}")
    return frame.with_columns(columns.ids(frame[key], f"{path}, column {key}").alias(ITEM)).drop(key if key != ITEM else [])


def shown(values: Values, layout: Layout, books: Mapping[str, Any], rows: Array) -> list[pl.Series]:
    """The features of some rows as columns in the shop's own words; null where they are missing."""
    found = []
    for place, (name, book) in enumerate(layout.categories.items()):
        if name != ID:
            found.append(_words(name, values.ids[rows, place], books[book]))
    for place, number in enumerate(layout.numbers):
        x = values.numbers[rows, place].astype(np.float64) * number.scale + number.mean
        x = np.sign(x) * np.expm1(np.abs(x)) if number.log else x
        series = pl.Series(number.name, np.where(values.known[rows, place], x, np.nan)).fill_nan(None)
        if number.name not in [each.name for each in found]:
            found.append(series.round_sig_figs(6))
    for name, book in layout.tags.items():
        offsets, ids = values.bags[name]
        lengths = offsets[rows + 1] - offsets[rows]
        at = np.repeat(offsets[rows], lengths) + np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        flat = pl.DataFrame({"row": np.repeat(np.arange(len(rows)), lengths).astype(np.uint32), name: _words(name, ids[at], books[book])}).drop_nulls()
        each = flat.group_by("row").agg(name)
        found.append(pl.DataFrame({"row": np.arange(len(rows), dtype=np.uint32)}).join(each, on="row", how="left", maintain_order="left")[name])
    return found


def _words(name: str, ids: Array, book: Any) -> pl.Series:
    codes = ids.astype(np.int64) - book.offset - FIRST
    words = pl.Series(name, book.values, dtype=pl.Enum(book.values))
    known = (codes >= 0) & (codes < len(words))
    at = pl.Series(np.where(known, codes, 0)).set(pl.Series(~known), None)
    return words.gather(at) if len(words) else words.extend_constant(None, len(at))


def _named(table: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """The table with the features' own names where they have other columns."""
    known = {each.column: name for name, each in layout.features.items() if each.column}
    return table.rename({column: name for column, name in known.items() if column in table.columns and name not in table.columns})


def _joined(frame: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """The shop's table wins where both say something: it has the whole words."""
    kept = table.unique(ITEM, keep="last", maintain_order=True)
    others = [name for name in frame.columns if name not in kept.columns]
    found = frame.select(ITEM, *others).join(kept, on=ITEM, how="left", maintain_order="left")
    few = [
        name for name, kind in found.schema.items() if name != ITEM and kind == pl.String and name in frame.columns and isinstance(frame.schema[name], pl.Enum)
    ]
    return found.with_columns(_enumerated(found[name]) for name in few)


def _enumerated(column: pl.Series) -> pl.Series:
    return column.cast(pl.Enum(column.drop_nulls().unique().sort()))


def _counts(bundle: Bundle, rows: Array) -> Array:
    log = bundle.stock.log
    if log is None:
        return np.zeros(len(rows), np.int64)
    current = bundle.stock.current(ITEM)
    return np.bincount(current[log.item], minlength=len(current))[rows].astype(np.int64)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != ITEM and value is not None and value != []}

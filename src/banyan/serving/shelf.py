"""The catalogue as a question sees it: which items may be answered, what they are counted by, and their numbers for a value model."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from banyan.errors import ConfigError
from banyan.features.columns import ID, Layout, Values
from banyan.features.pairs import spans
from banyan.features.plan import Plan
from banyan.features.stock import ITEM
from banyan.features.vocabulary import FIRST
from banyan.serving.asking import Band, Filters
from banyan.serving.pasts import Ground
from banyan.store.hints import hint
from banyan.types import Array

KEPT = 64  # filters whose items are remembered
SHOWN = 20  # values of a facet
BANDED = 4  # numbers whose bands are counted
NEAR = 1e-5  # relative: numbers went through single precision


class Shelf:
    """Items' features by row number. Values that training saw too seldom, and numbers beyond what it saw, are known as it knew them."""

    def __init__(self, ground: Ground) -> None:
        self.known = len(ground.bundle.stock.ids.get(ITEM, ()))
        values, plan = ground.stock.entities[ITEM], ground.bundle.plan
        self.layout: Layout = plan.entities[ITEM]
        self.rows = len(values)
        self.categories = {key: _category(plan, self.layout, values, key) for key in self.layout.categories if key != ID}
        self.numbers = {number.name: _number(self.layout, values, i) for i, number in enumerate(self.layout.numbers)}
        self.tags = {key: (values.bags[key], plan.books[book].values, plan.books[book].offset + FIRST) for key, book in self.layout.tags.items()}
        row = np.arange(self.rows)
        self.offered: Array = (ground.current_item == row) & (row > 0) & (row <= self.known)  # of each id its newest row
        self._masks: OrderedDict[tuple[Any, ...], Array] = OrderedDict()
        self._lock = threading.Lock()

    def allowed(self, filters: Filters) -> Array:
        """(rows,) bool: items that may be answered, as far as their features say. Raises ConfigError for an unknown feature."""
        key = tuple(tuple(sorted((k, v) for k, v in part.items())) for part in (filters.equal, filters.least, filters.most))
        if not any(key):
            return self.offered
        with self._lock:
            if key in self._masks:
                self._masks.move_to_end(key)
                return self._masks[key]
        mask: Array = self.offered & self.matching(filters)
        with self._lock:
            self._masks[key] = mask
            while len(self._masks) > KEPT:
                self._masks.popitem(last=False)
        return mask

    def matching(self, filters: Filters) -> Array:
        """(rows,) bool: rows whose features pass."""
        mask = np.ones(self.rows, bool)
        for feature, wanted in filters.equal.items():
            mask &= self._equal(feature, wanted)
        for bounds, inside in ((filters.least, _least), (filters.most, _most)):
            for feature, bound in bounds.items():
                mask &= inside(self._numbers(feature), bound)
        return mask

    def _equal(self, feature: str, wanted: Sequence[str]) -> Array:
        if feature in self.categories:
            codes, names = self.categories[feature]
            return np.asarray(np.isin(codes, [FIRST + names.index(each) for each in wanted if each in names]))
        if feature in self.tags:
            (offsets, ids), names, first = self.tags[feature]
            hit = np.concatenate([[0], np.cumsum(np.isin(ids, [first + names.index(each) for each in wanted if each in names]))])
            return np.asarray(hit[offsets[1:]] > hit[offsets[:-1]])
        known = [*self.categories, *self.tags]
        raise ConfigError(f"filters.equal: items have no category or tags {feature!r}.{hint(feature, known)}")

    def _numbers(self, feature: str) -> Array:
        if feature not in self.numbers:
            raise ConfigError(f"filters: items have no number {feature!r}.{hint(feature, list(self.numbers))}")
        return self.numbers[feature]

    def facets(self, rows: Array) -> dict[str, dict[str, int]]:
        """Category feature -> value -> how many of the items have it, the commonest first."""
        found = {}
        for feature, (codes, names) in self.categories.items():
            counts = np.bincount(codes[rows], minlength=FIRST + len(names))[FIRST:]
            best = np.argsort(-counts, kind="stable")[:SHOWN]
            found[feature] = {names[i]: int(counts[i]) for i in best if counts[i]}
        return {feature: counts for feature, counts in found.items() if counts}

    def bands(self, rows: Array) -> dict[str, tuple[Band, ...]]:
        """Number feature -> bands of round numbers that part the items, and how many lie in each; features whose numbers are all alike have none."""
        found = {name: banded(numbers[rows]) for name, numbers in list(self.numbers.items())[:BANDED]}
        return {name: bands for name, bands in found.items() if len(bands) > 1}

    def column(self, feature: str, rows: Array) -> Array:
        """(K,) float64 numbers of a feature, nan where missing."""
        return self._numbers(feature)[rows]

    def features(self, row: int) -> dict[str, Any]:
        """What is known of an item, by feature; what is missing is left out."""
        found: dict[str, Any] = {}
        for feature, (codes, names) in self.categories.items():
            if codes[row] >= FIRST:
                found[feature] = names[codes[row] - FIRST]
        for feature, numbers in self.numbers.items():
            if np.isfinite(numbers[row]):
                found[feature] = float(f"{numbers[row]:.6g}")
        for feature, ((offsets, ids), names, first) in self.tags.items():
            if told := [names[i - first] for i in ids[offsets[row] : offsets[row + 1]] if i >= first]:
                found[feature] = told
        return found


def banded(values: Array, most: int = 5) -> tuple[Band, ...]:
    """At most so many bands between round numbers near to the values' quantiles."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ()
    inner = np.quantile(values, np.arange(1, most) / most)
    edges = np.unique([float(values.min()), *(each for each in map(_round, inner) if values.min() < each < values.max()), float(values.max())])
    counts = np.histogram(values, edges)[0] if len(edges) > 1 else np.zeros(0, np.int64)
    bands = [
        Band(float(f"{low:.6g}"), float(f"{high:.6g}"), count)
        for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
    return tuple(band for band in bands if band.count)


def _round(value: float) -> float:
    """The nearest number of two digits, of which the second is 0 or 5."""
    if not value:
        return 0.0
    step = 10.0 ** np.floor(np.log10(abs(value))) / 2
    return float(f"{np.round(value / step) * step:.6g}")


def described(plan: Plan, values: Values, entity: str, row: int) -> dict[str, Any]:
    """What is known of one row of an entity, by feature."""
    layout = plan.entities[entity]
    found: dict[str, Any] = {}
    for key in layout.categories:
        codes, names = _category(plan, layout, values, key)
        if key != ID and codes[row] >= FIRST:
            found[key] = names[codes[row] - FIRST]
    for i, number in enumerate(layout.numbers):
        if np.isfinite(told := _number(layout, values, i)[row]):
            found[number.name] = float(f"{told:.6g}")
    return found


def shares(codes: Array, names: Sequence[str], most: int = 5) -> Mapping[str, float]:
    """Value -> its share among the known ones, largest first."""
    counts = np.bincount(codes, minlength=FIRST + len(names))[FIRST:]
    total = max(int(counts.sum()), 1)
    return {names[i]: float(counts[i] / total) for i in np.argsort(-counts, kind="stable")[:most] if counts[i]}


def tagged(bag: tuple[Array, Array], rows: Array) -> tuple[Array, Array]:
    """((m,) ids, (m,) which of the rows each is of)."""
    at, owner = spans(bag[0][rows], bag[0][rows + 1])
    return bag[1][at], owner


def _category(plan: Plan, layout: Layout, values: Values, key: str) -> tuple[Array, list[str]]:
    """((rows,) codes, names of the codes from FIRST on)."""
    book = plan.books[layout.categories[key]]
    return values.ids[:, list(layout.categories).index(key)] - np.int32(book.offset), book.values


def _number(layout: Layout, values: Values, place: int) -> Array:
    """(rows,) float64 as the shop wrote them, nan where missing; beyond what training saw, the nearest that it saw."""
    number = layout.numbers[place]
    x = values.numbers[:, place].astype(np.float64) * number.scale + number.mean
    x = np.sign(x) * np.expm1(np.abs(x)) if number.log else x
    return np.where(values.known[:, place], x, np.nan)


def _least(values: Array, bound: float) -> Array:
    return np.asarray(values >= bound - NEAR * abs(bound))


def _most(values: Array, bound: float) -> Array:
    return np.asarray(values <= bound + NEAR * abs(bound))

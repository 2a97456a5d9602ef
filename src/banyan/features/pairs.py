"""What one user's past says about one item: counts and recency with the item, its category, its brand.

Pure functions on arrays: training, evaluation and the engine call the same ones. Knows no log and no table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from banyan.types import Array

FIGURES = ("count", "recency", "activation")  # of each behaviour with each key
FINE = 100  # activations are counted in hundredths before the log: far below one event is told from none, and between few and many the log is a line
UNIT = 2**24  # of activations, summed as whole numbers, so that the order of events changes no bit
PIECES = 10  # of a feature, where its values are many
EDGED = 100_000  # rows of a table, about, whose values place the edges


@dataclass(frozen=True)
class Pasts:
    """The events of n pasts, flat. `past` says to which past an event belongs; rises."""

    past: Array  # (m,) int64 in [0, n)
    item: Array  # (m,) int32 row numbers
    behaviour: Array  # (m,) int codes
    age: Array  # (m,) float32 days (or events) from the event to the moment of the row, >= 0


@dataclass(frozen=True)
class Touched:
    """What each past holds of each code it touched, sorted by (past, code): look-up is one binary search."""

    key: Array  # (t,) int64, past * size + code
    figures: Array  # (t, F) float32
    size: int

    def look_up(self, past: Array, code: Array) -> Array:
        """(..., F) float32: the figures of (past, code), 0 where that past never touched it."""
        wanted = past.astype(np.int64) * self.size + code
        if not len(self.key):
            return np.zeros((*wanted.shape, self.figures.shape[1]), np.float32)
        place = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where((self.key[place] == wanted)[..., None], self.figures[place], np.float32(0))

    def of_one(self, values: Array, code: Array) -> Array:
        """(K, ...) of each code the value (t, ...) that stands for it, 0 where the only past never touched it."""
        if not len(self.key):
            return np.zeros((len(code), *values.shape[1:]), values.dtype)
        place = np.minimum(np.searchsorted(self.key, code), len(self.key) - 1)
        found: Array = values[place]
        found[self.key[place] != code] = 0
        return found


def spans(start: Array, end: Array) -> tuple[Array, Array]:
    """Flat positions of the ranges [start, end), and the range that each belongs to; both (m,) int64."""
    counts = np.maximum(end - start, 0)
    owner = np.repeat(np.arange(len(start), dtype=np.int64), counts)
    first = np.cumsum(counts) - counts
    return np.arange(len(owner), dtype=np.int64) - first[owner] + start[owner], owner


def touched(pasts: Pasts, code: Array, size: int, behaviours: int) -> Touched:
    """Figures of every (past, code) pair that occurs: for each behaviour log1p(count), 1 / (1 + age of the latest), and log1p(100 activation).

    activation = sum over its events of (1 + age)^-1/2, the base-level activation of ACT-R (Anderson and Schooler, 1991): how often and how lately in
    one number, which is what brings people back to things. `code` (m,) is the item itself or a category of it, in [0, size).
    """
    key = pasts.past * size + code
    order = np.argsort(key)  # ties may come in any order: counts, maxima and whole numbers do not see it
    key = key[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    fresh = 1 / (1 + pasts.age[order])
    strength = np.rint(np.sqrt(fresh) * UNIT).astype(np.int64)
    figures = np.zeros((len(first), behaviours * len(FIGURES)), np.float32)
    for b in range(behaviours if len(first) else 0):
        mine = pasts.behaviour[order] == b
        at = b * len(FIGURES)
        figures[:, at] = np.log1p(np.add.reduceat(mine.astype(np.float32), first))
        figures[:, at + 1] = np.maximum.reduceat(np.where(mine, fresh, 0), first)
        figures[:, at + 2] = np.log1p(np.add.reduceat(np.where(mine, strength, 0), first) * (FINE / UNIT))
    return Touched(key[first], figures, size)


def user_item(pasts: Pasts, past: Array, right: Array, codes: Sequence[Array], sizes: Sequence[int], behaviours: int) -> Array:
    """(..., P) float32 pair features of left `past` (...) and right item `right` (...), P = keys * behaviours * 3.

    `codes[i]` (item rows,) maps an item's row number to its i-th key (the item itself, its category, ...), `sizes[i]` how many there are.
    """
    return looked_up([touched(pasts, code[pasts.item], size, behaviours) for code, size in zip(codes, sizes, strict=True)], past, right, codes)


def looked_up(touches: Sequence[Touched], past: Array, right: Array, codes: Sequence[Array]) -> Array:
    """`user_item` from what the pasts touched of each key."""
    found = [touch.look_up(past, code[right]) for touch, code in zip(touches, codes, strict=True)]
    return np.concatenate(found, -1) if found else np.zeros((*right.shape, 0), np.float32)


def edges(pairs: Sequence[Array], count: int) -> list[list[float]]:
    """Rising edges of the pieces of each of `count` features, from the (n, count) training values of each table.

    0, which says that there is nothing, and quantiles of what lies beyond it.
    """
    found: list[list[float]] = []
    for column in range(count):
        values = np.concatenate([np.zeros(0, np.float32), *(pair[:: max(len(pair) // EDGED, 1), column] for pair in pairs)])
        there = values[values != 0]
        quantiles = np.quantile(there, np.linspace(0, 1, PIECES)) if len(there) else np.zeros(0)
        found.append([float(e) for e in np.unique(np.concatenate([[0.0], quantiles]).astype(np.float32))])
    return found

"""Draws items that a user might have taken at a time, with the probability of each draw, so that weights of 1 / rate undo the sampling."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from banyan.store.samples.pairtimes import FirstTouch, place_of
from banyan.store.shop import EventLog
from banyan.types import Array

POPULAR = 500  # the popular items of a moment: so many of the most frequent ones
MEMORY = 4  # ... in so many of the last snapshots


class Popular:
    """The most frequent items before each of some moments; a row reads the last moment that is not after its own time."""

    def __init__(self, log: EventLog, moments: Array, span: int, items: int, most: int = POPULAR) -> None:
        self.moments, self.items = np.asarray(moments, np.int64), items
        order = np.argsort(log.time, kind="stable")
        time = log.time[order]
        high = np.searchsorted(time, self.moments, side="right" if log.clock == "none" else "left")
        low = np.searchsorted(time, self.moments - span)
        lists = [_top(log.item[order[a:b]], items, most) for a, b in zip(low, high, strict=True)]
        self._start = np.concatenate([[0], np.cumsum([len(each) for each in lists])]).astype(np.int64)
        self.listed = np.concatenate([*lists, np.zeros(1, np.int64)])  # one spare, so that an empty list can be indexed
        owner = np.repeat(np.arange(len(lists)), np.diff(self._start))
        self._keys = np.sort(owner * items + self.listed[:-1])

    def at(self, time: Array) -> tuple[Array, Array, Array]:
        """Of each time: the moment it reads (-1 before the first), where its list begins in `listed`, and how long it is."""
        moment = np.searchsorted(self.moments, time, side="right") - 1
        begin = self._start[np.maximum(moment, 0)]
        size = np.where(moment >= 0, self._start[np.maximum(moment, 0) + 1] - begin, 0)
        return moment, begin, size

    def holds(self, item: Array, time: Array) -> Array:
        """(n,) bool: whether the item is popular at the time."""
        moment, _, size = self.at(time)
        return np.asarray((size > 0) & place_of(self._keys, moment * self.items + item)[1])


def _top(item: Array, items: int, most: int) -> Array:
    counts = np.bincount(item, minlength=items)
    counts[0] = 0
    best = np.argsort(-counts, kind="stable")[:most]
    return best[counts[best] > 0].astype(np.int64)


def moments(log: EventLog, every: int) -> Array:
    """Moments from the log's first event to its last, `every` microseconds apart; one moment after everything without a clock."""
    if log.clock == "none":
        return np.zeros(1, np.int64)
    return np.arange(int(log.time.min()) + every, int(log.time.max()) + every, every, dtype=np.int64)


class Proposal(ABC):
    """Which items may be drawn for a (user, time), and how likely each is in one draw."""

    @abstractmethod
    def draw(self, user: Array, time: Array, generator: np.random.Generator) -> Array:
        """(n,) one item a row; 0 where nothing can be drawn."""

    @abstractmethod
    def chance(self, user: Array, item: Array, time: Array) -> Array:
        """(n,) float64 probability that one draw for the row gives this item."""


class Everything(Proposal):
    """Uniform over the items that had been seen before the time (all items of the log without a clock)."""

    def __init__(self, log: EventLog, items: int) -> None:
        first = np.full(items, np.iinfo(np.int64).max)
        np.minimum.at(first, log.item, log.time)
        first[0] = np.iinfo(np.int64).max
        self._order = np.argsort(first, kind="stable")
        self._first = first[self._order]
        self._later = 1 if log.clock == "none" else 0  # without a clock every time is 0, and every item is there

    def known(self, time: Array) -> Array:
        """(n,) how many items had been seen."""
        return np.searchsorted(self._first, np.asarray(time) + self._later)

    def draw(self, user: Array, time: Array, generator: np.random.Generator) -> Array:
        """One uniform draw."""
        count = self.known(time)
        return np.where(count > 0, self._order[_uniform(count, generator)], 0)

    def chance(self, user: Array, item: Array, time: Array) -> Array:
        """1 / (items seen before the time)."""
        count = self.known(time)
        return np.where(count > 0, 1.0 / np.maximum(count, 1), 0.0)

    def listed(self, time: int) -> Array:
        """The items that had been seen before one time."""
        return self._order[: int(self.known(np.array([time]))[0])]


class Plausible(Proposal):
    """Half from the distinct items of the user's own past, half from the popular ones; all from one where the other is empty."""

    def __init__(self, past: FirstTouch, popular: Popular) -> None:
        self.past, self.popular = past, popular

    def _shares(self, begin: Array, end: Array, size: Array) -> Array:
        return np.where(end > begin, np.where(size > 0, 0.5, 1.0), 0.0)

    def draw(self, user: Array, time: Array, generator: np.random.Generator) -> Array:
        """From the past or the popular list, by the toss of a coin."""
        begin, end = self.past.span(user, time)
        _, start, size = self.popular.at(time)
        own = generator.random(len(user)) < self._shares(begin, end, size)
        listed = self.popular.listed[np.minimum(start + _uniform(size, generator), len(self.popular.listed) - 1)]
        place = np.minimum(begin + _uniform(end - begin, generator), len(self.past.order) - 1)
        mine = self.past.log.item[self.past.order[place]] if len(self.past.order) else listed
        return np.where(own, mine, np.where(size > 0, listed, 0))

    def chance(self, user: Array, item: Array, time: Array) -> Array:
        """The sum over the two ways in which an item can be drawn."""
        begin, end = self.past.span(user, time)
        size = self.popular.at(time)[2]
        share = self._shares(begin, end, size)
        mine = np.where(self.past.touched(user, item, time), share / np.maximum(end - begin, 1), 0.0)
        return mine + np.where(self.popular.holds(item, time), (1 - share) / np.maximum(size, 1), 0.0)


def _uniform(count: Array, generator: np.random.Generator) -> Array:
    drawn = (generator.random(len(count)) * count).astype(np.int64)
    return np.asarray(np.minimum(drawn, np.maximum(count - 1, 0)))


def thin(count: int, share: float, generator: np.random.Generator) -> tuple[Array, float]:
    """A random `share` of range(count), each with the same probability: (sorted numbers, that probability).

    Memory goes with what is kept, not with `count`, when the share is small: draws with replacement, doubles dropped,
    so each number is kept with probability 1 - (1 - 1 / count)^draws.
    """
    if count <= 0 or share <= 0:
        return np.zeros(0, np.int64), 1.0
    if share >= 1:
        return np.arange(count), 1.0
    if share > 0.2 or count < 100:
        return np.flatnonzero(generator.random(count) < share), share
    draws = max(round(np.log1p(-share) / np.log1p(-1.0 / count)), 1)
    return np.unique(generator.integers(0, count, draws)), float(-np.expm1(draws * np.log1p(-1.0 / count)))


def joined(parts: Sequence[Array]) -> Array:
    """The arrays one after another; an empty int64 array for none."""
    return np.concatenate(parts) if len(parts) else np.zeros(0, np.int64)

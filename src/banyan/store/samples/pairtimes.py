"""When each (user, item) pair did something: counts in a window and first touches, by binary search over sorted keys.

No loop over rows and no table of users x items: memory goes with the number of events asked about.
"""

import numpy as np

from banyan.store.shop import EventLog
from banyan.types import Array


def pair_key(user: Array, item: Array, items: int) -> Array:
    """(n,) int64, one number a (user, item) pair; `items` is the number of item rows, the missing one counted."""
    return user.astype(np.int64) * items + item


def place_of(known: Array, asked: Array) -> tuple[Array, Array]:
    """For sorted distinct `known`: the place of each value asked for, and whether it is there (the place is 0 where it is not)."""
    if not len(known):
        return np.zeros(len(asked), np.int64), np.zeros(len(asked), bool)
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    found = known[place] == asked
    return np.where(found, place, 0), found


class PairTimes:
    """Times of some events, sorted by (user, item) pair and then by time."""

    def __init__(self, user: Array, item: Array, time: Array, items: int) -> None:
        self.items = items
        self._times, rank = np.unique(time, return_inverse=True)
        self._pairs, code = np.unique(pair_key(user, item, items), return_inverse=True)
        self._stride = len(self._times) + 1
        self._keys = np.sort(code.astype(np.int64) * self._stride + rank)

    def count(self, user: Array, item: Array, low: Array, high: Array) -> Array:
        """(n,) how many of the pair's events lie in [low, high), in the log's unit of time."""
        place, found = place_of(self._pairs, pair_key(user, item, self.items))
        first = place * self._stride + np.searchsorted(self._times, low)
        last = place * self._stride + np.searchsorted(self._times, high)
        counted = np.searchsorted(self._keys, last) - np.searchsorted(self._keys, first)
        return np.where(found, counted, 0)

    def first(self, user: Array, item: Array, low: Array, never: int) -> Array:
        """(n,) int64 time of the pair's first event at `low` or later; `never` where there is none."""
        place, found = place_of(self._pairs, pair_key(user, item, self.items))
        at = np.searchsorted(self._keys, place * self._stride + np.searchsorted(self._times, low))
        key = self._keys[np.minimum(at, max(len(self._keys) - 1, 0))] if len(self._keys) else np.zeros(len(at), np.int64)
        there = found & (at < len(self._keys)) & (key // self._stride == place)
        return np.where(there, self._times[key % self._stride] if len(self._times) else 0, never)


class FirstTouch:
    """The first event of every (user, item) pair among the events at `positions`, in the log's order."""

    def __init__(self, log: EventLog, positions: Array, items: int) -> None:
        self.log, self.items = log, items
        user = np.searchsorted(log.start, positions, side="right").astype(np.int64) - 1
        self.pairs, first = np.unique(pair_key(user, log.item[positions], items), return_index=True)
        self.first = positions[first]  # (pairs,) position of each pair's first event, in the order of `pairs`
        self.order = np.sort(self.first)  # the same positions in the log's order: a user's lie together, oldest first

    def span(self, user: Array, time: Array) -> tuple[Array, Array]:
        """Where the distinct items that each user touched before `time` lie in `order`: begin and end."""
        return np.searchsorted(self.order, self.log.start[user]), np.searchsorted(self.order, self.log.before(user, time))

    def touched(self, user: Array, item: Array, time: Array) -> Array:
        """(n,) bool: whether the pair's first event is strictly earlier than `time`."""
        place, found = place_of(self.pairs, pair_key(user, item, self.items))
        if not len(self.pairs):
            return found
        return np.asarray(found & (self.first[place] < self.log.before(user, time)))

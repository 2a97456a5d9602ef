"""Statistics over many users, read as of the last snapshot boundary before a row, so that no row sees its own future.

With a clock the counts of a row are those of events before the boundary. Without one the users stand in a fixed random order of
`BLOCKS` blocks, and a training row reads the events of the users in earlier blocks, scaled up to all of them (ordered statistics;
compare Prokhorenkova et al., NeurIPS 2018, sec. 3.2). Totals less the row's own part would tell its label to whoever knows the item: where
the label was 1, one is missing. A row that nothing is fitted on reads the totals less what its own user did.
A label of pure noise gains nothing from any of them.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from banyan.store.shop import EventLog
from banyan.types import Array

WINDOWS = (1, 4)  # snapshots looked back over, beside all of time
BLOCKS = 32  # of users, where there is no clock


@dataclass(frozen=True)
class Counts:
    """How often each key had each behaviour up to each boundary: one sorted array, two binary searches a question."""

    sorted: Array  # (events,) int64: (key * behaviours + behaviour) * boundaries + snapshot
    behaviours: int
    first: int  # snapshot number of the earliest event
    boundaries: int
    total: Array | None = None  # (events + 1,) int64: events before each place, where `sorted` holds each code once; None where each event has its own
    more: "Counts | None" = None  # further events of the same keys and behaviours, counted beside these
    ahead: dict[int, Array] = field(default_factory=dict, repr=False, compare=False)  # snapshot -> (keys, behaviours * (1 + windows)) counts as of it

    def until(self, key: Array, behaviour: int, snapshot: Array) -> Array:
        """How many events of `key` lie in snapshots before `snapshot`; shapes broadcast."""
        base = (key.astype(np.int64) * self.behaviours + behaviour) * self.boundaries
        place = np.clip(snapshot - self.first, 0, self.boundaries)
        stop, start = np.searchsorted(self.sorted, base + place), np.searchsorted(self.sorted, base)
        found: Array = stop - start if self.total is None else self.total[stop] - self.total[start]
        return found if self.more is None else found + self.more.until(key, behaviour, snapshot)

    def picked(self, first: Array, count: int, to: Array) -> "Counts":
        """Of each range of `count` keys that begins at `first` (n,) what is counted, as the keys that begin at `to` (n,), which rise. Work grows with those."""
        keys = self.behaviours * self.boundaries
        low, high = (np.searchsorted(self.sorted, (first + step) * keys) for step in (0, count))
        moved = [self.sorted[a:b] + (after - before) * keys for a, b, before, after in zip(low, high, first, to, strict=True)]
        total = None
        if self.total is not None:
            each = [np.diff(self.total[a : b + 1]) for a, b in zip(low, high, strict=True)]
            total = np.concatenate([np.zeros(1, np.int64), *each]).cumsum()
        more = None if self.more is None else self.more.picked(first, count, to)
        return Counts(np.concatenate([self.sorted[:0], *moved]), self.behaviours, self.first, self.boundaries, total, more)

    def figures(self, key: Array, snapshot: Array) -> Array:
        """(..., F) float32: for each behaviour log1p of the counts in all of time and in each window."""
        if (known := self._known(key, snapshot)) is not None:
            return np.asarray(np.log1p(known), np.float32)
        return np.asarray(np.log1p(self._counts(key, snapshot)), np.float32)

    def look_ahead(self, snapshot: int, keys: int) -> None:
        """Count as of one snapshot for all keys in [0, keys), so that questions about it are looked up. The two newest such tables are kept."""
        if snapshot in self.ahead:
            return
        table = replace(self, more=None, ahead={})._counts(np.arange(keys), np.full(1, snapshot))
        for old in sorted(self.ahead)[: max(len(self.ahead) - 1, 0)]:
            self.ahead.pop(old, None)
        self.ahead[snapshot] = table

    def _known(self, key: Array, snapshot: Array) -> Array | None:
        """(..., F) counts, where a table as of the only snapshot asked about is at hand and holds all keys."""
        if not self.ahead or not snapshot.size or not key.size or (snapshot != snapshot.flat[0]).any():
            return None
        at = int(snapshot.flat[0])
        table = self.ahead.get(at)
        if table is None or int(key.max()) >= len(table):
            return None
        key = np.broadcast_arrays(key, snapshot)[0]
        found: Array = table[key]
        return found if self.more is None else found + self.more._counts(key, np.full(1, at))

    def _counts(self, key: Array, snapshot: Array) -> Array:
        """(..., F) for each behaviour the counts in all of time and in each window."""
        found: list[Array] = []
        for behaviour in range(self.behaviours):
            now = self.until(key, behaviour, snapshot)
            found += [now, *(now - self.until(key, behaviour, snapshot - w) for w in WINDOWS)]
        return np.stack(np.broadcast_arrays(*found), -1)


class Snapshots:
    """Popularity of items and activity of users at fixed boundaries."""

    def __init__(self, log: EventLog, span: int, usable: Array) -> None:
        """`span` is microseconds between boundaries; `usable` (events,) marks the events that may count when there is no clock."""
        self.log, self.span, self.clocked = log, span, log.clock == "time"
        keep = np.ones(len(log.item), bool) if self.clocked else usable
        number = log.time // span if self.clocked else np.zeros_like(log.time)
        user = log.user
        item = log.item.astype(np.int64)
        self.items = _counts(item[keep], log.behaviour[keep], number[keep], len(log.behaviours))
        self.users = _counts(user[keep], log.behaviour[keep], number[keep], len(log.behaviours))
        self.wide = int(item.max(initial=0)) + 1
        self.own: Counts | None = None
        self.block: Array | None = None  # (user rows,) the block of each user
        self.earlier: Counts | None = None  # of items, by blocks of users: what training rows read
        if not self.clocked:
            self.own = _counts(user[keep].astype(np.int64) * self.wide + item[keep], log.behaviour[keep], number[keep], len(log.behaviours))
            users = len(log.start) - 1
            self.block = np.random.default_rng(0).permutation(users) * BLOCKS // users
            self.earlier = _counts(item[keep], log.behaviour[keep], self.block[user[keep]], len(log.behaviours))

    @classmethod
    def of(cls, log: EventLog, span: int, items: Counts, users: Counts, own: Counts | None, wide: int) -> "Snapshots":
        """Snapshots over counts that are at hand, of more events than `log` may hold."""
        found = cls.__new__(cls)
        found.log, found.span, found.clocked = log, span, log.clock == "time"
        found.items, found.users, found.own, found.wide = items, users, own, wide
        found.block, found.earlier = None, None
        return found

    @property
    def names(self) -> list[str]:
        """Names of `item`'s figures, then of `user`'s."""
        spans = ["all", *(f"last{w}" for w in WINDOWS)] if self.clocked else ["all"]
        return [f"{side}:{b}:{span}" for side in ("item", "user") for b in self.log.behaviours for span in spans]

    def snapshot(self, time: Array) -> Array:
        """(n,) number of the last boundary at or before `time`: events of earlier snapshots count."""
        return time // self.span if self.clocked else np.ones_like(time)

    def item(self, items: Array, snapshot: Array, user: Array | None = None, fitted: Array | None = None) -> Array:
        """(..., F) float32 popularity of `items` as of `snapshot`.

        Without a clock, what `user` did is taken out; where `fitted`, a row is one that training fits, and reads earlier users only.
        """
        if self.clocked:
            return self.items.figures(items, snapshot)
        one = np.ones((), np.int64)
        counts = np.stack([self.items.until(items, b, one) for b in range(self.items.behaviours)], -1)
        if user is not None and self.own is not None:
            both = user.astype(np.int64) * self.wide + items
            own = np.stack([self.own.until(both, b, one) for b in range(self.items.behaviours)], -1)
            counts = counts - np.where((items < self.wide)[..., None], own, 0)  # beyond, the key would be another user's
            if fitted is not None and self.earlier is not None and self.block is not None:
                counts = np.where(fitted[..., None], self._earlier(self.earlier, self.block[user], items), counts)
        return np.asarray(np.log1p(counts), np.float32)

    def _earlier(self, earlier: Counts, block: Array, items: Array) -> Array:
        found = np.stack([earlier.until(items, b, block) for b in range(earlier.behaviours)], -1)
        return np.asarray(found * (BLOCKS / np.maximum(block, 1))[..., None])

    def user(self, users: Array, snapshot: Array) -> Array:
        """(..., F) float32 activity of `users` as of `snapshot`; without a clock nothing is said (zeros)."""
        if self.clocked:
            return self.users.figures(users, snapshot)
        return np.zeros((*users.shape, self.users.behaviours), np.float32)


def _counts(key: Array, behaviour: Array, number: Array, behaviours: int) -> Counts:
    first = int(number.min()) if len(number) else 0
    boundaries = int(number.max()) - first + 1 if len(number) else 1
    code = (key.astype(np.int64) * behaviours + behaviour) * boundaries + (number - first)
    return Counts(np.sort(code), behaviours, first, boundaries)

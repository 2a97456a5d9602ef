"""What the feature code reads beside a row itself: the entities' columns, the event log, the statistics. The same in training and in serving."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from banyan.features import pairs
from banyan.features.columns import DAY, Values
from banyan.features.pairs import Pasts
from banyan.features.plan import Plan
from banyan.features.statistics import Snapshots
from banyan.store.shop import EventLog
from banyan.types import Array

USER, ITEM = "user", "item"
CHUNK = 4096  # pasts looked at together


@dataclass(frozen=True)
class Moment:
    """Where rows stand in the log: whose past, up to which event, seen from when. Arrays of one length n."""

    user: Array  # (n,) row numbers
    end: Array  # (n,) int64 position after the last event; -1 without a past
    time: Array  # (n,) int64 microseconds or order; of the log's last event where rows have no time
    exclude: Array  # (n,) int64 position of an event that does not count, or -1

    def take(self, rows: Array) -> "Moment":
        """The moments of some rows."""
        return Moment(self.user[rows], self.end[rows], self.time[rows], self.exclude[rows])


@dataclass
class Stock:
    """Entities as columns (row 0 is the missing one), the log, and statistics over it."""

    plan: Plan
    entities: dict[str, Values]
    ids: dict[str, Array]  # entity -> (rows,) text; ids[r - 1] is row r's
    log: EventLog | None = None
    snapshots: Snapshots | None = None
    length: int = 50  # L
    pair_last: int = 1000
    narrowed: EventLog | None = None  # the log of the behaviours that histories hold
    places: Array | None = None  # (events + 1,) int64: position in `log` -> position in `narrowed`
    since: dict[str, Array] = field(default_factory=dict)  # entity with several rows an id -> (rows,) int64 microseconds from which each row holds

    def narrow(self, behaviours: Sequence[str] | None) -> None:
        """Let histories hold only these behaviours."""
        if self.log is None:
            return
        if behaviours is None or set(behaviours) >= set(self.log.behaviours):
            self.narrowed, self.places = self.log, None
            return
        keep = np.isin(self.log.behaviour, [i for i, b in enumerate(self.log.behaviours) if b in behaviours])
        self.places = np.concatenate([[0], np.cumsum(keep)])
        kept = {key: getattr(self.log, key)[keep] for key in ("item", "behaviour", "time", "scenario", "value")}
        self.narrowed = replace(self.log, start=self.places[self.log.start], **kept)

    def codes(self) -> tuple[list[Array], list[int]]:
        """For each pair key: item row -> code, and how many codes there are."""
        values, layout = self.entities[ITEM], self.plan.entities[ITEM]
        codes, sizes = [np.arange(len(values), dtype=np.int64)], [len(values)]
        for key in self.plan.pair_keys[1:]:
            book = self.plan.books[layout.categories[key]]
            codes.append(values.ids[:, list(layout.categories).index(key)].astype(np.int64) - book.offset)
            sizes.append(len(book))
        return codes, sizes

    def pasts(self, moment: Moment, newest: int) -> Pasts:
        """The newest events before each moment, those excluded left out."""
        assert self.log is not None
        start = np.maximum(self.log.start[moment.user], moment.end - newest)
        at, owner = pairs.spans(start, moment.end)
        keep = at != moment.exclude[owner]
        at, owner = at[keep], owner[keep]
        return Pasts(owner, self.log.item[at], self.log.behaviour[at], self._age(moment, at, owner))

    def _age(self, moment: Moment, at: Array, owner: Array) -> Array:
        assert self.log is not None
        if self.log.clock == "time":
            return np.maximum((moment.time[owner] - self.log.time[at]) / DAY, 0).astype(np.float32)
        if self.log.clock == "order":
            return (moment.end[owner] - 1 - at).astype(np.float32)
        return np.zeros(len(at), np.float32)

    def pair(self, moment: Moment, item: Array) -> Array:
        """(n, P) float32: what each row's user's past says of its item, then popularity of the item and activity of the user."""
        group, inverse = _groups(moment)
        codes, sizes = self.codes()
        found = np.zeros((len(item), len(self.plan.pair)), np.float32)
        order = np.argsort(inverse, kind="stable")
        edges = np.searchsorted(inverse[order], np.arange(0, len(group.user) + CHUNK, CHUNK))
        for i, (a, b) in enumerate(pairwise(edges)):
            rows = order[a:b]
            pasts = self.pasts(group.take(np.arange(i * CHUNK, min((i + 1) * CHUNK, len(group.user)))), self.pair_last)
            figures = pairs.user_item(pasts, inverse[rows] - i * CHUNK, item[rows], codes, sizes, len(self.plan.behaviours))
            found[rows, : figures.shape[1]] = figures
        width = len(self.plan.pair_keys) * len(self.plan.behaviours) * len(pairs.FIGURES)
        if self.snapshots is not None:
            snapshot = self.snapshots.snapshot(moment.time)
            found[:, width:] = np.concatenate([self.snapshots.item(item, snapshot, moment.user), self.snapshots.user(moment.user, snapshot)], 1)
        return found

    def side(self, moment: Moment, items: Array) -> Array:
        """(B, K, F) float32: pair features and popularity of every row with every one of K items."""
        codes, sizes = self.codes()
        pasts = self.pasts(moment, self.pair_last)
        behaviours = len(self.plan.behaviours)
        found = np.zeros((len(moment.user), len(items), len(self.plan.side)), np.float32)
        width = behaviours * len(pairs.FIGURES)
        for i, (code, size) in enumerate(zip(codes, sizes, strict=True)):
            _spread(pairs.touched(pasts, code[pasts.item], size, behaviours), code[items], found[:, :, i * width : (i + 1) * width])
        if self.snapshots is not None:
            found[:, :, len(codes) * width :] = self._popularity(self.snapshots, moment, items)
        return found

    def _popularity(self, snapshots: Snapshots, moment: Moment, items: Array) -> Array:
        if not snapshots.clocked:
            return snapshots.item(items[None, :], np.ones((1, 1), np.int64), moment.user[:, None])
        snapshot, back = np.unique(snapshots.snapshot(moment.time), return_inverse=True)
        return np.asarray(snapshots.item(items[None, :], snapshot[:, None])[back])


def _groups(moment: Moment) -> tuple[Moment, Array]:
    """Rows of one user at one moment share a past: the distinct moments, and each row's."""
    table = np.stack([moment.user.astype(np.int64), moment.end, moment.time, moment.exclude], 1)
    order = np.lexsort(table.T)
    fresh = np.concatenate([[True], (np.diff(table[order], axis=0) != 0).any(1)]) if len(order) else np.zeros(0, bool)
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(fresh) - 1
    first = order[fresh]
    return moment.take(first), inverse


def _spread(touched: pairs.Touched, codes: Array, out: Array) -> None:
    """Write the figures of each row with each of K codes into `out` (rows, K, F), which holds zeros."""
    distinct, back = np.unique(codes, return_inverse=True)
    past, code = np.divmod(touched.key, touched.size)
    place = np.minimum(np.searchsorted(distinct, code), len(distinct) - 1)
    hit = distinct[place] == code
    if len(distinct) == len(codes) and (np.diff(codes) > 0).all():
        out[past[hit], place[hit]] = touched.figures[hit]
        return
    dense = np.zeros((len(out), len(distinct), touched.figures.shape[1]), np.float32)
    dense[past[hit], place[hit]] = touched.figures[hit]
    out[:] = dense[:, back]

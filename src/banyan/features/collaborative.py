"""Signals (`banyan.signals`) over a log: fitted at boundaries that no row sees past, read for rows with their own contribution out.

With a clock they are fitted `fits` times over training's events, each time on all events before a boundary, and a row reads the last
fit before its time: what follows it, its own label among it, is not in there. Without a clock they are fitted once, and a row that
training fits reads them without its own user's events; other rows read them whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from scipy import sparse

from banyan import parts
from banyan.features.pairs import Pasts, spans
from banyan.signals import Flat, Own, Signal, World
from banyan.store.shop import EventLog
from banyan.types import Array

Scores: TypeAlias = sparse.csr_array | Array  # (n, items)
FOLDS = 4
ALWAYS = np.iinfo(np.int64).min


@dataclass
class Fitted:
    """All signals of a store, at each boundary."""

    names: tuple[str, ...]
    world: World
    since: list[int]  # from when on each fit is read, rising
    fits: list[list[Signal]]  # by boundary, then in the order of the names
    usable: Array | None = None  # (events,) bool: what was fitted; None where nothing is to be taken out
    folds: dict[int, list[Signal]] = field(default_factory=dict)  # signals that cannot take out an own contribution -> a fit without each fold of users

    def scores(self, log: EventLog, current: Array, pasts: Pasts, user: Array, time: Array, fitted: Array) -> list[Scores]:
        """For each signal the (n, items of the world) scores of n pasts, whose users, moments and whether training fits them are (n,).

        `current` maps a row number of an item to that under which its events are counted.
        """
        item = current[pasts.item].astype(np.int64)
        known = item < self.world.items
        flat = Flat(len(user), pasts.past[known], item[known], pasts.behaviour[known])
        if len(self.since) == 1 and self.since[0] == ALWAYS:
            own = self._own(log, current, user, fitted)
            fold = np.where(fitted, fold_of(user), -1)
            return [self._by_fold(i, flat, fold) if i in self.folds else signal.scores(flat, own) for i, signal in enumerate(self.fits[0])]
        return self._by_boundary(flat, np.searchsorted(self.since, time, side="right") - 1)

    def _by_boundary(self, flat: Flat, which: Array) -> list[Scores]:
        found: list[Scores] = []
        for number, signal in enumerate(self.fits[0]):
            whole = None
            for fit in np.unique(which[which >= 0]):
                mine = flat.only((which == fit)[flat.owner])
                each = self.fits[int(fit)][number].scores(mine)
                each = np.where((which == fit)[:, None], each, 0) if signal.dense else each  # a past that is empty may score too
                whole = each if whole is None else whole + each
            found.append(sparse.csr_array((flat.rows, self.world.items), dtype=np.float32) if whole is None else whole)
        return found

    def _by_fold(self, number: int, flat: Flat, fold: Array) -> Scores:
        """Each past by the fit that does not know its user; -1: by that of everybody."""
        whole: Scores | None = None
        for each in np.unique(fold):
            signal = self.fits[0][number] if each < 0 else self.folds[number][int(each)]
            mine = signal.scores(flat.only((fold == each)[flat.owner]))
            whole = mine if whole is None else whole + mine
        return sparse.csr_array((flat.rows, self.world.items), dtype=np.float32) if whole is None else whole

    def _own(self, log: EventLog, current: Array, user: Array, fitted: Array) -> Own | None:
        if self.usable is None or not fitted.any():
            return None
        distinct, of = np.unique(user[fitted], return_inverse=True)
        at, owner = spans(log.start[distinct], log.start[distinct + 1])
        keep = self.usable[at]
        at, owner = at[keep], owner[keep]
        rows = np.full(len(user), -1, np.int64)
        rows[fitted] = of.reshape(-1)
        return Own(Flat(len(distinct), owner, current[log.item[at]].astype(np.int64), log.behaviour[at]), rows)


def fit(specs: Mapping[str, parts.Spec], fits: int, log: EventLog, current: Array, usable: Array, told: sparse.csr_array | None = None) -> Fitted:
    """Fit all signals on the usable events; `told` (items, terms): what each item's features say. Raises ConfigError."""
    world = World(len(current), log.behaviours, log.clock != "none", told)
    found = Fitted(tuple(specs), world, [], [], usable)
    positions = np.flatnonzero(usable)
    for since in _boundaries(log, positions, fits):
        mine = positions if since == ALWAYS else positions[log.time[positions] < since]
        events = Flat(len(log.start) - 1, log.user[mine].astype(np.int64), current[log.item[mine]].astype(np.int64), log.behaviour[mine])
        made = [parts.build("signals", spec, world) for spec in specs.values()]
        for signal in made:
            signal.fit(events)
        if since == ALWAYS:
            told = enumerate(zip(specs.values(), made, strict=True))
            found.folds = {i: _folds(spec, world, events) for i, (spec, signal) in told if not signal.apart}
        found.since.append(since)
        found.fits.append(made)
    return found


def fold_of(user: Array) -> Array:
    """(n,) fold of each user, by its row number alone."""
    return np.asarray((user.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) % np.uint64(FOLDS)).astype(np.int64)


def _folds(spec: parts.Spec, world: World, events: Flat) -> list[Signal]:
    fold = fold_of(events.owner)
    made = [parts.build("signals", spec, world) for _ in range(FOLDS)]
    for number, signal in enumerate(made):
        signal.fit(events.only(fold != number))
    return made


def _boundaries(log: EventLog, positions: Array, fits: int) -> Sequence[int]:
    if log.clock != "time" or not len(positions):
        return [ALWAYS]
    time = np.sort(log.time[positions])
    places = [len(time) * (i + 1) // fits for i in range(fits - 1)]
    return sorted({*(int(time[p]) for p in places), int(time[-1]) + 1})


def restored(specs: Mapping[str, parts.Spec], world: World, since: int, arrays: Sequence[Mapping[str, Array]]) -> Fitted:
    """The newest fit, from the arrays of each signal."""
    made = [parts.build("signals", spec, world) for spec in specs.values()]
    for signal, each in zip(made, arrays, strict=True):
        signal.load(each)
    return Fitted(tuple(specs), world, [since], [made])


def of_items(scores: Scores, items: Array) -> Scores:
    """(n, K): the columns of K distinct item row numbers; 0 for items that the signals do not know."""
    known = items < scores.shape[1]
    if not isinstance(scores, np.ndarray):
        place = np.full(scores.shape[1], -1, np.int64)
        place[items[known]] = np.flatnonzero(known)
        row = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
        column = place[scores.indices]
        keep = column >= 0
        begin = np.zeros(scores.shape[0] + 1, np.int64)
        np.cumsum(np.bincount(row[keep], minlength=scores.shape[0]), out=begin[1:])
        return sparse.csr_array((scores.data[keep], column[keep], begin), shape=(scores.shape[0], len(items)))
    if known.all():
        return scores[:, items]
    return np.where(known, scores[:, np.where(known, items, 0)], np.float32(0))

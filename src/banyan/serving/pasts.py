"""A user's live past laid over a bundle's log: a small stock of some users, made without touching the log. The feature code reads it as any other.

An answer on it equals that of the bundle which was handed these users' events (`Bundle.with_events`). What others did since reaches popularity
with the next bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from banyan.bundle import Bundle, arrays, counts
from banyan.features.statistics import Counts, Snapshots
from banyan.features.stock import ITEM, USER, Moment, Stock
from banyan.serving.asking import Happened
from banyan.serving.ids import Ids
from banyan.store.entities import ALWAYS
from banyan.store.shop import EventLog
from banyan.types import Array


@dataclass(frozen=True)
class Ground:
    """What is made of a bundle once, for all questions: ids to rows, and rows for items that a question may bring."""

    bundle: Bundle
    stock: Stock  # the bundle's, with `spare` rows of items that nobody knows before the strangers' row
    users: Ids
    items: Ids
    current_user: Array  # (rows,) for each row number that of the newest row of the same id
    current_item: Array
    spare: range  # row numbers that a question may give to items that the bundle does not know
    reads: Mapping[str, int]  # behaviour -> its code
    scenarios: Mapping[str, int]

    @classmethod
    def of(cls, bundle: Bundle, spare: int, reads: Mapping[str, str]) -> "Ground":
        """`reads`: further behaviours, each with the one as which it is read."""
        stock = _roomy(bundle.stock, bundle, spare)
        known = len(bundle.stock.ids[ITEM]) + 1 if ITEM in stock.ids else 0
        codes = {name: code for code, name in enumerate(bundle.plan.behaviours)}
        codes |= {name: codes[as_] for name, as_ in reads.items() if as_ in codes and name not in codes}
        ids = {name: Ids(bundle.stock.ids.get(name, np.zeros(0, object)), bundle.stock.since.get(name)) for name in (USER, ITEM)}
        current = {name: stock.current(name) if name in stock.entities else np.zeros(1, np.int64) for name in (USER, ITEM)}
        scenarios = {name: code for code, name in enumerate(bundle.plan.scenarios)}
        return cls(bundle, stock, ids[USER], ids[ITEM], current[USER], current[ITEM], range(known, known + spare), codes, scenarios)


def _roomy(stock: Stock, bundle: Bundle, spare: int) -> Stock:
    """The stock with spare rows of items; each is one that training never saw, all its features missing."""
    if ITEM not in stock.entities:
        return stock
    old = stock.entities[ITEM]
    grown = replace(
        stock,
        entities={**stock.entities, ITEM: arrays.joined(old, arrays.strangers(old, bundle.plan, ITEM, spare))},
        ids={**stock.ids, ITEM: np.concatenate([stock.ids[ITEM], np.array([f"\0{i}" for i in range(spare)], object)])},
        since=dict(stock.since),
    )
    if ITEM in grown.since:
        grown.since[ITEM] = np.append(grown.since[ITEM], np.full(spare, ALWAYS))
    if stock.snapshots is not None and stock.log is not None:
        own, wide = stock.snapshots.own, len(grown.entities[ITEM])
        own = None if own is None else counts.widened(own, stock.snapshots.wide, max(wide, stock.snapshots.wide))
        grown.snapshots = Snapshots.of(stock.log, stock.snapshots.span, stock.snapshots.items, stock.snapshots.users, own, max(wide, stock.snapshots.wide))
    return grown


class Naming:
    """Row numbers of the items that one question names; those that the bundle does not know get a spare row each, while there are some."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.fresh: dict[str, int] = {}

    def again(self) -> "Naming":
        """The same rows for the same items, for another question."""
        found = Naming(self.ground)
        found.fresh = dict(self.fresh)
        return found

    def row(self, item: str, time: int | None = None) -> int:
        """The item's row; when the spare rows are used up, that of strangers, which all further unknown items share."""
        found = self.ground.items.row(item, time)
        if found:
            return found
        if item not in self.fresh:
            free = len(self.fresh) < len(self.ground.spare)
            self.fresh[item] = self.ground.spare[len(self.fresh)] if free else self.ground.spare.stop
        return self.fresh[item]

    def id(self, row: int) -> str:
        """The id of a row that `row` gave, or of one of the bundle's."""
        if row >= self.ground.spare.start:
            return next(item for item, mine in self.fresh.items() if mine == row)
        return str(self.ground.bundle.stock.ids[ITEM][row - 1])


@dataclass(frozen=True)
class Past:
    """Some users with their pasts, as a stock of their own: row numbers of users are its own, those of all other things the ground's."""

    stock: Stock
    user: Mapping[str, int]  # id -> the newest row here
    newest: int  # the first moment that sees every event of the ground and of these users
    fresh: Mapping[str, int]  # items that the bundle does not know -> their rows here

    def row(self, user: str, now: int) -> int:
        """The row that holds at a moment what the user is like."""
        newest, since = self.user[user], self.stock.since.get(USER)
        if since is None:
            return newest
        mine = [row for row in range(1, newest + 1) if self.stock.ids[USER][row - 1] == user]
        return max((row for row in mine if since[row - 1] <= now), default=mine[0])

    def moment(self, users: Sequence[str], now: int) -> Moment:
        """Where each user's past stands at a moment."""
        rows = np.array([self.user[each] for each in users], np.int64)
        time = np.full(len(rows), now, np.int64)
        log = self.stock.log
        end = np.zeros(len(rows), np.int64) if log is None else log.before(rows, time)
        return Moment(rows, end, time, np.full(len(rows), -1, np.int64), np.zeros(len(rows), bool))


@dataclass(frozen=True)
class _Fresh:
    """Live events as arrays, in order of time."""

    item: Array
    behaviour: Array
    time: Array
    scenario: Array
    value: Array


def laid(ground: Ground, users: Sequence[str], events: Mapping[str, Sequence[Happened]], naming: Naming | None = None) -> Past:
    """The users, each once, with what the bundle's log and then `events` say of them.

    An event without an item is not read, nor one of a behaviour that the bundle does not know. A user whom it does not know is a stranger with a past.
    """
    naming = naming or Naming(ground)
    rows = [ground.users.rows(user) for user in users]
    stranger = len(ground.stock.ids[USER]) + 1 if USER in ground.stock.ids else 0
    taken = [each or [stranger] for each in rows]
    count = np.array([len(each) for each in taken], np.int64)
    last = np.cumsum(count)  # the newest row of each user here
    flat = np.array([0, *(row for each in taken for row in each), stranger], np.int64)
    known = np.array([each[-1] if each else 0 for each in rows], np.int64)
    stock = replace(ground.stock, snapshots=ground.stock.snapshots, since={k: v for k, v in ground.stock.since.items() if k != USER})
    if USER in ground.stock.entities:
        own = np.repeat(np.array(users, object), count)
        stock.entities = {**ground.stock.entities, USER: arrays.take(ground.stock.entities[USER], flat)}
        stock.ids = {**ground.stock.ids, USER: own}
        if USER in ground.stock.since:
            stock.since[USER] = np.where(flat[1:-1] == stranger, ALWAYS, np.append(ground.stock.since[USER], ALWAYS)[flat[1:-1] - 1])
    fresh = [_read(ground, events.get(user, ()), naming) for user in users]
    now = ground.bundle.now
    if ground.stock.log is not None:
        log = _log(ground.stock.log, known, fresh, last, len(flat))
        _place(stock, ground, log, known, last, fresh)
        now = max([now, *(int(each.time[-1]) + 1 for each in fresh if len(each.time))])
    stock._codes = ground.stock.codes() if ITEM in ground.stock.entities else None
    return Past(stock, dict(zip(users, last.tolist(), strict=True)), now, naming.fresh)


def _read(ground: Ground, events: Sequence[Happened], naming: Naming) -> _Fresh:
    """What the model can read of live events."""
    clock = ground.bundle.plan.clock
    timed, dated = clock != "none", clock == "time"
    found = [
        (
            naming.row(e.item, e.time if dated else None),
            ground.reads[e.behaviour],
            e.time if timed else 0,
            ground.scenarios.get(e.scenario, 0),
            np.nan if e.value is None else e.value,
        )
        for e in events
        if e.item and e.behaviour in ground.reads
    ]
    columns = list(zip(*found, strict=True)) or [()] * 5
    kinds = (np.int64, np.int64, np.int64, np.int64, np.float32)
    item, behaviour, time, scenario, value = (np.array(column, kind) for column, kind in zip(columns, kinds, strict=True))
    order = np.argsort(time, kind="stable")
    return _Fresh(item[order], behaviour[order], time[order], scenario[order], value[order])


def _log(log: EventLog, known: Array, fresh: Sequence[_Fresh], last: Array, rows: int) -> EventLog:
    """The users' events alone, oldest first; at one time those of the bundle stand first."""
    pieces: dict[str, list[Array]] = {key: [] for key in arrays.LOG}
    lengths = np.zeros(rows, np.int64)
    for user, mine, place in zip(known.tolist(), fresh, last.tolist(), strict=True):
        span = slice(int(log.start[user]), int(log.start[user + 1]))
        lengths[place] = span.stop - span.start + len(mine.item)
        if not len(mine.item):
            for key, each in pieces.items():
                each.append(getattr(log, key)[span])
            continue
        order = np.argsort(np.concatenate([log.time[span], mine.time]), kind="stable")
        for key, each in pieces.items():
            old = getattr(log, key)[span]
            each.append(np.concatenate([old, getattr(mine, key).astype(old.dtype)])[order])
    whole: dict[str, Any] = {key: each[0] if len(each) == 1 else np.concatenate([getattr(log, key)[:0], *each]) for key, each in pieces.items()}
    return replace(log, start=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), **whole)


def _place(stock: Stock, ground: Ground, log: EventLog, known: Array, last: Array, fresh: Sequence[_Fresh]) -> None:
    """Put the users' log and their share of the statistics into the stock."""
    stock.log = log
    stock.narrow(ground.bundle.store.model.behaviours)
    assert stock.narrowed is not None
    if not len(stock.narrowed.item):  # rows without events still look at the place of one
        one: dict[str, Any] = {key: np.zeros(1, getattr(log, key).dtype) for key in arrays.LOG}
        stock.narrowed = replace(stock.narrowed, **one)
    whole = ground.stock.snapshots
    if whole is None:
        return
    mine = np.flatnonzero(known)
    users = whole.users.picked(known[mine], 1, last[mine])
    own = None if whole.own is None else whole.own.picked(known[mine] * whole.wide, whole.wide, last[mine] * whole.wide)
    items = whole.items
    if any(len(each.item) for each in fresh):
        item, behaviour, time = (np.concatenate([getattr(each, key) for each in fresh]) for key in ("item", "behaviour", "time"))
        user = np.repeat(last, [len(each.item) for each in fresh])
        item = ground.current_item[item]
        number = time // whole.span if whole.clocked else np.zeros_like(time)
        users = counts.grown(users, user, behaviour, number)
        items = replace(items, more=_counted(item, behaviour, number, items.behaviours))
        own = None if own is None else counts.grown(own, user * whole.wide + item, behaviour, number)
    stock.snapshots = Snapshots.of(log, whole.span, items, users, own, whole.wide)


def _counted(item: Array, behaviour: Array, number: Array, behaviours: int) -> Counts:
    return counts.of_tally((item * behaviours + behaviour, number, np.ones(len(item), np.int64)), behaviours)

"""The recipe `outcomes`: after A, did the user do B with the same item within N days.

A row is an event of the behaviours `after` (once a user, item and time), or with `every` a (user, item) at an origin: `origins.py`.

A label is 1 when the behaviour follows in (t, t + within]; a behaviour other than those of `after` also counts at t itself, since
logs in whole seconds or days give a view and its purchase one time. The window is therefore `within` and one microsecond more: a row
trains only when everything that its labels read lies before the cut. Where the log ends within
the window, labels are null: nobody knows yet. Without a clock a label asks whether the event is in the log at
all, and `exclude` names the event that answers; an order has no spans, so it is refused.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.samples import origins
from banyan.store.samples.behaviours import codes, of_behaviours, require_log
from banyan.store.samples.maturity import NEVER
from banyan.store.samples.negatives import MEMORY, Everything, Plausible, Popular, Proposal, moments
from banyan.store.samples.pairtimes import FirstTouch, PairTimes, pair_key, place_of
from banyan.store.samples.raw import Raw
from banyan.store.samples.versions import as_of, one_row_an_item
from banyan.store.schema import Samples, Store, duration
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array


@dataclass
class _Rows:
    user: Array  # (n,) int64 row numbers
    item: Array
    time: Array  # (n,) int64
    scenario: Array
    position: Array  # (n,) int64 in the log; -1 for rows that were added
    rate: Array  # (n,) float64


def make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None) -> Raw:
    """Rows with one label a behaviour, float32 0 or 1. Raises ConfigError for an unknown behaviour and for a log with an order."""
    log = one_row_an_item(require_log(name, "outcomes", log), entities["item"])
    if log.clock == "order":
        raise ConfigError(
            f"samples.{name}: `within` is a span of time, and the events have an order. Name a time column, or leave `order` out: then the log is a set."
        )
    within = duration(str(samples.within or samples.window))
    after = codes(name, "after", samples.after, log)
    wanted = {label: codes(name, f"labels.{label}", [behaviour], log) for label, behaviour in samples.labels.items()}
    generator = np.random.default_rng([store.split.seed, zlib.crc32(name.encode())])
    items = len(entities["item"])
    if samples.every:
        return origins.make(name, samples, entities, log, generator)
    rows = _events(log, after, items)
    if samples.negatives:
        rows = _with_added(rows, samples.negatives, _proposal(samples, store, log, items), items, generator)
    time = None if log.clock == "none" else rows.time
    labels = {label: _label(log, rows, code, after, within, items) for label, code in wanted.items()}
    waits = any(task.waits for task in store.tasks.values() if task.samples == name)
    if waits and time is None:
        raise ConfigError(f"samples.{name}: a task asks for `delayed`, and the events have no time, so nothing is known of delays. Leave it out.")
    return Raw(
        entities={"user": as_of(entities["user"], rows.user, time), "item": as_of(entities["item"], rows.item, time)},
        time=time,
        scenario=rows.scenario,
        labels=pl.DataFrame(labels, nan_to_null=True),
        rate=rows.rate.astype(np.float32),
        window=within + 1 if log.clock == "time" else 0,
        exclude=_labelled_event(log, rows, [(wanted[label], value) for label, value in labels.items()], items) if log.clock == "none" else None,
        delays={label: _delay(log, rows, code, after, within, items) for label, code in wanted.items()} if waits else {},
        notes=_notes(name, log, list(wanted)),
    )


def _notes(name: str, log: EventLog, labels: list[str]) -> list[str]:
    if log.clock != "none":
        return []
    said = [f"samples.{name}: without a clock nobody knows what came first; a row's labels ask whether the event is in the log at all."]
    if len(labels) > 1:
        lost = "a row can leave one event out of its history, that of its last label"
        said.append(f"samples.{name}: {', '.join(labels[:-1])} may be read from the history: {lost}. Give each label samples of its own, or the events a time.")
    return said


def _labelled_event(log: EventLog, rows: _Rows, labels: list[tuple[Array, Array]], items: int) -> Array:
    """(n,) int64 position of the pair's event of the last label that is 1; -1 for none. It is the answer, so no history may hold it."""
    found = np.full(len(rows.user), -1, np.int64)
    for code, value in labels:
        events = of_behaviours(log, code)
        pairs, first = np.unique(pair_key(log.user[events], log.item[events], items), return_index=True)
        place, there = place_of(pairs, pair_key(rows.user, rows.item, items))
        if len(pairs):
            found = np.where(there & (value == 1), events[first][place], found)
    return found


def _events(log: EventLog, after: Array, items: int) -> _Rows:
    """One row a (user, item, time) among the events of `after`: the first of them in the log."""
    position = of_behaviours(log, after)
    user = log.user[position].astype(np.int64)
    time = log.time[position]
    group = _groups(user, time)
    keep = np.sort(np.unique(pair_key(group, log.item[position], items), return_index=True)[1])
    position, user, time = position[keep], user[keep], time[keep]
    return _Rows(user, log.item[position].astype(np.int64), time, log.scenario[position], position, np.ones(len(keep)))


def _groups(user: Array, time: Array) -> Array:
    """(n,) int64 number of each run of equal (user, time) in rows that are sorted by them."""
    new = np.ones(len(user), bool)
    new[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
    return np.cumsum(new) - 1


def _proposal(samples: Samples, store: Store, log: EventLog, items: int) -> Proposal:
    if not samples.plausible:
        return Everything(log, items)
    span = duration(store.model.snapshot)
    past = np.flatnonzero(log.item > 0) if log.clock == "time" else np.zeros(0, np.int64)  # a set has no past: the popular items only
    return Plausible(FirstTouch(log, past, items), Popular(log, moments(log, span), MEMORY * span, items))


def _with_added(rows: _Rows, negatives: int, proposal: Proposal, items: int, generator: np.random.Generator) -> _Rows:
    """The rows and, for each, `negatives` draws of items that are no row of this user at this time.

    A (user, time) of m rows draws m * negatives times; an item drawn twice is one row. Its rate is the probability of being drawn at
    all, 1 - (1 - q)^(m * negatives) with q its chance in one draw, so weights of 1 / rate stand for every item that could have been.
    """
    group = _groups(rows.user, rows.time)
    source = np.repeat(np.arange(len(group)), negatives)
    item = proposal.draw(rows.user[source], rows.time[source], generator)
    key = pair_key(group[source], item, items)
    taken = np.isin(key, pair_key(group, rows.item, items)) | (item == 0)
    first = np.unique(key[~taken], return_index=True)[1]
    source, item = source[~taken][first], item[~taken][first]
    draws = np.bincount(group)[group[source]] * negatives
    chance = np.minimum(proposal.chance(rows.user[source], item, rows.time[source]), 1 - 1e-12)
    rate = -np.expm1(draws * np.log1p(-chance))
    order = np.argsort(np.concatenate([np.arange(len(group)), source]), kind="stable")  # each added row stands after its source
    return _Rows(
        np.concatenate([rows.user, rows.user[source]])[order],
        np.concatenate([rows.item, item])[order],
        np.concatenate([rows.time, rows.time[source]])[order],
        np.concatenate([rows.scenario, rows.scenario[source]])[order],
        np.concatenate([rows.position, np.full(len(source), -1)])[order],
        np.concatenate([rows.rate, rate])[order],
    )


def _label(log: EventLog, rows: _Rows, code: Array, after: Array, within: int, items: int) -> Array:
    """(n,) float32: 1 where the behaviour followed, nan where the log ends before the window does."""
    times = _times(log, code, items)
    itself = bool(np.isin(code, after).all())
    if log.clock == "none":
        counted = times.count(rows.user, rows.item, rows.time, rows.time + 1)
        return (counted > (itself & (rows.position >= 0))).astype(np.float32)
    followed = times.count(rows.user, rows.item, rows.time + itself, rows.time + within + 1) > 0
    return np.where(rows.time + within > log.time.max(), np.nan, followed).astype(np.float32)


def _times(log: EventLog, code: Array, items: int) -> PairTimes:
    events = of_behaviours(log, code)
    return PairTimes(log.user[events], log.item[events], log.time[events], items)


def _delay(log: EventLog, rows: _Rows, code: Array, after: Array, within: int, items: int) -> Array:
    """(n,) int64 microseconds from the row to the first event of the behaviour within the window; NEVER where none came."""
    low = rows.time + bool(np.isin(code, after).all())
    delay = _times(log, code, items).first(rows.user, rows.item, low, NEVER) - rows.time
    return np.where((delay >= 0) & (delay <= within), delay, NEVER)

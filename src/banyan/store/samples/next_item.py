"""The recipe `next_item`: given the user's past, the set of items in the next basket.

With a clock a basket is all that one user did at one time; with an order every event is its own. A row needs earlier events of its user.
Without a clock every event of a user with at least two is a row in turn (leave one out), and `exclude` takes it from the row's history.
"""

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.samples.behaviours import codes, of_behaviours, require_log
from banyan.store.samples.pairtimes import pair_key
from banyan.store.samples.raw import Raw
from banyan.store.samples.versions import as_of, one_row_an_item
from banyan.store.schema import Samples, Store
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array


def make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None) -> Raw:
    """Rows of one entity, `user`, with the target items; at most `most` rows a user, the newest. Raises ConfigError for an unknown behaviour."""
    if samples.sequences and log is not None and log.clock == "none":
        raise ConfigError(f"samples.{name}: `sequences` reads a user's events in their order, and the events have neither time nor order. Leave it out.")
    log = one_row_an_item(require_log(name, "next_item", log), entities["item"])
    position = of_behaviours(log, codes(name, "behaviours", samples.behaviours, log))
    user, time = log.user[position], log.time[position]
    first = _begins(user, time, log.clock)
    group = np.cumsum(first) - 1
    head = np.flatnonzero(first)
    keep = _has_past(log, user[head], time[head])
    if samples.most:
        keep &= _newest(user[head], keep, samples.most)
    offsets, items = _targets(group, log.item[position], keep, len(entities["item"]))
    head = head[keep]
    moment = None if log.clock == "none" else time[head]
    return Raw(
        entities={"user": as_of(entities["user"], user[head], moment)},
        time=moment,
        scenario=log.scenario[position[head]],
        labels=pl.DataFrame(),
        exclude=position[head] if log.clock == "none" else None,
        targets=(offsets, items),
    )


def _begins(user: Array, time: Array, clock: str) -> Array:
    """(m,) bool: where a new basket begins."""
    new = np.ones(len(user), bool)
    if clock == "time":
        new[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
    return new


def _has_past(log: EventLog, user: Array, time: Array) -> Array:
    if log.clock == "none":
        return np.asarray(np.diff(log.start)[user] > 1)
    return np.asarray(log.before(user, time) > log.start[user])


def _newest(user: Array, keep: Array, most: int) -> Array:
    """(n,) bool: the last `most` of each user's rows that are kept; rows are sorted by user, then time."""
    after = np.cumsum(keep[::-1])[::-1]  # kept rows from here to the end
    last = np.flatnonzero(np.append(user[1:] != user[:-1], True)) if len(user) else np.zeros(0, np.int64)
    beyond = np.append(after, 0)[last + 1]  # kept rows after each user's last
    which = np.searchsorted(last, np.arange(len(user)))
    return np.asarray(after - beyond[which] <= most)


def _targets(group: Array, item: Array, keep: Array, items: int) -> tuple[Array, Array]:
    """Offsets and distinct items of the kept baskets."""
    number = np.cumsum(keep) - 1
    inside = keep[group]
    key = np.unique(pair_key(number[group[inside]], item[inside], items))
    offsets = np.zeros(int(keep.sum()) + 1, np.int64)
    np.cumsum(np.bincount(key // items, minlength=len(offsets) - 1), out=offsets[1:])
    return offsets, (key % items).astype(np.int32)

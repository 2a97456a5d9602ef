"""The recipe `outcomes` at origins: one row a (user, item) at each moment, such as every 28 days.

Origins go backwards from the last moment whose whole window lies in the log. At an origin o a label asks for the behaviour in
[o, o + within), and everything before o is the row's past. Who can be a row does not look ahead:
the (user, item) pairs with an event of `after` before o, and, where negatives are asked for, the pairs of a user who was there before o
with the items that were popular then (`plausible`) or had been seen by then. Positives are all kept, at rate 1; of the others,
`negatives` for each positive of the origin, each at the same stated rate.
"""

import numpy as np
import polars as pl

from banyan.errors import ConfigError, DataError
from banyan.store.samples.behaviours import codes, of_behaviours
from banyan.store.samples.negatives import MEMORY, Everything, Popular, joined, thin
from banyan.store.samples.pairtimes import FirstTouch, PairTimes, pair_key, place_of
from banyan.store.samples.raw import Raw
from banyan.store.samples.versions import as_of
from banyan.store.schema import Samples, duration
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array


def make(name: str, samples: Samples, entities: dict[str, EntityFrame], log: EventLog, generator: np.random.Generator) -> Raw:
    """Rows at every origin. Raises ConfigError without a clock and DataError when the log is shorter than one window."""
    items = len(entities["item"])
    within, every = duration(str(samples.within or samples.window)), _period(name, samples, log)
    after = codes(name, "after", samples.after, log)
    wanted = {label: codes(name, f"labels.{label}", [behaviour], log) for label, behaviour in samples.labels.items()}
    times = origin_times(name, log, within, every)
    population = _Population(log, after, np.unique(np.concatenate(list(wanted.values()))), items, times, within, every, samples.plausible)
    parts = [population.rows(origin, samples.negatives, generator) for origin in times.tolist()]
    pair, rate = joined([p for p, _ in parts]), joined([r for _, r in parts])
    time = np.repeat(times, [len(p) for p, _ in parts])
    user, item = pair // items, pair % items
    return Raw(
        entities={"user": as_of(entities["user"], user, time), "item": as_of(entities["item"], item, time)},
        time=time,
        labels=pl.DataFrame({label: _label(log, user, item, time, code, within, items) for label, code in wanted.items()}),
        rate=rate.astype(np.float32),
        window=within,
    )


def _period(name: str, samples: Samples, log: EventLog) -> int:
    if log.clock != "time":
        raise ConfigError(f"samples.{name}: `every` makes rows at moments, and the events have no time column. Name one, or leave `every` out.")
    try:
        return duration({"day": "1d", "week": "7d"}.get(str(samples.every), str(samples.every)))
    except ValueError as error:
        raise ConfigError(f"samples.{name}: every: {error}.") from error


def origin_times(name: str, log: EventLog, within: int, every: int) -> Array:
    """(n,) int64 microseconds, oldest first: backwards from the last whole window while there is a past.

    Raises DataError when the log is no longer than one window.
    """
    first, last = int(log.time.min()), int(log.time.max()) + 1 - within
    if last <= first:
        raise DataError(f"samples.{name}: the events span less than `within`, so no window is whole. Choose a shorter one.")
    return np.arange(last, first, -every, dtype=np.int64)[::-1]


def _label(log: EventLog, user: Array, item: Array, time: Array, code: Array, within: int, items: int) -> Array:
    events = of_behaviours(log, code)
    counted = PairTimes(log.user[events], log.item[events], log.time[events], items).count(user, item, time, time + within)
    return (counted > 0).astype(np.float32)


class _Population:
    """Which pairs can be a row at an origin, and which of them are positive."""

    def __init__(self, log: EventLog, after: Array, labels: Array, items: int, times: Array, within: int, every: int, plausible: bool) -> None:
        self.log, self.items, self.within = log, items, within
        self.own = FirstTouch(log, of_behaviours(log, after), items)
        began = log.time[self.own.first]
        oldest = np.argsort(began, kind="stable")  # so the pairs before an origin are a prefix
        self.pairs, self.began = self.own.pairs[oldest], began[oldest]
        positions = of_behaviours(log, labels)
        positions = positions[np.argsort(log.time[positions], kind="stable")]
        self.label_time = log.time[positions]
        self.label_pair = pair_key(log.user[positions], log.item[positions], items)
        some = np.flatnonzero(np.diff(log.start) > 0)
        self.users, self.joined = some, log.time[log.start[some]]
        self.popular = Popular(log, times, MEMORY * every, items) if plausible else None
        self.everything = None if plausible else Everything(log, items)

    def rows(self, origin: int, negatives: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """(m,) pair keys, sorted, and (m,) rates of one origin's rows."""
        own = int(np.searchsorted(self.began, origin))
        if not negatives:
            return np.sort(self.pairs[:own]), np.ones(own)
        users, listed = self.users[self.joined < origin], np.sort(self._listed(origin))
        positive = self._positive(origin, users, listed)
        count = own + len(users) * len(listed) - len(positive)
        share = negatives * max(len(positive), 1) / max(count, 1)
        kept, rate = thin(own, share, generator)
        cells, cell_rate = thin(len(users) * len(listed), share, generator)
        grid = pair_key(users[cells // max(len(listed), 1)], listed[cells % max(len(listed), 1)], self.items) if len(cells) else cells
        grid = grid[~self._touched(grid, origin)]  # those are the user's own past, drawn above
        pair = np.concatenate([positive, self.pairs[:own][kept], grid])
        rates = np.concatenate([np.ones(len(positive)), np.full(len(kept), rate), np.full(len(grid), cell_rate)])
        pair, first = np.unique(pair, return_index=True)  # a positive that was also drawn keeps its rate of 1
        return pair, rates[first]

    def _listed(self, origin: int) -> Array:
        if self.popular is None:
            assert self.everything is not None
            return self.everything.listed(origin)
        _, begin, size = self.popular.at(np.array([origin]))
        return self.popular.listed[begin[0] : begin[0] + size[0]]

    def _touched(self, pair: Array, origin: int) -> Array:
        place, found = place_of(self.own.pairs, pair)
        return found & (self.log.time[self.own.first[place]] < origin) if len(self.own.pairs) else found

    def _positive(self, origin: int, users: Array, listed: Array) -> Array:
        low, high = np.searchsorted(self.label_time, [origin, origin + self.within])
        pair = np.unique(self.label_pair[low:high])
        user, item = pair // self.items, pair % self.items
        return pair[self._touched(pair, origin) | (place_of(users, user)[1] & place_of(listed, item)[1])]

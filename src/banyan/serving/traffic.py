"""Traffic by the minute over the last day: how much the counts of all workers grew, how long answers took. Kept in memory; it begins anew with a worker."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from banyan.serving.metrics import Metrics, quantile

EVERY = 60.0  # seconds of one point
MINUTES = 1440  # points that are kept


@dataclass(frozen=True)
class Spell:
    """One route in one minute: requests, those that failed, median and 99th percentile in seconds."""

    count: int
    errors: int
    middle: float
    late: float


@dataclass(frozen=True)
class Minute:
    """What was asked up to `at`, seconds since 1970; routes without a request are left out."""

    at: float
    routes: Mapping[str, Spell]


class Traffic:
    """The minutes so far. `beat` is called often and looks once a minute."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._metrics, self._clock = metrics, clock
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._lock = threading.Lock()
        self._last, self._before = clock(), metrics.grown()

    def beat(self) -> None:
        """Keep the minute that is over, if one is."""
        now = self._clock()
        if now - self._last < EVERY:
            return
        found = self._metrics.grown()
        minute = Minute(now, {route: spell for route, each in found.items() if (spell := _spell(each, self._before.get(route))).count})
        with self._lock:
            self._minutes.append(minute)
        self._last, self._before = now, found

    def minutes(self, most: int = MINUTES) -> list[Minute]:
        """The newest minutes, oldest first."""
        with self._lock:
            return list(self._minutes)[-most:]


def _spell(now: tuple[list[float], float], before: tuple[list[float], float] | None) -> Spell:
    """What came on top; all of it where the counting began anew."""
    bins, failed = now
    if before is not None and sum(bins[:-1]) >= sum(before[0][:-1]):
        bins, failed = [max(a - b, 0.0) for a, b in zip(bins, before[0], strict=True)], max(failed - before[1], 0.0)
    return Spell(int(sum(bins[:-1])), int(failed), quantile(bins, 0.5), quantile(bins, 0.99))

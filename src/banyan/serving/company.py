"""Which items are met in one visit with an item: counted from the newest events of a bundle's log and from what happened since. Knows no model."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from banyan.serving.asking import Happened
from banyan.serving.pasts import Ground
from banyan.types import Array

EVENTS = 2_000_000  # newest of the log that are counted: some 60 MB
GAP = 1_800_000_000  # microseconds without an event that end a visit
WIDE = 100  # events of one visit; a longer one counts as several
VISITS = 5_000  # with one item that are looked at, evenly chosen among more
SHRINK = 5.0  # visits: how few meetings are held against a pair
FRESH = 900.0  # seconds after which what happened since is counted anew, beside the requests
Lately = Callable[[], Iterable[tuple[str, Happened]]]  # (who, event) since the bundle was trained
log = logging.getLogger(__name__)


def nothing_since() -> Iterable[tuple[str, Happened]]:
    """Nothing happened."""
    return ()


@dataclass(frozen=True)
class Visits:
    """Which items were met in which visit."""

    items: sparse.csr_matrix  # (visits, rows) 1 where a visit has the item
    visits: sparse.csr_matrix  # (rows, visits) the same the other way
    often: Array  # (rows,) visits with the item

    @classmethod
    def of(cls, user: Array, item: Array, moment: Array, rows: int, gap: int | None) -> "Visits":
        """(events,) who, item row numbers below `rows`, when. `gap` None: the moments are an order, and a visit is a run of WIDE events of a user."""
        order = np.lexsort((moment, user))
        user, item, moment = user[order], item[order], moment[order]
        first = np.ones(len(user), bool)
        first[1:] = user[1:] != user[:-1]
        if gap is not None:
            first[1:] |= np.diff(moment) > gap
        begin = np.maximum.accumulate(np.where(first, np.arange(len(user)), 0))
        first |= (np.arange(len(user)) - begin) % WIDE == 0
        number = np.cumsum(first) - 1
        wide = sparse.csr_matrix((np.ones(len(user), np.float32), (number, item)), shape=(int(number[-1]) + 1 if len(number) else 0, rows))
        wide.data[:] = 1  # an item counts once a visit
        met = wide[np.diff(wide.indptr) > 1]  # a visit with one item tells how often that is bought, and nothing of two
        return cls(met, met.T.tocsr(), np.asarray(wide.sum(0)).ravel())

    def near(self, row: int) -> Array | None:
        """(rows,) how strongly each item goes with one; None where nothing was met with it.

        met / (sqrt(a b) + SHRINK): visits with both, over the geometric mean of the visits with each; without SHRINK the cosine of the two (Ochiai, 1957).
        """
        mine = self.visits.indices[self.visits.indptr[row] : self.visits.indptr[row + 1]]
        chosen = mine[np.linspace(0, len(mine) - 1, VISITS).astype(np.int64)] if len(mine) > VISITS else mine
        if not len(chosen):
            return None
        met = np.asarray(self.items[chosen].sum(0)).ravel() * (len(mine) / len(chosen))
        met[row] = 0
        return np.asarray(met / (np.sqrt(self.often[row] * self.often) + SHRINK), np.float64)


class Company:
    """The visits of a bundle and of what happened since, counted when they are first asked for, and beside the requests when they are old."""

    def __init__(self, ground: Ground, lately: Lately = nothing_since) -> None:
        self.ground, self.lately = ground, lately
        self._visits: Visits | None = None
        self._counted = 0.0
        self._counting, self._starting = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None

    def near(self, row: int) -> Array | None:
        """(rows,) how strongly each item goes with one; None where nothing was met with it."""
        visits = self._visits
        if visits is None:
            with self._counting:
                visits = self._visits = self._visits or self._count()
        elif time.monotonic() - self._counted > FRESH:
            self._again()
        return visits.near(int(self.ground.current_item[row]))

    def _again(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._recount, name="company", daemon=True)
                self._thread.start()

    def _recount(self) -> None:
        try:
            self._visits = self._count()
        except Exception:  # the journal may be away: what was counted goes on holding
            self._counted = time.monotonic()
            log.warning("cannot count what is met in one visit", exc_info=True)

    def _count(self) -> Visits:
        user, item, moment = (np.concatenate(pair) for pair in zip(self._trained(), self._since(), strict=True))
        clock = self.ground.bundle.plan.clock
        found = Visits.of(user, self.ground.current_item[item], moment, len(self.ground.current_item), GAP if clock == "time" else None)
        self._counted = time.monotonic()
        return found

    def _trained(self) -> tuple[Array, Array, Array]:
        """Users, items and moments of the newest events of the bundle's log."""
        events = self.ground.stock.log
        if events is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
        rows = np.arange(len(events.time))
        if len(rows) > EVENTS:
            rows = np.sort(np.argpartition(events.time, len(rows) - EVENTS)[-EVENTS:])
        return self.ground.current_user[events.user[rows]].astype(np.int64), events.item[rows].astype(np.int64), events.time[rows]

    def _since(self) -> tuple[Array, Array, Array]:
        """The same of what happened since; whom the bundle does not know gets a number of their own."""
        fresh: dict[str, int] = {}
        users, items, moments = list[int](), list[int](), list[int]()
        for who, event in self.lately():
            row = self.ground.items.row(event.item) if event.item is not None else 0
            if row:
                users.append(self.ground.users.row(who) or len(self.ground.current_user) + fresh.setdefault(who, len(fresh)))
                items.append(row)
                moments.append(event.time)
        return np.array(users, np.int64), np.array(items, np.int64), np.array(moments, np.int64)

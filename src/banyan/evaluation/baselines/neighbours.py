"""Item-kNN: cosine of items by the training sessions they share, shrunk towards 0 where sessions are few. Sparse throughout."""

import numpy as np
from scipy import sparse

from banyan.features.stock import Moment, Stock
from banyan.features.times import DAY
from banyan.store.shop import EventLog
from banyan.types import Array

SHRINK = 10.0  # sessions added below the fraction
NEAREST = 100  # items kept for each item
SESSION = 50  # most events of a session, so that a pair of items costs no more than 50 times its events
EVENTS = 20_000_000  # newest training events looked at
BLOCK = 2_048  # items whose neighbours are found together


def fit(stock: Stock, moment: Moment, train: Array, items: int) -> sparse.csr_array:
    """(I, I) likeness of each item (row) to its 100 nearest (Sarwar et al., WWW 2001; shrinkage as Bell and Koren, 2007).

    likeness(i, j) = sessions with both / (sqrt(sessions with i x sessions with j) + 10). An item is most like itself: what the user had
    may come back. Sessions are taken from events that some training row has in its past.
    """
    assert stock.log is not None
    session, item = _sessions(stock.log, moment, train)
    pairs = np.unique(session * items + item)
    held = sparse.csr_array((np.ones(len(pairs), np.float32), (pairs // items, pairs % items)), shape=(int(session.max(initial=0)) + 1, items))
    often = np.asarray(held.sum(0)).reshape(-1)
    turned = sparse.csr_array(held.T)
    blocks = [_nearest(turned[start : start + BLOCK], held, often, start) for start in range(0, items, BLOCK)]
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _sessions(log: EventLog, moment: Moment, train: Array) -> tuple[Array, Array]:
    """((m,) session numbers, (m,) items) of training events: a user's events with less than a day between them, at most 50."""
    end = np.zeros(len(log.start) - 1, np.int64)
    np.maximum.at(end, moment.user[train], moment.end[train])
    user = log.user
    known = np.flatnonzero((np.arange(len(user)) < end[user]) & (log.item > 0))
    if len(known) > EVENTS:
        known = np.sort(known[np.argpartition(log.time[known], -EVENTS)[-EVENTS:]])
    if not len(known):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    gap = np.diff(log.time[known]) > DAY if log.clock == "time" else np.zeros(len(known) - 1, bool)
    fresh = np.concatenate([[True], gap | (np.diff(user[known]) != 0)])
    begin = np.flatnonzero(fresh)
    within = np.arange(len(known)) - np.repeat(begin, np.diff(np.append(begin, len(known))))
    return np.cumsum(within % SESSION == 0) - 1, log.item[known].astype(np.int64)


def _nearest(part: sparse.csr_array, held: sparse.csr_array, often: Array, start: int) -> sparse.csr_array:
    """The likeness rows of one block of items, each cut to its nearest."""
    both = part @ held
    row = np.repeat(np.arange(both.shape[0]), np.diff(both.indptr))
    value = both.data / (np.sqrt(often[start + row] * often[both.indices]) + SHRINK)
    order = np.argsort(2.0 * row - value)  # likeness lies in (0, 1): one sort by row, then by falling likeness
    kept = order[np.arange(len(order)) - both.indptr[row] < NEAREST]
    return sparse.csr_array((value[kept].astype(np.float32), (row[kept], both.indices[kept])), shape=both.shape)

"""Baselines of a ranking: what is popular, what the user had before, and what goes with it."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import sparse

from banyan.evaluation.baselines import neighbours as knn
from banyan.evaluation.baselines import shelf
from banyan.evaluation.questions import Question, targets
from banyan.features.data import Data
from banyan.features.statistics import Snapshots
from banyan.features.stock import ITEM
from banyan.metrics import ndcg_at
from banyan.store.schema import Store, duration
from banyan.types import TRAIN, Array

WINDOWS = (None, 4, 1)  # snapshots that popularity looks back over; None: all of time
DECAYS = (np.inf, 300.0, 100.0, 30.0, 3.0)  # events after which a past event weighs 1 / e; all alike is frequency, 3 is nearly recency
NEWEST = 1_000  # events of a user that own history looks at
HISTORY = 200  # and that item-kNN starts from
BLOCK = 256  # rows scored together

Ranker = Callable[[Question], Array]


def popularity(store: Store, data: Data, question: Question, valid: Question) -> Array:
    """The items by how often they were wanted before the row's last snapshot boundary; the window that ranks validation best."""

    def within(window: int | None) -> Ranker:
        return lambda q: _ranks(data, q, _nothing(data, q), *_popular(store, data, q, window))

    return _best([within(window) for window in WINDOWS], question, valid)


def own_history(store: Store, data: Data, question: Question, valid: Question) -> Array | str:
    """The items of the user's own past by decayed frequency, then the popular ones; the decay that ranks validation best."""
    if data.tables[question.table].moment is None:
        return "its rows have no user with a past"

    def fading(decay: float) -> Ranker:
        return lambda q: _ranks(data, q, _own(store, data, q, decay), *_popular(store, data, q, None))

    return _best([fading(decay) for decay in DECAYS], question, valid)


def neighbours(store: Store, data: Data, question: Question) -> Array | str:
    """The items nearest to the user's past by co-occurrence in training sessions (own items among them), then the popular ones."""
    table = data.tables[question.table]
    if table.moment is None:
        return "its rows have no user with a past"
    likeness = knn.fit(data.stock, table.moment, table.part == TRAIN, len(data.stock.entities[ITEM]))
    places, which = _popular(store, data, question, None)
    found = []
    for start in range(0, len(question), BLOCK):
        part = question.take(np.arange(start, min(start + BLOCK, len(question))))
        scores = _past(data, part, HISTORY, lambda age: 1 / np.sqrt(1 + age)) @ likeness
        found.append(_ranks(data, part, scores, places, which[start : start + BLOCK]))
    width = max(each.shape[1] for each in found)
    return np.concatenate([np.pad(each, ((0, 0), (0, width - each.shape[1])), constant_values=np.nan) for each in found])


def _best(makers: Sequence[Ranker], question: Question, valid: Question) -> Array:
    scores = [ndcg_at(make(valid), 10, valid.weight) for make in makers] if len(valid) else [0.0]
    return makers[int(np.nanargmax(np.nan_to_num(scores, nan=-1.0)))](question)


def _ranks(data: Data, question: Question, scores: sparse.csr_array, places: Array, which: Array) -> Array:
    return shelf.ranks(scores, places, which, *targets(data.tables[question.table], question.rows))


def _nothing(data: Data, question: Question) -> sparse.csr_array:
    return sparse.csr_array((len(question), len(data.stock.entities[ITEM])), dtype=np.float32)


def _own(store: Store, data: Data, question: Question, decay: float) -> sparse.csr_array:
    return _past(data, question, NEWEST, lambda age: np.exp(-age / decay), _behaviours(store, data, question.table))


def _past(data: Data, question: Question, newest: int, weigh: Callable[[Array], Array], wanted: Array | None = None) -> sparse.csr_array:
    """(n, I) weights of the items of each row's past; `weigh` turns an event's age, in events from the newest, into a weight."""
    moment = data.tables[question.table].moment
    assert moment is not None
    pasts = data.stock.pasts(moment.take(question.rows), newest)
    keep = (pasts.item > 0) & (True if wanted is None else np.isin(pasts.behaviour, wanted))
    row, item = pasts.past[keep], pasts.item[keep]
    end = np.cumsum(np.bincount(row, minlength=len(question)))
    age = end[row] - 1 - np.arange(len(row))
    shape = (len(question), len(data.stock.entities[ITEM]))
    # frequency alone leaves ties: recency breaks them
    return sparse.csr_array((weigh(age) + 1e-3 / (1 + age), (row, item)), shape=shape)


def _behaviours(store: Store, data: Data, table: str) -> Array:
    """Codes of the behaviours that the table's targets are made of; all of them where it does not say."""
    names = store.samples[table].behaviours
    wanted = [names] if isinstance(names, str) else names
    return np.array([code for code, name in enumerate(data.plan.behaviours) if not wanted or name in wanted])


def _popular(store: Store, data: Data, question: Question, window: int | None) -> tuple[Array, Array]:
    """((G, I) orders of popularity, (n,) the one each row reads): as of its last snapshot boundary, or of all training targets without a clock."""
    table, items = data.tables[question.table], len(data.stock.entities[ITEM])
    if table.moment is None or data.stock.log is None or data.stock.log.clock != "time":
        _, wanted = targets(table, table.rows(TRAIN))
        return shelf.order(np.bincount(wanted, minlength=items)), np.zeros(len(question), np.int64)
    shots = data.stock.snapshots or Snapshots(data.stock.log, duration(store.model.snapshot), np.ones(len(data.stock.log.item), bool))
    number, which = np.unique(shots.snapshot(table.moment.time[question.rows]), return_inverse=True)
    every = np.arange(items)
    counts = np.zeros((len(number), items))
    for behaviour in _behaviours(store, data, question.table):
        for i, shot in enumerate(number[:, None]):
            until = shots.items.until(every, int(behaviour), shot)
            counts[i] += until if window is None else until - shots.items.until(every, int(behaviour), shot - window)
    return shelf.order(counts), which.reshape(-1)

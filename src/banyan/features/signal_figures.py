"""What the signals say of rows and items: co-visitation, EASE, the graph, and their products with what a past holds."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from banyan.features import collaborative
from banyan.features.pairs import Pasts
from banyan.features.plan import SIGNAL
from banyan.features.stock import Moment, Stock
from banyan.types import Array

SCORED = 512  # pasts whose scores of all items are looked at together


def write(stock: Stock, group: Moment, inverse: Array, item: Array, out: Array) -> None:
    """Write what the signals say of each row's item into their columns of `out` (n, P); `inverse` (n,) is each row's place in `group`."""
    columns = [i for i, name in enumerate(stock.plan.pair) if name.startswith(SIGNAL)]
    if not columns:
        return
    order = np.argsort(inverse, kind="stable")
    edges = np.searchsorted(inverse[order], np.arange(0, len(group.user) + SCORED, SCORED))
    for i, (a, b) in enumerate(pairwise(edges)):
        rows, first = order[a:b], i * SCORED
        moment = group.take(np.arange(first, min(first + SCORED, len(group.user))))
        wanted, back = np.unique(item[rows], return_inverse=True)
        for column, scores in zip(columns, _signals(stock, moment, stock.pasts(moment, stock.pair_last), wanted), strict=True):
            out[rows, column] = np.asarray(scores[inverse[rows] - first, back.reshape(-1)]).reshape(-1)


def scores(stock: Stock, moment: Moment, pasts: Pasts, items: Array) -> list[collaborative.Scores]:
    """(B, K) scores of each signal, then, where the plan names them, each one's products with what the past holds by each behaviour."""
    found = _signals(stock, moment, pasts, items)
    if len(stock.plan.signals) == len(found):
        return found
    codes, _ = stock.codes()
    held = [_held(pasts, code, codes[0], items, len(moment.user)) for code in range(len(stock.plan.behaviours))]
    return [*found, *(_met(one, each) for one in found for each in held)]


def add(out: Array, scores: collaborative.Scores, weight: float) -> None:
    """Add weight times scores (B, K) to `out`."""
    if isinstance(scores, np.ndarray):
        out += weight * scores
        return
    out[np.repeat(np.arange(len(out)), np.diff(scores.indptr)), scores.indices] += weight * scores.data


def _signals(stock: Stock, moment: Moment, pasts: Pasts, items: Array) -> list[collaborative.Scores]:
    """(B, K) scores of each signal."""
    if stock.signals is None:
        return []
    assert stock.log is not None
    codes, _ = stock.codes()
    found = stock.signals.scores(stock.log, codes[0], pasts, moment.user, moment.time, moment.fitted)
    return [collaborative.of_items(each, codes[0][items]) for each in found]


def _held(pasts: Pasts, behaviour: int, codes: Array, items: Array, rows: int) -> sparse.csr_array:
    """(B, K) 1 where a past holds an item by a behaviour."""
    item = codes[pasts.item].astype(np.int64)
    mine = (pasts.behaviour == behaviour) & (item > 0)
    found = sparse.csr_array((np.ones(int(mine.sum()), np.float32), (pasts.past[mine], item[mine])), shape=(rows, len(codes)))
    found.sum_duplicates()
    found.data[:] = 1.0
    here = collaborative.of_items(found, codes[items])
    assert not isinstance(here, np.ndarray)
    return here


def _met(scores: collaborative.Scores, held: sparse.csr_array) -> sparse.csr_array:
    """(B, K) scores where `held` is 1."""
    if not isinstance(scores, np.ndarray):
        return sparse.csr_array(scores.multiply(held))
    row = np.repeat(np.arange(held.shape[0]), np.diff(held.indptr))
    return sparse.csr_array((scores[row, held.indices], held.indices, held.indptr), shape=held.shape)

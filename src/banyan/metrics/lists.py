"""Answers that are lists: graded lists by score, and ranks of what was wanted."""

import numpy as np

from banyan.metrics.rows import NAN, codes, flat, mean, weights
from banyan.types import Array


def ndcg(score: Array, grade: Array, group: Array, k: int | None = None, weight: Array | None = None) -> float:
    """Mean over groups of the discounted gain of their list by score over that of the best list, in [0, 1].

    Gain 2^grade - 1 (Burges et al., ICML 2005), discount 1 / log2(rank + 1), 0 past rank k; tied scores share their places' discounts evenly
    (McSherry and Najork, ECIR 2008). A group whose grades are all equal has nothing to order and is left out; a group weighs
    the mean of its rows' weights.
    """
    s, g = flat(score, grade)
    w = weights(weight, len(s))
    if not len(s) or np.isnan(s).any():
        return NAN
    code = codes(group)
    gain = np.exp2(g) - 1
    got, best = (np.bincount(code, gain * _discounts(by, code, k)) for by in (s, g))
    low, high = np.full(len(got), np.inf), np.full(len(got), -np.inf)
    np.minimum.at(low, code, g)
    np.maximum.at(high, code, g)
    usable = (high > low) & (best > 0)
    return mean(got[usable] / best[usable], np.bincount(code, w)[usable] / np.bincount(code)[usable])


def _discounts(score: Array, code: Array, k: int | None) -> Array:
    order = np.lexsort((-score, code))
    s, c = score[order], code[order]
    starts = np.flatnonzero(np.r_[True, c[1:] != c[:-1]])
    rank = np.arange(len(s)) - np.repeat(starts, np.diff(np.r_[starts, len(s)])) + 1
    each = np.where(rank <= (k or len(s)), 1 / np.log2(rank + 1), 0.0)
    ties = np.flatnonzero(np.r_[True, (c[1:] != c[:-1]) | (s[1:] != s[:-1])])
    sizes = np.diff(np.r_[ties, len(s)])
    out = np.empty(len(s))
    out[order] = np.repeat(np.add.reduceat(each, ties) / sizes, sizes)
    return out


def _targets(ranks: Array, weight: Array | None) -> tuple[Array, Array, Array]:
    ranks = np.asarray(ranks, np.float64)
    ranks = ranks.reshape(-1, 1) if ranks.ndim == 1 else ranks
    count = (~np.isnan(ranks)).sum(1)
    return ranks[count > 0], count[count > 0], weights(weight, len(ranks))[count > 0]


def hit_rate_at(ranks: Array, k: int, weight: Array | None = None) -> float:
    """Share of rows with a target among the first k. `ranks` (n, T) from 1, nan padded; a row without targets is left out; inf is never found."""
    ranks, _, w = _targets(ranks, weight)
    return mean(np.any(ranks <= k, axis=1), w)


def recall_at(ranks: Array, k: int, weight: Array | None = None) -> float:
    """Mean share of a row's targets among the first k; more targets than k places keep it below 1."""
    ranks, count, w = _targets(ranks, weight)
    return mean((ranks <= k).sum(1) / count, w)


def ndcg_at(ranks: Array, k: int, weight: Array | None = None) -> float:
    """Mean over rows of sum 1 / log2(rank + 1) over the targets among the first k, over the same of the best list (Jarvelin and Kekalainen, 2002)."""
    ranks, count, w = _targets(ranks, weight)
    row, column = np.nonzero(ranks <= k)
    gain = np.bincount(row, 1 / np.log2(ranks[row, column] + 1), len(ranks))
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    return mean(gain / ideal[np.minimum(count, k) - 1], w)


def mrr_at(ranks: Array, k: int, weight: Array | None = None) -> float:
    """Mean of 1 / rank of a row's first target, 0 past rank k."""
    ranks, _, w = _targets(ranks, weight)
    return mean(np.where(ranks <= k, 1 / np.where(ranks <= k, ranks, 1.0), 0.0).max(1, initial=0.0), w)

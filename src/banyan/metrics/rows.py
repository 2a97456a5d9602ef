"""Rows and their weights: means, ratios, ranks that count weight."""

import numpy as np

from banyan.types import Array

NAN = float("nan")
TINY = 1e-7  # probabilities nearer to 0 or 1 than this are scored as this: a single-precision sigmoid cannot tell them apart


def flat(*columns: Array) -> list[Array]:
    """Each as one column of float64."""
    return [np.asarray(each, np.float64).reshape(-1) for each in columns]


def weights(weight: Array | None, rows: int) -> Array:
    """(n,) row weights; 1 unless given."""
    return np.ones(rows) if weight is None else np.asarray(weight, np.float64).reshape(-1)


def codes(keys: Array) -> Array:
    """Whole numbers from 0 that name the keys' groups; some may be of no row."""
    keys = np.asarray(keys).reshape(-1)
    if keys.dtype.kind in "iu" and len(keys) and keys.min() >= 0 and keys.max() < 4 * len(keys):
        return keys.astype(np.int64, copy=False)
    return np.unique(keys, return_inverse=True)[1].reshape(-1)


def ratio(top: float, bottom: float) -> float:
    """Top / bottom; nan unless the bottom is positive."""
    return float(top / bottom) if bottom > 0 else NAN


def mean(values: Array, weight: Array | None = None) -> float:
    """Weighted mean; nan without rows."""
    (x,) = flat(values)
    w = weights(weight, len(x))
    return ratio(float(w @ x), float(w.sum()))


def midrank(values: Array, weight: Array | None = None, group: Array | None = None) -> Array:
    """(n,) for each row, the weight of the rows below it plus half the weight of its equals, itself among them, within its group.

    `group` holds whole numbers. With weights 1, add 1/2 for the usual average rank from 1.
    """
    (x,) = flat(values)
    w = weights(weight, len(x))
    if not len(x):
        return np.zeros(0)
    order = np.argsort(x, kind="stable") if group is None else np.lexsort((x, group))
    x, w = x[order], w[order]
    block = np.zeros(len(x), bool) if group is None else np.r_[False, np.diff(np.asarray(group)[order]) != 0]
    block[0] = True
    first = np.flatnonzero(block | np.r_[True, x[1:] != x[:-1]])
    total = np.r_[0.0, np.cumsum(w)]
    ends = np.r_[first[1:], len(x)]
    middle = np.repeat((total[first] + total[ends]) / 2, ends - first)
    starts = np.flatnonzero(block)
    out = np.empty(len(x))
    out[order] = middle - np.repeat(total[starts], np.diff(np.r_[starts, len(x)]))
    return out

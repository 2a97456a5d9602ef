"""Answers between two bounds as log odds, in double precision and without an infinity."""

import numpy as np

from banyan.types import Array

LEAST, MOST = 1e-30, 1 - 2**-25  # single precision tells apart what lies between


def odds(share: Array) -> Array:
    """ln(p / (1 - p)) of shares in [0, 1]."""
    p = np.clip(np.asarray(share, np.float64), LEAST, MOST)
    return np.asarray(np.log(p) - np.log1p(-p))


def chance(odds: Array) -> Array:
    """1 / (1 + exp(-z))."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds))) if np.isfinite(odds).all() else np.asarray(1 / (1 + np.exp(-odds)))


def rows(column: int, *arrays: Array, seen: Array, weight: Array) -> tuple[list[Array], Array]:
    """One column of each array where it is seen and weighs something, as float64, and the weights."""
    keep = seen[:, min(column, seen.shape[1] - 1)].astype(bool) & (weight > 0)
    return [np.asarray(each[keep, column], np.float64) for each in arrays], weight[keep].astype(np.float64)

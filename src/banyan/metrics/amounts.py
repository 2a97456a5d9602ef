"""Answers that are amounts or counts: errors, and whether the order is right."""

import numpy as np

from banyan.metrics.rows import NAN, TINY, flat, mean, midrank, ratio, weights
from banyan.types import Array


def rmse(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Root mean squared error, in the label's unit."""
    p, y = flat(prediction, label)
    return float(np.sqrt(mean((p - y) ** 2, weight)))


def mae(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Mean absolute error, in the label's unit."""
    p, y = flat(prediction, label)
    return mean(np.abs(p - y), weight)


def wape(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Weighted absolute percentage error: sum |prediction - label| / sum |label|. nan where all labels are 0."""
    p, y = flat(prediction, label)
    w = weights(weight, len(p))
    return ratio(float(w @ np.abs(p - y)), float(w @ np.abs(y)))


def bias(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Sum of predictions over sum of labels, less 1: 0.1 promises a tenth too much. nan unless the labels' sum is positive."""
    p, y = flat(prediction, label)
    w = weights(weight, len(p))
    return ratio(float(w @ (p - y)), float(w @ y))


def r2(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Coefficient of determination: 1 - squared error / variance. nan where the labels do not vary."""
    p, y = flat(prediction, label)
    w = weights(weight, len(p))
    spread = float(w @ (y - mean(y, w)) ** 2) if len(p) else 0.0
    return 1 - ratio(float(w @ (p - y) ** 2), spread)


def _covariance(x: Array, y: Array, w: Array) -> float:
    return mean((x - mean(x, w)) * (y - mean(y, w)), w)


def gini(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Normalised Gini: how well the order of the predictions concentrates the money, 1 for the labels' own order, 0 for chance.

    cov(label, midrank(prediction)) / cov(label, midrank(label)); blind to scale. nan where the labels do not vary.
    """
    p, y = flat(prediction, label)
    w = weights(weight, len(p))
    if not len(p) or np.isnan(p).any():
        return NAN
    return ratio(_covariance(y, midrank(p, w), w), _covariance(y, midrank(y, w), w))


def spearman(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Rank correlation, in [-1, 1], ties at their mean rank. nan where either side does not vary."""
    p, y = flat(prediction, label)
    w = weights(weight, len(p))
    if not len(p) or np.isnan(p).any():
        return NAN
    a, b = midrank(p, w), midrank(y, w)
    return ratio(_covariance(a, b, w), float(np.sqrt(max(_covariance(a, a, w) * _covariance(b, b, w), 0.0))))


def poisson_deviance(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Mean Poisson deviance of counts >= 0 (nats, twice): 2 (y ln(y / m) - y + m). Means are held above 1e-7."""
    m, y = flat(prediction, label)
    m = np.maximum(m, TINY)
    return mean(2 * (np.where(y > 0, y * np.log(np.maximum(y, TINY) / m), 0.0) - y + m), weight)

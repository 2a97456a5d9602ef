"""Answers that are probabilities of yes: order, likelihood, calibration."""

from typing import NamedTuple

import numpy as np

from banyan.metrics.rows import NAN, TINY, codes, flat, mean, midrank, weights
from banyan.types import Array


class Curve(NamedTuple):
    """A calibration curve: for each bin, in rising order of prediction."""

    predicted: Array  # mean predicted probability
    observed: Array  # share of positives
    weight: Array  # total weight of the rows


def auc(score: Array, label: Array, weight: Array | None = None) -> float:
    """Area under the ROC curve, in [0, 1]: the chance that a positive outscores a negative, ties half. nan with one class only.

    Mann and Whitney (1947): the positives' midranks among the negatives, over W+ W-. A label in (0, 1) counts for both classes in part.
    """
    s, y = flat(score, label)
    w = weights(weight, len(s))
    positive, negative = float(w @ y), float(w @ (1 - y))
    if np.isnan(s).any() or positive <= 0 or negative <= 0:
        return NAN
    # ranks among the negatives only: a positive's is the weight of the negatives that it beats, ties half
    return float(np.sum(w * y * midrank(s, w * (1 - y))) / (positive * negative))


def grouped_auc(score: Array, label: Array, group: Array, weight: Array | None = None) -> float:
    """AUC within each group (a user, say), averaged by the group's weight (GAUC: Zhu et al., KDD 2017). Groups of one class are left out."""
    s, y = flat(score, label)
    w = weights(weight, len(s))
    if not len(s) or np.isnan(s).any():
        return NAN
    code = codes(group)
    pairs = np.bincount(code, w * y * midrank(s, w * (1 - y), code))
    positive, negative = np.bincount(code, w * y), np.bincount(code, w * (1 - y))
    usable = (positive > 0) & (negative > 0)
    each = pairs[usable] / (positive * negative)[usable]
    return mean(each, (positive + negative)[usable])


def log_loss(probability: Array, label: Array, weight: Array | None = None) -> float:
    """Mean negative log likelihood (nats) of labels in [0, 1]. Probabilities are held inside [1e-7, 1 - 1e-7]."""
    p, y = flat(probability, label)
    p = np.clip(p, TINY, 1 - TINY)
    return mean(-(y * np.log(p) + (1 - y) * np.log1p(-p)), weight)


def calibration_curve(probability: Array, label: Array, weight: Array | None = None, bins: int = 15) -> Curve:
    """Mean prediction and share of positives in bins of equal weight; equal predictions share a bin, so that bins may be fewer."""
    p, y = flat(probability, label)
    w = weights(weight, len(p))
    p, y, w = p[w > 0], y[w > 0], w[w > 0]
    place = np.minimum((midrank(p, w) / max(w.sum(), 1e-300) * bins).astype(np.int64), bins - 1)
    total = np.bincount(place, w, bins)
    used = total > 0
    return Curve(np.bincount(place, w * p, bins)[used] / total[used], np.bincount(place, w * y, bins)[used] / total[used], total[used])


def calibration_error(probability: Array, label: Array, weight: Array | None = None, bins: int = 15) -> float:
    """Expected calibration error, in [0, 1]: mean distance between prediction and share of positives over bins of equal weight.

    Naeini et al. (AAAI 2015) with the equal-mass bins of Nguyen and O'Connor (EMNLP 2015). On n rows, a perfect model of a label with rate p
    still shows about .8 sqrt(p (1 - p) bins / n).
    """
    curve = calibration_curve(probability, label, weight, bins)
    return mean(np.abs(curve.predicted - curve.observed), curve.weight)

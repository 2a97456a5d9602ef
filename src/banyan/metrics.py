"""Figures of merit: pure functions on arrays, nan where a figure is undefined, never 0.

Knows no task and no table. Every figure over rows takes row weights (1 unless given) and costs O(n log n); a row of weight 2
counts as the same row twice, so that a bootstrap is a matter of integer weights.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from banyan.types import Array

NAN = float("nan")
TINY = 1e-7  # probabilities nearer to 0 or 1 than this are scored as this: a single-precision sigmoid cannot tell them apart


class Interval(NamedTuple):
    """A figure with the ends of its percentile bootstrap interval."""

    value: float
    low: float
    high: float


class Macro(NamedTuple):
    """Precision, recall and F1, each the plain mean over the classes for which it is defined."""

    precision: float
    recall: float
    f1: float


class Curve(NamedTuple):
    """A calibration curve: for each bin, in rising order of prediction."""

    predicted: Array  # mean predicted probability
    observed: Array  # share of positives
    weight: Array  # total weight of the rows


def _flat(*columns: Array) -> list[Array]:
    return [np.asarray(each, np.float64).reshape(-1) for each in columns]


def _weights(weight: Array | None, rows: int) -> Array:
    return np.ones(rows) if weight is None else np.asarray(weight, np.float64).reshape(-1)


def _codes(keys: Array) -> Array:
    """Whole numbers from 0 that name the keys' groups; some may be of no row."""
    keys = np.asarray(keys).reshape(-1)
    if keys.dtype.kind in "iu" and len(keys) and keys.min() >= 0 and keys.max() < 4 * len(keys):
        return keys.astype(np.int64, copy=False)
    return np.unique(keys, return_inverse=True)[1].reshape(-1)


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 0 else NAN


def mean(values: Array, weight: Array | None = None) -> float:
    """Weighted mean; nan without rows."""
    (x,) = _flat(values)
    w = _weights(weight, len(x))
    return _ratio(float(w @ x), float(w.sum()))


def midrank(values: Array, weight: Array | None = None, group: Array | None = None) -> Array:
    """(n,) for each row, the weight of the rows below it plus half the weight of its equals, itself among them, within its group.

    `group` holds whole numbers. With weights 1, add 1/2 for the usual average rank from 1.
    """
    (x,) = _flat(values)
    w = _weights(weight, len(x))
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


# --- binary answers ---------------------------------------------------------------------------------------------------


def auc(score: Array, label: Array, weight: Array | None = None) -> float:
    """Area under the ROC curve, in [0, 1]: the chance that a positive outscores a negative, ties half. nan with one class only.

    Mann and Whitney (1947): the positives' midranks among the negatives, over W+ W-. A label in (0, 1) counts for both classes in part.
    """
    s, y = _flat(score, label)
    w = _weights(weight, len(s))
    positive, negative = float(w @ y), float(w @ (1 - y))
    if np.isnan(s).any() or positive <= 0 or negative <= 0:
        return NAN
    # ranks among the negatives only: a positive's is the weight of the negatives that it beats, ties half
    return float(np.sum(w * y * midrank(s, w * (1 - y))) / (positive * negative))


def grouped_auc(score: Array, label: Array, group: Array, weight: Array | None = None) -> float:
    """AUC within each group (a user, say), averaged by the group's weight (GAUC: Zhu et al., KDD 2017). Groups of one class are left out."""
    s, y = _flat(score, label)
    w = _weights(weight, len(s))
    if not len(s) or np.isnan(s).any():
        return NAN
    code = _codes(group)
    pairs = np.bincount(code, w * y * midrank(s, w * (1 - y), code))
    positive, negative = np.bincount(code, w * y), np.bincount(code, w * (1 - y))
    usable = (positive > 0) & (negative > 0)
    each = pairs[usable] / (positive * negative)[usable]
    return mean(each, (positive + negative)[usable])


def log_loss(probability: Array, label: Array, weight: Array | None = None) -> float:
    """Mean negative log likelihood (nats) of labels in [0, 1]. Probabilities are held inside [1e-7, 1 - 1e-7]."""
    p, y = _flat(probability, label)
    p = np.clip(p, TINY, 1 - TINY)
    return mean(-(y * np.log(p) + (1 - y) * np.log1p(-p)), weight)


def calibration_curve(probability: Array, label: Array, weight: Array | None = None, bins: int = 15) -> Curve:
    """Mean prediction and share of positives in bins of equal weight; equal predictions share a bin, so that bins may be fewer."""
    p, y = _flat(probability, label)
    w = _weights(weight, len(p))
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


# --- classes ----------------------------------------------------------------------------------------------------------


def accuracy(predicted: Array, code: Array, weight: Array | None = None) -> float:
    """Share of rows whose predicted code is right."""
    return mean(np.equal(np.asarray(predicted).reshape(-1), np.asarray(code).reshape(-1)), weight)


def cross_entropy(probability: Array, code: Array, weight: Array | None = None) -> float:
    """Mean negative log probability (nats) of the right class; `probability` (n, C), held above 1e-7."""
    p = np.asarray(probability, np.float64)
    right = np.take_along_axis(p, np.asarray(code, np.int64).reshape(-1, 1), 1) if len(p) else p[:, :1]
    return mean(-np.log(np.clip(right, TINY, 1.0)), weight)


def macro(predicted: Array, code: Array, classes: int, weight: Array | None = None) -> Macro:
    """Precision, recall and F1 of codes in [0, classes), each averaged over the classes for which it is defined.

    Recall needs a row of the class, precision a prediction of it, F1 either. Macro recall is also called balanced accuracy.
    """
    guess, truth = (np.asarray(each, np.int64).reshape(-1) for each in (predicted, code))
    w = _weights(weight, len(guess))
    hit = np.bincount(truth, w * (guess == truth), classes)
    return macro_of_counts(hit, np.bincount(guess, w, classes), np.bincount(truth, w, classes))


def macro_of_counts(hit: Array, guessed: Array, actual: Array) -> Macro:
    """Macro figures from each class's (C,) weight of true positives, of predictions and of rows."""

    def average(top: Array, bottom: Array) -> float:
        return mean(top[bottom > 0] / bottom[bottom > 0])

    return Macro(average(hit, guessed), average(hit, actual), average(2 * hit, guessed + actual))


# --- amounts and counts -----------------------------------------------------------------------------------------------


def rmse(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Root mean squared error, in the label's unit."""
    p, y = _flat(prediction, label)
    return float(np.sqrt(mean((p - y) ** 2, weight)))


def mae(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Mean absolute error, in the label's unit."""
    p, y = _flat(prediction, label)
    return mean(np.abs(p - y), weight)


def wape(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Weighted absolute percentage error: sum |prediction - label| / sum |label|. nan where all labels are 0."""
    p, y = _flat(prediction, label)
    w = _weights(weight, len(p))
    return _ratio(float(w @ np.abs(p - y)), float(w @ np.abs(y)))


def bias(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Sum of predictions over sum of labels, less 1: 0.1 promises a tenth too much. nan unless the labels' sum is positive."""
    p, y = _flat(prediction, label)
    w = _weights(weight, len(p))
    return _ratio(float(w @ (p - y)), float(w @ y))


def r2(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Coefficient of determination: 1 - squared error / variance. nan where the labels do not vary."""
    p, y = _flat(prediction, label)
    w = _weights(weight, len(p))
    spread = float(w @ (y - mean(y, w)) ** 2) if len(p) else 0.0
    return 1 - _ratio(float(w @ (p - y) ** 2), spread)


def _covariance(x: Array, y: Array, w: Array) -> float:
    return mean((x - mean(x, w)) * (y - mean(y, w)), w)


def gini(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Normalised Gini: how well the order of the predictions concentrates the money, 1 for the labels' own order, 0 for chance.

    cov(label, midrank(prediction)) / cov(label, midrank(label)); blind to scale. nan where the labels do not vary.
    """
    p, y = _flat(prediction, label)
    w = _weights(weight, len(p))
    if not len(p) or np.isnan(p).any():
        return NAN
    return _ratio(_covariance(y, midrank(p, w), w), _covariance(y, midrank(y, w), w))


def spearman(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Rank correlation, in [-1, 1], ties at their mean rank. nan where either side does not vary."""
    p, y = _flat(prediction, label)
    w = _weights(weight, len(p))
    if not len(p) or np.isnan(p).any():
        return NAN
    a, b = midrank(p, w), midrank(y, w)
    return _ratio(_covariance(a, b, w), float(np.sqrt(max(_covariance(a, a, w) * _covariance(b, b, w), 0.0))))


def poisson_deviance(prediction: Array, label: Array, weight: Array | None = None) -> float:
    """Mean Poisson deviance of counts >= 0 (nats, twice): 2 (y ln(y / m) - y + m). Means are held above 1e-7."""
    m, y = _flat(prediction, label)
    m = np.maximum(m, TINY)
    return mean(2 * (np.where(y > 0, y * np.log(np.maximum(y, TINY) / m), 0.0) - y + m), weight)


# --- lists ------------------------------------------------------------------------------------------------------------


def ndcg(score: Array, grade: Array, group: Array, k: int | None = None, weight: Array | None = None) -> float:
    """Mean over groups of the discounted gain of their list by score over that of the best list, in [0, 1].

    Gain 2^grade - 1 (Burges et al., ICML 2005), discount 1 / log2(rank + 1), 0 past rank k; tied scores share their places' discounts evenly
    (McSherry and Najork, ECIR 2008). A group whose grades are all equal has nothing to order and is left out; a group weighs
    the mean of its rows' weights.
    """
    s, g = _flat(score, grade)
    w = _weights(weight, len(s))
    if not len(s) or np.isnan(s).any():
        return NAN
    code = _codes(group)
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
    return ranks[count > 0], count[count > 0], _weights(weight, len(ranks))[count > 0]


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


# --- how sure ---------------------------------------------------------------------------------------------------------


def bootstrap(
    metric: Callable[..., float],
    *columns: Array,
    weight: Array | None = None,
    cluster: Array | None = None,
    draws: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of `metric(*columns, weight=w)` by drawing clusters (users, say; rows unless given) with replacement.

    A draw is a set of whole-number weights, so nothing is copied (Efron, 1979; clusters: Field and Welsh, 2007). `columns` are arrays over the
    same n rows. Draws in which the metric is undefined are left out; with fewer than half defined, or no row, the ends are nan.
    """
    return _interval(metric, *_sorted(columns, weight, cluster), draws, level, seed)


def paired_bootstrap(
    metric: Callable[..., float],
    a: Array,
    b: Array,
    *columns: Array,
    weight: Array | None = None,
    cluster: Array | None = None,
    draws: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The same for `metric(a, *columns) - metric(b, *columns)`: both predictions see the same draws, so what they share cancels."""

    def difference(a: Array, b: Array, *columns: Array, weight: Array) -> float:
        return metric(a, *columns, weight=weight) - metric(b, *columns, weight=weight)

    return _interval(difference, *_sorted((a, b, *columns), weight, cluster), draws, level, seed)


def _sorted(columns: tuple[Array, ...], weight: Array | None, cluster: Array | None) -> tuple[tuple[Array, ...], Array, Array | None]:
    # rows in the order of the first column: every draw of a ranking metric then sorts what is sorted, in linear time
    arrays = tuple(np.asarray(each) for each in columns)
    w = _weights(weight, len(arrays[0]))
    order = np.argsort(arrays[0], kind="stable") if arrays[0].ndim == 1 else np.arange(len(arrays[0]))
    return tuple(each[order] for each in arrays), w[order], None if cluster is None else np.asarray(cluster)[order]


def _interval(metric: Callable[..., float], columns: tuple[Array, ...], weight: Array, cluster: Array | None, draws: int, level: float, seed: int) -> Interval:
    rng = np.random.default_rng(seed)
    if not len(weight):
        return Interval(NAN, NAN, NAN)
    cluster = np.arange(len(weight)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    clusters = int(cluster.max()) + 1
    found = np.empty(draws)
    for draw in range(draws):
        times = np.bincount(rng.integers(0, clusters, clusters), minlength=clusters)[cluster]
        drawn = np.flatnonzero(times)  # about two thirds of the rows; the others would only cost time
        found[draw] = metric(*(each[drawn] for each in columns), weight=(weight * times)[drawn])
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2]) if 2 * len(found) >= draws else (NAN, NAN)
    return Interval(metric(*columns, weight=weight), float(low), float(high))

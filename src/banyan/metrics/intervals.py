"""How sure a figure is: bootstrap intervals, of one prediction and of the difference of two."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from banyan.metrics.rows import NAN, weights
from banyan.types import Array

LEVEL = 0.95


class Interval(NamedTuple):
    """A figure with the ends of its percentile bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(
    metric: Callable[..., float],
    *columns: Array,
    weight: Array | None = None,
    cluster: Array | None = None,
    draws: int = 200,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of `metric(*columns, weight=w)` by drawing clusters (users, say; rows unless given) with replacement.

    A draw is a set of whole-number weights, so nothing is copied (Efron, 1979; clusters: Field and Welsh, 2007). `columns` are arrays over the
    same n rows. Draws in which the metric is undefined are left out; with fewer than half defined, or no row, the ends are nan.
    """
    return _bootstrap(metric, *_sorted(columns, weight, cluster), draws, level, seed)


def paired_bootstrap(
    metric: Callable[..., float],
    a: Array,
    b: Array,
    *columns: Array,
    weight: Array | None = None,
    cluster: Array | None = None,
    draws: int = 200,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """The same for `metric(a, *columns) - metric(b, *columns)`: both predictions see the same draws, so what they share cancels."""

    def difference(a: Array, b: Array, *columns: Array, weight: Array) -> float:
        return metric(a, *columns, weight=weight) - metric(b, *columns, weight=weight)

    return _bootstrap(difference, *_sorted((a, b, *columns), weight, cluster), draws, level, seed)


def _sorted(columns: tuple[Array, ...], weight: Array | None, cluster: Array | None) -> tuple[tuple[Array, ...], Array, Array | None]:
    # rows in the order of the first column: every draw of a ranking metric then sorts what is sorted, in linear time
    arrays = tuple(np.asarray(each) for each in columns)
    w = weights(weight, len(arrays[0]))
    order = np.argsort(arrays[0], kind="stable") if arrays[0].ndim == 1 else np.arange(len(arrays[0]))
    return tuple(each[order] for each in arrays), w[order], None if cluster is None else np.asarray(cluster)[order]


def _bootstrap(metric: Callable[..., float], columns: tuple[Array, ...], weight: Array, cluster: Array | None, count: int, level: float, seed: int) -> Interval:
    if not len(weight):
        return Interval(NAN, NAN, NAN)
    drawn = [metric(*(each[places] for each in columns), weight=weight[places] * times) for places, times in draw(cluster, len(weight), count, seed)]
    return interval(metric(*columns, weight=weight), drawn, level)


def draw(cluster: Array | None, rows: int, draws: int, seed: int, fewest: int = 1) -> Iterator[tuple[Array, Array]]:
    """(places of the rows drawn, how many times each was) of each draw of clusters with replacement; none with fewer than `fewest` clusters.

    About two thirds of the rows are drawn; the others would only cost time.
    """
    rng = np.random.default_rng(seed)
    code = np.arange(rows) if cluster is None else np.unique(cluster, return_inverse=True)[1].reshape(-1)
    clusters = int(code.max(initial=-1)) + 1
    for _ in range(draws if clusters >= fewest else 0):
        times = np.bincount(rng.integers(0, clusters, clusters), minlength=clusters)[code]
        places = np.flatnonzero(times)
        yield places, times[places]


def interval(value: float, drawn: Sequence[float], level: float = LEVEL) -> Interval:
    """The percentile interval of a figure from its values in draws; its ends are nan without draws and where fewer than half are defined."""
    known = np.asarray(drawn, float)
    known = known[~np.isnan(known)]
    if not len(drawn) or 2 * len(known) < len(drawn):
        return Interval(value, NAN, NAN)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))

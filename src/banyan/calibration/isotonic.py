"""Any map that rises: the answer becomes what came of answers like it."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from banyan.calibration import Calibration
from banyan.calibration._odds import rows
from banyan.parts import Size
from banyan.types import Array


class Isotonic(Calibration):
    """Isotonic regression by pooling adjacent violators (Zadrozny and Elkan, KDD 2002), straight between the pools' centres (Oron and Flournoy, 2017).

    Answers are first put into at most `bins` of equal weight, and each pool believes in its own answer as much as in one row. Below the first centre the
    map goes straight to the lower bound; above the last one to the upper bound, or on along the line from the lower bound where there is none.
    So it rises everywhere and keeps the order; ties appear only where two pools have one value, or where single precision cannot tell them apart.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"chances", "grades", "means"})

    def __init__(self, form: str, *, bins: Size = 200) -> None:
        super().__init__(form)
        self.bins = bins
        self.knots: list[tuple[list[float], list[float]]] = []

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """The pools of each column."""
        self.knots = []
        for column in range(answer.shape[1]):
            (p, y), w = rows(column, answer, label, seen=seen, weight=weight)
            x, value, size = _pools(*_binned(p, y, w, self.bins))
            x, value, _ = _pools(x, (size * value + x) / (size + 1), size + 1)
            self.knots.append(_ended(x, value, bounds))

    def apply(self, answer: Array) -> Array:
        """Straight between the knots, and on along the last line past them."""
        found = np.array(answer, np.float64)
        for column, (x, y) in enumerate(self.knots):
            values = found[:, column]
            past = y[-1] + (values - x[-1]) * (y[-1] - y[0]) / max(x[-1] - x[0], 1e-300)
            found[:, column] = np.where(values > x[-1], past, np.interp(values, x, y))
        return found

    def state(self) -> dict[str, Any]:
        """The knots: answers, and what they become."""
        return {"knots": [[list(x), list(y)] for x, y in self.knots]}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.knots = [([float(v) for v in x], [float(v) for v in y]) for x, y in state["knots"]]


def _binned(p: Array, y: Array, w: Array, bins: int) -> tuple[Array, Array, Array]:
    """Mean answer, mean label and weight of each bin, in rising order; equal answers share a bin."""
    if not len(p):
        return p, y, w
    order = np.argsort(p, kind="stable")
    p, y, w = p[order], y[order], w[order]
    first = np.flatnonzero(np.r_[True, p[1:] != p[:-1]])  # a run of equal answers is one
    runs = np.add.reduceat(w, first)
    place = np.minimum(((np.cumsum(runs) - runs / 2) / runs.sum() * bins).astype(np.int64), bins - 1)
    of = np.repeat(place, np.diff(np.r_[first, len(p)]))
    total, sum_p, sum_y = (np.bincount(of, each, bins) for each in (w, w * p, w * y))
    used = total > 0
    return sum_p[used] / total[used], sum_y[used] / total[used], total[used]


def _pools(x: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """(centre, value, weight) of each pool: neighbours that fall are made one until none does."""
    pools: list[tuple[float, float, float]] = []  # weight, weight * x, weight * y
    for each in zip(w.tolist(), (w * x).tolist(), (w * y).tolist(), strict=True):
        pools.append(each)
        while len(pools) > 1 and pools[-2][2] * pools[-1][0] >= pools[-1][2] * pools[-2][0]:
            last, before = pools.pop(), pools.pop()
            pools.append((before[0] + last[0], before[1] + last[1], before[2] + last[2]))
    found = np.array(pools).reshape(-1, 3)
    return found[:, 1] / found[:, 0], found[:, 2] / found[:, 0], found[:, 0]


def _ended(x: Array, y: Array, bounds: tuple[float, float]) -> tuple[list[float], list[float]]:
    """The knots with the ends of the range; with neither, the identity."""
    low, high = bounds
    x, y = np.r_[low, x], np.r_[low, y]
    if np.isfinite(high):
        x, y = np.r_[x, high], np.r_[y, high]
    elif len(x) == 1:
        x, y = np.r_[x, low + 1], np.r_[y, low + 1]
    keep = np.r_[True, np.diff(x) > 0]
    return x[keep].tolist(), y[keep].tolist()

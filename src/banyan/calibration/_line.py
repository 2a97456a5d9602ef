"""a logit(p) + b for every column, with or without the b. What `platt` and `temperature` are made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from banyan.calibration._odds import chance, odds, rows
from banyan.types import Array

STEPS, DAMP = 60, 1e-9
STEEPEST = 4.0  # |ln a| stays below this: a column that says next to nothing would ask for any slope
FARTHEST = np.array([STEEPEST, 50.0])  # of ln a and b
PRIOR = 1.0  # rows' worth of belief in a = 1, b = 0, so that a column without one of the two answers stays finite


class Line:
    """sigmoid(a logit(p) + b) of each column's share of the way between two bounds."""

    def __init__(self, *, offset: bool) -> None:
        self.offset = offset
        self.slopes: list[float] = []
        self.offsets: list[float] = []
        self.bounds = (0.0, 1.0)

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """Both numbers of every column, by weighted cross entropy of the labels, which may lie between the bounds."""
        self.bounds = bounds
        low, high = bounds
        found = []
        for column in range(answer.shape[1]):
            (p, y), w = rows(column, answer, label, seen=seen, weight=weight)
            found.append(_fitted(odds((p - low) / (high - low)), (y - low) / (high - low), w, self.offset))
        self.slopes, self.offsets = [a for a, _ in found], [b for _, b in found]

    def apply(self, answer: Array) -> Array:
        """The line; as it is before `fit`."""
        if not self.slopes:
            return answer
        low, high = self.bounds
        z = odds((answer - low) / (high - low)) * np.array(self.slopes) + np.array(self.offsets)
        return np.asarray(low + (high - low) * chance(z))

    def state(self) -> dict[str, Any]:
        """Slopes, offsets, bounds."""
        return {"slopes": self.slopes, "offsets": self.offsets, "bounds": list(self.bounds)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.slopes, self.offsets = [float(a) for a in state["slopes"]], [float(b) for b in state["offsets"]]
        low, high = state["bounds"]
        self.bounds = (float(low), float(high))


def _fitted(z: Array, y: Array, w: Array, offset: bool) -> tuple[float, float]:
    """(a, b): the slope as exp(s) so that it cannot fall to 0; damped Newton steps, none of which may raise the loss. (1, 0) without rows."""
    at = np.zeros(2)
    free = np.array([True, offset])
    loss = _loss(at, z, y, w)
    for _ in range(STEPS if len(z) else 0):
        gradient, hessian = _slope(at, z, y, w)
        step = np.zeros(2)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)] + DAMP * np.eye(int(free.sum())), gradient[free])
        size, moved = 1.0, False
        while size > 1e-6 and not moved:
            to = np.clip(at - size * step, -FARTHEST, FARTHEST)
            moved, size = (after := _loss(to, z, y, w)) < loss, size / 2
        if not moved or loss - after < 1e-12 * (1 + abs(loss)):
            break
        at, loss = to, after
    return float(np.exp(at[0])), float(at[1])


def _loss(at: Array, z: Array, y: Array, w: Array) -> float:
    t = np.exp(at[0]) * z + at[1]
    return float(w @ (np.logaddexp(0, t) - y * t) + 0.5 * PRIOR * (at @ at))


def _slope(at: Array, z: Array, y: Array, w: Array) -> tuple[Array, Array]:
    """Gradient, and a curvature that is positive throughout (the Gauss-Newton part)."""
    a = np.exp(at[0])
    p = chance(a * z + at[1])
    x = np.stack([a * z, np.ones_like(z)])
    gradient = x @ (w * (p - y)) + PRIOR * at
    hessian = (x * (w * p * (1 - p))) @ x.T + PRIOR * np.eye(2)
    return gradient, hessian

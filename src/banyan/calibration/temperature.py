"""One number that makes all answers bolder or shyer."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from banyan.calibration import Calibration
from banyan.calibration._line import STEEPEST, Line
from banyan.types import Array

TINY = 1e-30
STEPS = 60


class Temperature(Calibration):
    """p' = softmax(ln(p) / T) of classes, sigmoid(logit(p) / T) of chances and of grades, by weighted cross entropy (Guo et al., ICML 2017, section 4.2).

    Classes share one T, so the most likely class stays the most likely one (the order of rows within one class's column may change: their
    sums differ). Chances, tags and grades have a T a column; order is kept there, and no tie made.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"chances", "classes", "grades"})

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self.map = _Classes() if form == "classes" else Line(offset=False)

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """One T a column, or one for all classes."""
        self.map.fit(answer, label, seen, weight, bounds)

    def apply(self, answer: Array) -> Array:
        """Bolder or shyer."""
        return self.map.apply(np.asarray(answer, np.float64))

    def state(self) -> dict[str, Any]:
        """1 / T of each column, or of the classes."""
        return self.map.state()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.map.load(state)


class _Classes:
    """softmax(ln(p) / T) with one T."""

    def __init__(self) -> None:
        self.sharpness = 1.0  # 1 / T

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """The cross entropy is convex in 1 / T, so its slope is followed to 0 by halving on a log scale."""
        keep = seen[:, 0].astype(bool) & (weight > 0)
        logs, w = _logs(answer[keep]), weight[keep].astype(np.float64)
        right = (label[keep] * logs).sum(1)
        low, high = -STEEPEST, STEEPEST
        for _ in range(STEPS if len(w) else 0):
            middle = (low + high) / 2
            slope = float(w @ ((_softmax(logs * np.exp(middle)) * logs).sum(1) - right)) + middle  # one row's worth of belief in T = 1
            low, high = (low, middle) if slope > 0 else (middle, high)
        self.sharpness = float(np.exp((low + high) / 2))

    def apply(self, answer: Array) -> Array:
        return _softmax(_logs(answer) * self.sharpness)

    def state(self) -> dict[str, Any]:
        return {"sharpness": self.sharpness}

    def load(self, state: Mapping[str, Any]) -> None:
        self.sharpness = float(state["sharpness"])


def _logs(p: Array) -> Array:
    return np.asarray(np.log(np.maximum(np.asarray(p, np.float64), TINY)))


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))

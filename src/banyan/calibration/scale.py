"""One factor: what was promised in all becomes what came in all."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from banyan.calibration import Calibration
from banyan.calibration._odds import rows
from banyan.types import Array

WIDEST = 100.0  # a factor lies within [1 / 100, 100]


class Scale(Calibration):
    """m' = s m with s = (sum of weighted labels + m0) / (sum of weighted answers + m0), m0 being one mean answer; an s a column.

    So the sum over a catalogue or a year is right. Order is kept, and no tie made.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"means"})

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self.factors: list[float] = []

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """The ratio of the sums."""
        self.factors = []
        for column in range(answer.shape[1]):
            (p, y), w = rows(column, answer, label, seen=seen, weight=weight)
            own = float(w @ p) / max(float(w.sum()), 1e-12)
            ratio = (float(w @ y) + own) / (float(w @ p) + own) if own > 0 else 1.0
            self.factors.append(float(np.clip(ratio, 1 / WIDEST, WIDEST)))

    def apply(self, answer: Array) -> Array:
        """Times the factor."""
        found = np.asarray(answer, np.float64)
        return found * np.array(self.factors) if self.factors else found

    def state(self) -> dict[str, Any]:
        """The factors."""
        return {"factors": self.factors}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.factors = [float(each) for each in state["factors"]]

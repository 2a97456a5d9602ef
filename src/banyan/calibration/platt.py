"""A line through the log odds: a slope for what is over-sure, an offset for what is too high."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from banyan.calibration import Calibration
from banyan.calibration._line import Line
from banyan.types import Array


class Platt(Calibration):
    """p' = sigmoid(a logit(p) + b), a > 0, by weighted cross entropy (Platt, 1999, in the form of Guo et al., ICML 2017, section 4.1); one a and b a column.

    An expected grade goes through the same line as its share of the way from the lowest to the highest grade. Order is kept, and no tie made.
    """

    serves: ClassVar[frozenset[str]] = frozenset({"chances", "grades"})

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self.line = Line(offset=True)

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """Newton's method on both numbers of each column."""
        self.line.fit(answer, label, seen, weight, bounds)

    def apply(self, answer: Array) -> Array:
        """The line, column by column."""
        return self.line.apply(np.asarray(answer, np.float64))

    def state(self) -> dict[str, Any]:
        """Slopes, offsets, bounds."""
        return self.line.state()

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.line.load(state)

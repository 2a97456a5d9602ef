"""No calibration: answers as the network gives them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from banyan.calibration import Calibration
from banyan.types import Array


class Nothing(Calibration):
    """The identity: an answer stays as the network gave it, and so do all ties."""

    serves: ClassVar[frozenset[str]] = frozenset({"chances", "classes", "grades", "means", "scores"})

    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """Nothing to fit."""

    def apply(self, answer: Array) -> Array:
        """The answer."""
        return np.asarray(answer, np.float64)

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Nothing to take up."""

"""ANSWERS -> ANSWERS THAT HOLD: one file a method. Each column of an answer goes through a map that never falls, fitted on validation rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from banyan.types import Array


class Calibration(ABC):
    """Makes an answer mean what it says: of all rows that are told .2, one in five.

    What a map may read is the answer and nothing else, so it keeps the order of a column: AUC and every other figure of order stay as
    they were, but for ties that a map makes (each part says whether it does). A column whose labels cannot teach it anything stays as it is.
    """

    serves: ClassVar[frozenset[str]] = frozenset()  # the forms of answers that it can take: see `Task.answers`

    def __init__(self, form: str) -> None:
        """`form` is the task's, one of `serves`."""
        self.form = form

    @abstractmethod
    def fit(self, answer: Array, label: Array, seen: Array, weight: Array, bounds: tuple[float, float]) -> None:
        """Fit each column.

        answer, label (n, C) in the answer's unit, seen (n, C) bool, weight (n,): the rows' weights, 1 / sampling rate among them. `bounds`: the
        least and the largest value that an answer can have. For classes a row's label is 1 in the column of its class.
        """

    @abstractmethod
    def apply(self, answer: Array) -> Array:
        """(n, C) answers -> (n, C) float64 calibrated ones, within the bounds of `fit`. Before `fit`, as they are."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What `fit` found, as JSON has it."""

    @abstractmethod
    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""

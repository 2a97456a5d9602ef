"""FEATURE -> TOKEN: one file an encoder. Knows neither tables nor tasks."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from banyan.types import Column


class Encoder(nn.Module, ABC):
    """Turns the values of one feature into one token of width D."""

    def __init__(self, width: int, inputs: int) -> None:
        """`width` is D; `inputs` is how many numbers (M or E) a value has, 0 for features that are ids only."""
        super().__init__()
        self.width = width
        self.inputs = inputs

    @abstractmethod
    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """The token of each of n values; an unknown, missing or empty one gives a finite vector."""

"""TOKENS -> TOKENS: optional feature crosses before sharing, one file each."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Cross(nn.Module, ABC):
    """Adds products of features to a row's tokens and keeps their width."""

    extra: int  # how many tokens it appends to the S it reads; set by the part's __init__

    def __init__(self, tokens: int, width: int) -> None:
        """`tokens` is S, `width` is D."""
        super().__init__()

    @abstractmethod
    def forward(self, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S2 D"]:
        """The row's tokens with the crosses: S2 = S + extra."""

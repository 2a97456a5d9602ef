"""EVENTS -> TOKEN: one file a way to read a user's past. Knows no event log: it gets tokens."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn


class History(nn.Module, ABC):
    """Turns the L events before a row into one token of width D. Events are oldest first and padded in front."""

    causal = False  # True when `positions` answers
    aimed = False  # True when the target is read; else rows of one past have one token

    def __init__(self, width: int) -> None:
        """`width` is D."""
        super().__init__()
        self.width = width

    @abstractmethod
    def forward(
        self,
        tokens: Float[Tensor, "B L D"],
        gaps: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
        target: Float[Tensor, "B D"] | None,
    ) -> Float[Tensor, "B D"]:
        """The token of each row. `gaps` is log1p of the days from event to row; a row without events gives a finite vector."""

    def positions(self, tokens: Float[Tensor, "B L D"], gaps: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """What is known after each event, from it and the earlier ones only; for parts with `causal = True`."""
        raise TypeError(f"{type(self).__name__} reads a history as a whole and has no positions.")

"""EVENTS -> LOSS: one file a question that the training events answer by themselves, without labels. Asked in training only."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.features.stretches import Drawn, Stretches
from banyan.types import Stretch


@dataclass(frozen=True)
class Seen:
    """One view of n stretches of events, as the trunk encodes it: newest last, padded in front."""

    items: Float[Tensor, "n L D"]  # one vector an event, of its item
    behaviours: Float[Tensor, "n L D"]
    gaps: Float[Tensor, "n L"]  # log1p of the days to the view's newest event
    mask: Bool[Tensor, "n L"]
    hidden: Bool[Tensor, "n L"]  # events whose item is not shown; `items` holds the missing item there

    @property
    def tokens(self) -> Float[Tensor, "n L D"]:
        """The events as a history reads them."""
        return self.items + self.behaviours


Read = Callable[[Float[Tensor, "n L D"], Seen], Float[Tensor, "n D"]]  # the trunk's own history: (the tokens of a view, the view) -> one vector a stretch


class Auxiliary(nn.Module, ABC):
    """A self-supervised question about stretches of users' training events, on the trunk's own item encoders and history."""

    ordered: ClassVar[bool] = False  # whether it makes sense only of events that have a time or an order

    def __init__(self, width: int, items: int) -> None:
        """`width` is D; `items` the width of an item's tokens side by side. What it owns is left out of bundles."""
        super().__init__()
        self.width = width

    @abstractmethod
    def draw(self, events: Stretches, length: int, rng: np.random.Generator) -> Drawn:
        """What a step asks: views of at most `length` events each. All that is random comes from `rng`, so that a stopped run goes on alike."""

    @abstractmethod
    def forward(self, views: Sequence[Seen], read: Read, stretch: Stretch, candidates: Float[Tensor, "K items"] | None) -> Float[Tensor, ""]:
        """The loss (nats, >= 0) of a step; `candidates` are the tokens of `stretch.choice`, side by side."""

"""EVENTS, OR THINGS -> LOSS: one file a question that answers itself, without labels. Asked in training only.

A question is about stretches of users' events (`OfEvents`), or about things by themselves, such as the items of a catalogue (`OfThings`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from banyan.features.stretches import Drawn, Stretches
from banyan.types import Array, Stretch


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
    """A self-supervised question on the trunk's own encoders. What it owns is left out of bundles."""

    about: ClassVar[Literal["events", "things"]]
    ordered: ClassVar[bool] = False  # whether it makes sense only of events that have a time or an order

    def __init__(self, width: int) -> None:
        """`width` is D."""
        super().__init__()
        self.width = width


class OfEvents(Auxiliary):
    """A question about stretches of users' training events, on the trunk's own item encoders and history."""

    about = "events"

    def __init__(self, width: int, items: int) -> None:
        """`items`: the width of an item's tokens side by side."""
        super().__init__(width)

    @abstractmethod
    def draw(self, events: Stretches, length: int, rng: np.random.Generator) -> Drawn:
        """What a step asks: views of at most `length` events each. All that is random comes from `rng`, so that a stopped run goes on alike."""

    @abstractmethod
    def forward(self, views: Sequence[Seen], read: Read, stretch: Stretch, candidates: Float[Tensor, "K items"] | None) -> Float[Tensor, ""]:
        """The loss (nats, >= 0) of a step; `candidates` are the tokens of `stretch.choice`, side by side."""


class OfThings(Auxiliary):
    """A question about things of one entity by themselves, on the tokens of some of their features. It needs neither events nor a history."""

    about = "things"

    def __init__(self, width: int, entity: str, features: tuple[str, ...]) -> None:
        """`features`: those of `entity` that it compares; each has a token of its own."""
        super().__init__(width)
        self.entity, self.features = entity, features

    @abstractmethod
    def choose(self, things: Array, rng: np.random.Generator) -> Array:
        """Which things a step asks about, out of those (n,) that training may see and that have two of the features or more. Random by `rng` alone."""

    @abstractmethod
    def forward(self, tokens: Float[Tensor, "n F D"], told: Int[Tensor, "n F"]) -> Float[Tensor, ""]:
        """The loss (nats, >= 0) of a step. `told`: what the things say in each feature, alike where two say the same; 0 where one says nothing."""

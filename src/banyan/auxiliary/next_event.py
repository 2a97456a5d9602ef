"""What comes next? The next event of the log, whatever the behaviour, named from the events before it."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from banyan.auxiliary import OfEvents, Read, Seen
from banyan.auxiliary._named import Named
from banyan.features.stretches import Drawn, Stretches, View
from banyan.parts import Size
from banyan.types import Array, Stretch


class NextEvent(OfEvents):
    """The item of an event drawn from the log, named from the events strictly before it, among the batch's and `negatives` others.

    A ranking that needs no samples table (next-item prediction as in SASRec; Kang and McAuley, ICDM 2018, eq. 7, with one position a stretch).
    Events of one time are one basket: none of them tells of another.

    histories: stretches a step, at most one of a user.
    """

    ordered: ClassVar[bool] = True

    def __init__(self, width: int, items: int, *, histories: Size = 256, negatives: Size = 200) -> None:
        super().__init__(width, items)
        self.histories, self.negatives = histories, negatives
        self.named = Named(width, items, width)

    def draw(self, events: Stretches, length: int, rng: np.random.Generator) -> Drawn:
        """Events drawn evenly, and what lies before each."""
        at, user = events.drawn(rng, self.histories)
        first = _basket(events, at, user)
        told = first > events.start[user]
        places, mask = events.up_to(first[told], user[told], length)
        return Drawn([View(places, places, mask, np.zeros(mask.shape, bool))], at[told][:, None], None, self.negatives)

    def forward(self, views: Sequence[Seen], read: Read, stretch: Stretch, candidates: Float[Tensor, "K items"] | None) -> Float[Tensor, ""]:
        """The mean cross entropy of the next items."""
        (seen,) = views
        assert candidates is not None
        assert stretch.choice is not None
        assert stretch.places is not None
        loss: Tensor = self.named(read(seen.tokens, seen), candidates, stretch.choice, stretch.places[:, 0])
        return loss


def _basket(events: Stretches, at: Array, user: Array) -> Array:
    """(n,) the first place of the basket that each event lies in."""
    first = at.copy()
    time = events.time(at)
    while True:
        before = np.maximum(first - 1, 0)
        same = (first > events.start[user]) & (events.time(before) == time)
        if not same.any():
            return first
        first = np.where(same, before, first)

"""Which item was it? Some events of a history hide their item, and the others tell."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from banyan.auxiliary import OfEvents, Read, Seen
from banyan.auxiliary._named import Named
from banyan.features.stretches import Drawn, Stretches, View
from banyan.parts import Size
from banyan.types import Stretch


class MaskedEvents(OfEvents):
    """A cloze over a user's events (BERT4Rec; Sun et al., CIKM 2019, section 3.6), from one vector of the whole history.

    Of each stretch a share `hide` of the events, at least one and never all, keep behaviour and time and lose their item. The history reads what is
    left; from its vector, the hidden event's behaviour and how long ago it was, the item is to be named among the batch's and `negatives` others.

    histories: stretches a step, at most one of a user. most: hidden events of a stretch.
    """

    def __init__(
        self,
        width: int,
        items: int,
        *,
        histories: Size = 256,
        hide: Annotated[float, Field(gt=0, lt=1)] = 0.2,
        most: Size = 8,
        negatives: Size = 200,
    ) -> None:
        super().__init__(width, items)
        self.histories, self.hide, self.most, self.negatives = histories, hide, most, negatives
        self.mask = nn.Parameter(torch.randn(width) * 0.05)
        self.named = Named(2 * width + 1, items, width)

    def draw(self, events: Stretches, length: int, rng: np.random.Generator) -> Drawn:
        """Stretches that end at an event drawn at random; of each, which are hidden."""
        at, user = events.drawn(rng, self.histories)
        whole = at > events.start[user]  # two events or more: one to hide, one to tell
        places, mask = events.up_to(at[whole] + 1, user[whole], length)
        count = mask.sum(1)
        wanted = np.minimum(np.clip(np.round(self.hide * count), 1, count - 1), self.most).astype(np.int64)
        order = np.argsort(np.where(mask, rng.random(mask.shape), 2.0), axis=1)  # padding comes last
        asked = order[:, : int(wanted.max(initial=1))]
        asked = np.where(np.arange(asked.shape[1]) < wanted[:, None], asked, -1)
        hidden = np.zeros(mask.shape, bool)
        row, _ = np.nonzero(asked >= 0)
        hidden[row, asked[asked >= 0]] = True
        targets = np.where(asked >= 0, np.take_along_axis(places, np.maximum(asked, 0), 1), -1)
        return Drawn([View(places, places, mask, hidden)], targets, asked, self.negatives)

    def forward(self, views: Sequence[Seen], read: Read, stretch: Stretch, candidates: Float[Tensor, "K items"] | None) -> Float[Tensor, ""]:
        """The mean cross entropy of the hidden items."""
        (seen,) = views
        assert candidates is not None
        assert stretch.choice is not None
        assert stretch.places is not None
        assert stretch.asked is not None
        state = read(torch.where(seen.hidden[..., None], self.mask, seen.items) + seen.behaviours, seen)
        row, column = (stretch.asked >= 0).nonzero(as_tuple=True)
        event = stretch.asked[row, column]
        asked = torch.cat([state[row], seen.behaviours[row, event], seen.gaps[row, event][:, None]], 1)
        loss: Tensor = self.named(asked, candidates, stretch.choice, stretch.places[row, column])
        return loss

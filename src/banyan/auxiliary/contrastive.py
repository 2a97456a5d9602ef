"""Two changed copies of one history belong together: by crop, mask and reorder."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from banyan.auxiliary import OfEvents, Read, Seen
from banyan.features.stretches import Drawn, Stretches, View
from banyan.parts import Positive, Size
from banyan.types import Array, Stretch

Operation = Literal["crop", "mask", "reorder"]
Within = Annotated[float, Field(gt=0, lt=1)]


class Contrastive(OfEvents):
    """Two views of one user's history lie near each other, those of the batch's other users apart (CL4SRec; Xie et al., ICDE 2022, eq. 4).

    loss = -log exp(a . b / t) / sum over the other 2N - 1 views v of exp(a . v / t),   a, b: unit vectors of a small network on the history's own

    Each view of each stretch takes one of `operations` by lot: `crop` keeps a run of a share `kept` of the events, `mask` hides the items of a
    share `hide`, `reorder` shuffles the items within a run of a share `shuffled`, while the times stay where they are.

    histories: stretches a step, at most one of a user. temperature: t.
    """

    def __init__(
        self,
        width: int,
        items: int,
        *,
        histories: Size = 256,
        operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = ("crop", "mask", "reorder"),
        kept: Within = 0.6,
        hide: Within = 0.3,
        shuffled: Within = 0.6,
        temperature: Positive = 0.2,
    ) -> None:
        super().__init__(width, items)
        self.histories, self.operations, self.temperature = histories, operations, temperature
        self.kept, self.hide, self.shuffled = kept, hide, shuffled
        self.mask = nn.Parameter(torch.randn(width) * 0.05)
        self.project = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width))

    def draw(self, events: Stretches, length: int, rng: np.random.Generator) -> Drawn:
        """Two views of stretches that end at an event drawn at random."""
        at, user = events.drawn(rng, self.histories)
        whole = at > events.start[user]  # of one event there are no two views
        places, mask = events.up_to(at[whole] + 1, user[whole], length)
        return Drawn([self._view(places, mask, rng) for _ in range(2)] if len(places) > 1 else [View(places[:0], places[:0], mask[:0], mask[:0])])

    def _view(self, places: Array, mask: Array, rng: np.random.Generator) -> View:
        ways: dict[str, Callable[[Array, Array, np.random.Generator], View]] = {"crop": self._crop, "mask": self._mask, "reorder": self._reorder}
        views = [ways[name](places, mask, rng) for name in self.operations]
        lot = rng.integers(0, len(views), len(places))[:, None]
        what, when, kept, hidden = (
            np.select([lot == i for i in range(len(views))], [getattr(view, name) for view in views]) for name in ("what", "when", "mask", "hidden")
        )
        return View(what, when, kept.astype(bool), hidden.astype(bool))

    def _crop(self, places: Array, mask: Array, rng: np.random.Generator) -> View:
        count, longest = mask.sum(1), mask.shape[1]
        keep = np.maximum(np.floor(self.kept * count), 1).astype(np.int64)
        behind = np.floor(rng.random(len(count)) * (count - keep + 1)).astype(np.int64)  # events cut off at the newest end
        column = np.arange(longest) - behind[:, None]
        inside = np.arange(longest) >= longest - keep[:, None]
        moved = np.where(inside, np.take_along_axis(places, np.maximum(column, 0), 1), 0)
        return View(moved, moved, inside, np.zeros(mask.shape, bool))

    def _mask(self, places: Array, mask: Array, rng: np.random.Generator) -> View:
        count = mask.sum(1, keepdims=True)
        gone = np.clip(np.round(self.hide * count), 1, count - 1)
        order = np.argsort(np.argsort(np.where(mask, rng.random(mask.shape), 2.0), axis=1), axis=1)
        return View(places, places, mask, (order < gone) & mask)

    def _reorder(self, places: Array, mask: Array, rng: np.random.Generator) -> View:
        count, longest = mask.sum(1), mask.shape[1]
        run = np.clip(np.ceil(self.shuffled * count), 2, count).astype(np.int64)
        first = longest - count + np.floor(rng.random(len(count)) * (count - run + 1)).astype(np.int64)
        column = np.arange(longest)
        inside = (column >= first[:, None]) & (column < (first + run)[:, None])
        key = np.where(inside, first[:, None] + rng.random(mask.shape) * 0.5, column + np.where(column >= (first + run)[:, None], 0.0, -0.5))
        return View(np.take_along_axis(places, np.argsort(key, axis=1), 1), places, mask, np.zeros(mask.shape, bool))

    def forward(self, views: Sequence[Seen], read: Read, stretch: Stretch, candidates: Float[Tensor, "K items"] | None) -> Float[Tensor, ""]:
        """The mean over all 2N views."""
        found = [self.project(read(torch.where(v.hidden[..., None], self.mask, v.items) + v.behaviours, v)).float() for v in views]
        unit = functional.normalize(torch.cat(found), dim=1)
        likeness = unit @ unit.T / self.temperature
        itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
        other = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
        return functional.cross_entropy(likeness.masked_fill(itself, -torch.inf), other)

"""What two features say of one thing lies close, what they say of different things apart: a photo and its title."""

from itertools import combinations
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from banyan.auxiliary import OfThings
from banyan.parts import Positive
from banyan.types import Array


class Alignment(OfThings):
    """Of each pair of features, one names its thing by the other, among all things of the step, and back (CLIP; Radford et al., ICML 2021, fig. 3).

    loss = -1/2 mean over i of log softmax_j(a_i . b_j / t)_i + log softmax_j(b_i . a_j / t)_i,   a, b: unit vectors of linear maps of the two tokens

    A thing that lacks one of the two is in no pair, and two things that say the same in one of them are not told apart. With more than two features,
    the mean over their pairs.

    entity, features: whose and which. items: things a step. temperature: t.
    """

    def __init__(
        self,
        width: int,
        *,
        entity: str,
        features: Annotated[tuple[str, ...], Field(min_length=2)],
        items: Annotated[int, Field(ge=2)] = 256,
        temperature: Positive = 0.1,
    ) -> None:
        super().__init__(width, entity, features)
        self.items, self.temperature = items, temperature
        self.project = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in features)

    def choose(self, things: Array, rng: np.random.Generator) -> Array:
        """Things drawn evenly, each at most once."""
        return np.asarray(things[rng.choice(len(things), min(self.items, len(things)), replace=False)])

    def forward(self, tokens: Float[Tensor, "n F D"], told: Int[Tensor, "n F"]) -> Float[Tensor, ""]:
        """The mean over the pairs of features that some thing of the step has; 0 where none has."""
        units = [functional.normalize(project(tokens[:, i]).float(), dim=1) for i, project in enumerate(self.project)]
        found = []
        for one, other in combinations(range(len(units)), 2):
            both = (told[:, one] > 0) & (told[:, other] > 0)
            if both.any():
                found.append(self._pair(units[one][both], units[other][both], told[both][:, [one, other]]))
        return torch.stack(found).mean() if found else sum((each.sum() for each in units), tokens.new_zeros(())) * 0.0

    def _pair(self, ours: Float[Tensor, "m D"], theirs: Float[Tensor, "m D"], told: Int[Tensor, "m 2"]) -> Float[Tensor, ""]:
        itself = torch.eye(len(told), dtype=torch.bool, device=told.device)
        alike = (told[:, None] == told[None]).any(2) & ~itself
        scores = (ours @ theirs.T / self.temperature).masked_fill(alike, -torch.inf)
        right = torch.arange(len(told), device=told.device)
        return (functional.cross_entropy(scores, right) + functional.cross_entropy(scores.T, right)) / 2

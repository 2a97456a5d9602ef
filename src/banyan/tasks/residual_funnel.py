"""A funnel whose stages hand on what they found: each tower adds to the one before it, and each log odds takes off from the one before it."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from banyan.parts import Share, Size
from banyan.tasks._head import head, logit
from banyan.tasks._stages import Stages
from banyan.types import Candidates, Target


class ResidualFunnel(Stages):
    """Residual links between the stages' towers and between their log odds (after ResFlow: Fu et al., KDD 2024), with log odds that can only fall.

    h_s^l = layer_s^l(h_s^(l-1)) + h_(s-1)^l in every layer l of the towers, and a_s = a_(s-1) - softplus(r_s) with r_s read from stage s's last layer;
    p_s = sigmoid(a_s). Unlike the product's, every stage's score is one of the whole space: what orders views also orders purchases,
    and a rare stage has only to learn where it differs. A loss of stage s trains the towers of the stages before it too.
    """

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0) -> None:
        super().__init__(width, target)
        start = [logit(share) for share in target.prior] or [0.0] * len(target.names)
        drops = [_inverse(max(before - after, 1e-2)) for before, after in pairwise(start)]
        self.towers = nn.ModuleList(_Tower(width, tower, dropout) for _ in target.names)
        self.ends = nn.ModuleList(head((width, *tower)[-1], (), [bias], 0.0) for bias in [start[0], *drops])

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B V"]:
        """Log odds of reaching each stage, falling along a row."""
        found: list[Tensor] = []
        layers: list[Tensor] = []
        for tower, end, view in zip(self.towers, self.ends, views, strict=True):
            layers = tower(view, layers)
            own = end(layers[-1])
            found.append(found[-1] - functional.softplus(own) if found else own)
        return torch.cat(found, 1)

    def log_chances(self, raw: Float[Tensor, "B V"]) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """Of log odds."""
        return functional.logsigmoid(raw), functional.logsigmoid(-raw)


class _Tower(nn.Module):
    """One stage's layers, each added to the same layer of the stage before."""

    def __init__(self, width: int, tower: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((width, *tower)))
        self.dropout = nn.Dropout(dropout)

    def forward(self, view: Float[Tensor, "B H"], before: Sequence[Tensor]) -> list[Tensor]:
        """The view and what every layer makes of it."""
        found = [view]
        for number, layer in enumerate(self.layers, 1):
            own = self.dropout(layer(found[-1]).relu())
            found.append(own + before[number] if before else own)
        return found


def _inverse(value: float) -> float:
    """What softplus takes to `value` > 0."""
    return value + math.log(-math.expm1(-value))

"""A funnel as one ordered response: how far a row comes, by a single score against a threshold a stage."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from banyan.parts import Share, Size
from banyan.tasks._head import head, logit
from banyan.tasks._stages import Stages
from banyan.types import Candidates, Target


class OrdinalFunnel(Stages):
    """Proportional odds (McCullagh, 1980): p_s = sigmoid(f - theta_s), thetas rising, f one tower over the mean of the stages' views.

    With one score for all stages, frequent stages teach the order of rare ones: fewest parameters, and right where what makes somebody view is what
    makes them buy. It cannot say that a row is likelier to be viewed and less likely to be bought than another one.
    """

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0) -> None:
        super().__init__(width, target)
        self.head = head(width, tower, [0.0], dropout)
        theta = [-logit(share) for share in target.prior] or [float(stage) for stage in range(len(target.names))]
        self.first = nn.Parameter(torch.tensor([theta[0]]))
        gaps = [max(after - before, 1e-2) for before, after in pairwise(theta)]
        self.gaps = nn.Parameter(torch.tensor(gaps).expm1().log()) if gaps else None  # softplus of them lie between the thresholds

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B V"]:
        """Log odds of reaching each stage, falling along a row."""
        thresholds = self.first if self.gaps is None else torch.cat([self.first, self.first + functional.softplus(self.gaps).cumsum(0)])
        raw: Tensor = self.head(views.mean(0)) - thresholds
        return raw

    def log_chances(self, raw: Float[Tensor, "B V"]) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """Of log odds."""
        return functional.logsigmoid(raw), functional.logsigmoid(-raw)

"""A funnel: the probability of reaching each stage, over all rows that could have entered it, as a product of steps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from banyan.parts import Share, Size
from banyan.tasks._head import head, logit
from banyan.tasks._stages import Stages
from banyan.types import Candidates, Target


class Funnel(Stages):
    """One view and one conditional log odds for each stage; the answer is their running product (ESMM: Ma et al., SIGIR 2018, eq. 1 and 3).

    p_s = product over j <= s of sigmoid(z_j), so that p(buy) <= p(cart) for every row. Labels (B, V) say whether each stage was reached,
    on every row: a later stage is trained over the whole space, not only on rows that reached the one before it.
    Stages are the target's names, earliest first. `best` is the AUC of the last.
    """

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0) -> None:
        super().__init__(width, target)
        before = (1.0, *target.prior)
        shares = [share / max(before[stage], 1e-6) for stage, share in enumerate(target.prior)] or [0.5] * len(target.names)
        self.heads = nn.ModuleList(head(width, tower, [logit(share)], dropout) for share in shares)

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B V"]:
        """Log odds of each stage for rows that reached the one before it."""
        return torch.cat([each(view) for each, view in zip(self.heads, views, strict=True)], dim=1)

    def log_chances(self, raw: Float[Tensor, "B V"]) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """Of the running products. 1 - p_s = (1 - p_(s-1)) + p_(s-1) (1 - sigmoid(z_s)): a sum of positives, exact at any log odds."""
        step, stop = functional.logsigmoid(raw), functional.logsigmoid(-raw)
        reached = step.cumsum(1)
        missed = [stop[:, 0]]
        for stage in range(1, raw.shape[1]):
            missed.append(torch.logaddexp(missed[-1], reached[:, stage - 1] + stop[:, stage]).clamp(max=0))
        return reached, torch.stack(missed, 1)

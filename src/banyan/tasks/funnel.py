"""A funnel: the probability of reaching each stage, over all rows that could have entered it."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from banyan.parts import Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import probability
from banyan.tasks._head import clean, head, logit, seen_mean
from banyan.types import Array, Candidates, Target


class Funnel(Task):
    """One view and one conditional log odds for each stage; the answer is their running product (ESMM: Ma et al., SIGIR 2018, eq. 1 and 3).

    p_s = product over j <= s of sigmoid(z_j), so that p(buy) <= p(cart) for every row. Labels (B, V) say whether each stage was reached,
    on every row: a later stage is trained over the whole space, not only on rows that reached the one before it.
    Stages are the target's names, earliest first. `best` is the AUC of the last.
    """

    kind: ClassVar[str] = "floats"
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    answers: ClassVar[str] = "chances"

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0) -> None:
        super().__init__(width, target)
        self.best = f"auc/{target.names[-1]}"
        before = (1.0, *target.prior)
        shares = [share / max(before[stage], 1e-6) for stage, share in enumerate(target.prior)] or [0.5] * len(target.names)
        self.heads = nn.ModuleList(head(width, tower, [logit(share)], dropout) for share in shares)

    @property
    def views(self) -> int:
        """One view a stage."""
        return len(self.target.names)

    def consistent(self, answer: Array) -> Array:
        """No stage is likelier than the one before it: where their maps would cross, the later stage is held to the earlier one."""
        return np.asarray(np.minimum.accumulate(answer, axis=1))

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B V"]:
        """Log odds of each stage for rows that reached the one before it."""
        return torch.cat([each(view) for each, view in zip(self.heads, views, strict=True)], dim=1)

    def predict(self, raw: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """Probability of reaching each stage, never rising along the funnel."""
        return raw.sigmoid().cumprod(1)

    def loss(self, raw: Float[Tensor, "B V"], label: Tensor, seen: Bool[Tensor, "B V"], weight: Float[Tensor, " B"]) -> Float[Tensor, " V"]:
        """Binary cross entropy (nats) of each stage's product, in log space throughout."""
        reached, missed = _log_products(raw.float())
        wanted = clean(label, seen)
        return seen_mean(-(wanted * reached + (1 - wanted) * missed), seen, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """The figures of `binary`, each with `/stage`."""
        stages = {name: probability(prediction[:, i], label[:, i], seen, weight, group, i) for i, name in enumerate(self.target.names)}
        return {f"{figure}/{name}": value for name, figures in stages.items() for figure, value in figures.items()}

    def columns(self) -> Sequence[str]:
        """The stages."""
        return self.target.names


def _log_products(raw: Float[Tensor, "B V"]) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
    """(log p_s, log(1 - p_s)) of the running products. 1 - p_s = (1 - p_(s-1)) + p_(s-1) (1 - sigmoid(z_s)): a sum of positives, exact at any log odds."""
    step, stop = functional.logsigmoid(raw), functional.logsigmoid(-raw)
    reached = step.cumsum(1)
    missed = [stop[:, 0]]
    for stage in range(1, raw.shape[1]):
        missed.append(torch.logaddexp(missed[-1], reached[:, stage - 1] + stop[:, stage]).clamp(max=0))
    return reached, torch.stack(missed, 1)

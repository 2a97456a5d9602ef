"""An amount with many zeros, such as what a customer will spend: its expected value."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from banyan import metrics
from banyan.parts import Positive, Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import rows
from banyan.tasks._head import Straight, clean, head, logit, seen_mean
from banyan.types import Array, Candidates, Target

REACH = 20.0  # |ln(median / scale)| stays below this: e^20 is half a billion times the usual amount
WIDEST = 3.0  # sigma stays below this: a mean 90 times the median


class Amount(Task):
    """Zero-inflated log-normal (ZILN: Wang, Liu and Miao, 2019, arXiv 1912.07753, section 3): a chance of being above 0, and a log-normal amount then.

    Raw (B, 3) = log odds of being above 0, mu, and the log odds of sigma between `floor` and 3. With amounts measured in the training mean
    of the positive ones, so that cents and yen train alike, the answer is scale sigmoid(z) exp(mu + sigma^2 / 2). Labels (B, 1) are >= 0.
    `target.prior` is (mean amount, share above 0). `best` is the normalised Gini, how well the answers order the money: an absolute error is least for an
    answer of 0 where most amounts are 0, and a squared one is a matter of the few largest. Gini is blind to scale, so look at `bias` beside it.
    """

    kind: ClassVar[str] = "floats"
    lowest: ClassVar[float] = 0.0
    answers: ClassVar[str] = "means"
    prior_share: ClassVar[bool] = True
    best = "gini"
    tells: ClassVar[float] = 4.0

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0, floor: Positive = 0.1) -> None:
        super().__init__(width, target)
        self.floor = floor
        average, share = target.prior if len(target.prior) == 2 else (target.prior or (1.0,)) + (0.5,)
        self.scale = average / max(share, 1e-6) if average > 0 else 1.0
        start = min(max(1.0, 1.5 * floor), 2.0)  # of sigma, with mu such that the answer starts at the mean
        bias = [logit(share), -(start**2) / 2, logit((start - floor) / (WIDEST - floor))]
        self.head = Straight(head(width, tower, bias, dropout), width, len(bias))

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B 3"]:
        """Log odds of an amount above 0; mu and sigma before they are bounded."""
        raw: Tensor = self.head(views[0])
        return raw

    def predict(self, raw: Float[Tensor, "B 3"]) -> Float[Tensor, "B 1"]:
        """Expected amount, in the label's unit."""
        mu, sigma = self._lognormal(raw.float())
        return self.scale * (raw[:, :1].float().sigmoid() * (mu + sigma**2 / 2).exp())

    def _lognormal(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        return REACH * torch.tanh(raw[:, 1:2] / REACH), self.floor + (WIDEST - self.floor) * raw[:, 2:3].sigmoid()

    def loss(self, raw: Float[Tensor, "B 3"], label: Tensor, seen: Bool[Tensor, "B 1"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Cross entropy of being above 0, plus, where it is, ln(sigma / floor) + (ln y - mu)^2 / (2 sigma^2) (nats).

        The negative log likelihood without ln(y sqrt(2 pi)), which no parameter moves, and from ln floor, so that it is never below 0.
        """
        raw, amount = raw.float(), clean(label, seen)
        above = amount > 0
        mu, sigma = self._lognormal(raw)
        size = torch.where(above, amount, torch.full_like(amount, self.scale)).log() - math.log(self.scale)
        density = (sigma / self.floor).log() + (size - mu) ** 2 / (2 * sigma**2)
        chance = functional.binary_cross_entropy_with_logits(raw[:, :1], above.float(), reduction="none")
        return seen_mean(chance + torch.where(above, density, torch.zeros_like(density)), seen, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`gini`, `spearman`, `auc` of being above 0 by the answer, `rmse`, `mae`, `wape`, `r2`, `bias`, `mean`."""
        (p, y), w = rows(seen, weight, 0, prediction[:, 0], label.reshape(len(label), -1)[:, 0])
        figures = {each.__name__: each(p, y, w) for each in (metrics.gini, metrics.spearman, metrics.rmse, metrics.mae, metrics.wape, metrics.r2, metrics.bias)}
        return figures | {"auc": metrics.auc(p, y > 0, w), "mean": metrics.mean(y, w)}

    def columns(self) -> Sequence[str]:
        """The label's name."""
        return self.target.names[:1]

"""An ordered grade, such as the relevance of an item for a query: its expected value."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from banyan import metrics
from banyan.errors import ConfigError
from banyan.parts import Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import rows
from banyan.tasks._head import clean, head, logit, seen_mean
from banyan.types import Array, Candidates, Target


class Graded(Task):
    """One score against ordered thresholds (McCullagh, 1980), trained on every threshold (Rennie and Srebro, 2005).

    Raw (B, C - 1) = f - theta_j, the log odds of a grade above level j; the answer is v_0 + sum_j (v_(j+1) - v_j) sigmoid(f - theta_j), the expected grade.
    Labels (B, 1) are in the grades' own unit where the classes read as numbers (or where `levels` gives them), else codes 0 to C - 1.
    A label between two levels, such as the mean 2.33 of three judges, counts as a mixture of the two: its loss lies between theirs in proportion,
    and the expected grade stays an unbiased answer. So few `levels` (1, 2, 3) serve averaged grades of many values. `best` is the rank correlation.
    """

    kind: ClassVar[str] = "floats"
    grades: ClassVar[bool] = True
    answers: ClassVar[str] = "grades"
    best = "spearman"

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0, levels: tuple[float, ...] = ()) -> None:
        super().__init__(width, target)
        values = levels or _values(target.classes)
        if len(values) < 2 or any(b <= a for a, b in pairwise(values)):
            raise ConfigError(f"The grades of {target.names[0]!r} must be two or more and rise; found {list(values)}. Give them as `levels`, lowest first.")
        self.register_buffer("levels", torch.tensor(values, dtype=torch.float32), persistent=False)
        self.levels: Tensor
        self.head = head(width, tower, [0.0], dropout)
        first, gaps = _thresholds(_shares(target.prior, values))
        self.first = nn.Parameter(torch.tensor([first]))
        self.gaps = nn.Parameter(torch.tensor(gaps))  # softplus of them lie between the thresholds

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest level."""
        return float(self.levels[0]), float(self.levels[-1])

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B C1"]:
        """Log odds of a grade above each level but the highest; falling along a row."""
        thresholds = torch.cat([self.first, self.first + functional.softplus(self.gaps).cumsum(0)])
        raw: Tensor = self.head(views[0]) - thresholds
        return raw

    def predict(self, raw: Float[Tensor, "B C1"]) -> Float[Tensor, "B 1"]:
        """Expected grade, between the lowest and the highest level."""
        return self.levels[0] + (raw.float().sigmoid() * self.levels.diff()).sum(1, keepdim=True)

    def loss(self, raw: Float[Tensor, "B C1"], label: Tensor, seen: Bool[Tensor, "B 1"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Binary cross entropy (nats) of "above this level", the mean over levels; linear in the label between two levels."""
        above = ((clean(label, seen) - self.levels[:-1]) / self.levels.diff()).clamp(0, 1)
        each = functional.binary_cross_entropy_with_logits(raw.float(), above, reduction="none")
        return seen_mean(each.mean(1, keepdim=True), seen, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`spearman`, `rmse`, `mae`, `r2`; with `group`, the `ndcg` and `ndcg@10` of its lists."""
        (p, y), w = rows(seen, weight, 0, prediction[:, 0], label.reshape(len(label), -1)[:, 0])
        figures = {each.__name__: each(p, y, w) for each in (metrics.spearman, metrics.rmse, metrics.mae, metrics.r2)}
        if group is not None:
            lists = rows(seen, weight, 0, group)[0][0]
            figures |= {"ndcg": metrics.ndcg(p, y, lists, weight=w), "ndcg@10": metrics.ndcg(p, y, lists, 10, w)}
        return figures

    def columns(self) -> Sequence[str]:
        """The label's name."""
        return self.target.names[:1]


def _values(classes: Sequence[str]) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in classes)
    except ValueError:
        return tuple(float(code) for code in range(len(classes)))


def _shares(prior: Sequence[float], values: Sequence[float]) -> list[float]:
    """Share of each level in the prior; where that is the mean grade only, the binomial of that mean."""
    if len(prior) == len(values):
        return list(prior)
    steps, t = len(values) - 1, (prior[0] - values[0]) / (values[-1] - values[0]) if prior else 0.5
    t = min(max(t, 0.01), 0.99)
    return [math.comb(steps, j) * t**j * (1 - t) ** (steps - j) for j in range(steps + 1)]


def _thresholds(shares: Sequence[float]) -> tuple[float, list[float]]:
    """The first threshold, and the gaps to the next ones before their softplus, that give these shares to a score of 0."""
    above = [sum(shares[level:]) / sum(shares) for level in range(1, len(shares))]
    theta = torch.tensor([-logit(share) for share in above])
    return float(theta[0]), theta.diff().clamp(min=1e-3).expm1().log().tolist()

"""Any of several tags: a probability for each, not summing to 1."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from banyan import metrics
from banyan.parts import Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import rows
from banyan.tasks._head import clean, head, logit, seen_mean
from banyan.types import Array, Candidates, Target


class Tags(Task):
    """One logistic regression a tag on a shared tower: raw (B, C) are log odds, the answer probabilities. Labels (B, C) are 0 or 1.

    `best` is the AUC averaged over the tags that some rows have and some have not: a rare tag counts as much as a common one.
    """

    kind: ClassVar[str] = "tags"
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    answers: ClassVar[str] = "chances"
    best = "auc"

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0) -> None:
        super().__init__(width, target)
        self.head = head(width, tower, [logit(share) for share in target.prior] or [0.0] * len(target.classes), dropout)

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B C"]:
        """Log odds of each tag."""
        raw: Tensor = self.head(views[0])
        return raw

    def predict(self, raw: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """Probability of each tag."""
        return raw.sigmoid()

    def loss(self, raw: Float[Tensor, "B C"], label: Tensor, seen: Bool[Tensor, "B 1"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Binary cross entropy (nats), the mean over tags."""
        each = functional.binary_cross_entropy_with_logits(raw.float(), clean(label, seen), reduction="none")
        return seen_mean(each.mean(1, keepdim=True), seen, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`auc` (macro), `log_loss`, and macro `precision`, `recall`, `f1` at probability 1/2."""
        (p, y), w = rows(seen, weight, 0, prediction, label)
        each = np.array([metrics.auc(p[:, tag], y[:, tag], w) for tag in range(p.shape[1])])
        guess = p >= 0.5
        over = metrics.macro_of_counts(w @ (guess * y), w @ guess, w @ y)
        return {
            "auc": metrics.mean(each[~np.isnan(each)]),
            "log_loss": metrics.log_loss(p, y, np.repeat(w, p.shape[1])),
            "precision": over.precision,
            "recall": over.recall,
            "f1": over.f1,
        }

    def columns(self) -> Sequence[str]:
        """`label/tag` for each tag."""
        return [f"{self.target.names[0]}/{each}" for each in self.target.classes]

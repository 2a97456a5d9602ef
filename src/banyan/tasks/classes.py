"""One of several classes: a probability for each."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from banyan import metrics
from banyan.parts import Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import rows
from banyan.tasks._head import clean, head, seen_mean
from banyan.types import Array, Candidates, Target


class Classes(Task):
    """Softmax over the classes: raw (B, C) are log scores, the answer probabilities. Labels (B,) are codes in [0, C).

    `balanced` weighs a row by 1 / (C share of its class), so that every class has the same say in training; `predict` takes those weights out
    again, for probabilities of the population as it is. `smoothing` s spreads s of each label over all classes.
    `best` is the log loss, which moves with every row; accuracy stands still on small or skewed validation sets.
    """

    kind: ClassVar[str] = "code"
    answers: ClassVar[str] = "classes"
    best = "log_loss"
    rising: ClassVar[bool] = False

    def __init__(
        self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0, balanced: bool = False, smoothing: Share = 0.0
    ) -> None:
        super().__init__(width, target)
        self.smoothing = smoothing
        count = len(target.classes)
        share = torch.tensor(target.prior or [1 / count] * count).clamp(min=1e-6)
        self.register_buffer("log_weight", -(share * count).log() if balanced else torch.zeros(count), persistent=False)
        self.log_weight: Tensor
        self.head = head(width, tower, (share.log() + self.log_weight).tolist(), dropout)

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B C"]:
        """Log scores of the classes, as weighted in training."""
        raw: Tensor = self.head(views[0])
        return raw

    def predict(self, raw: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """Probabilities; a row sums to 1."""
        return (raw.float() - self.log_weight).softmax(1)

    def loss(self, raw: Float[Tensor, "B C"], label: Tensor, seen: Bool[Tensor, "B 1"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Cross entropy (nats), each row times its class's weight. Labels may also be (B, C) shares of the classes."""
        log_p = raw.float().log_softmax(1)
        if label.ndim == 2 and label.shape[1] > 1:
            share = clean(label, seen)
            weights = share * self.log_weight.exp()
            spread = -log_p.mean(1, keepdim=True) * weights.sum(1, keepdim=True) if self.smoothing else 0.0
            return seen_mean(-(weights * log_p).sum(1, keepdim=True) * (1 - self.smoothing) + spread * self.smoothing, seen, weight)
        code = clean(label.reshape(-1), seen).long()
        right = -log_p.gather(1, code[:, None])
        spread = -log_p.mean(1, keepdim=True) if self.smoothing else 0.0
        return seen_mean((right * (1 - self.smoothing) + spread * self.smoothing) * self.log_weight.exp()[code][:, None], seen, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`log_loss`, `accuracy`, macro `precision`, `recall` (also called balanced accuracy), `f1`; `majority`, the accuracy of always naming the largest."""
        (p, code), w = rows(seen, weight, 0, prediction, label.reshape(-1).astype(np.int64))
        guess = p.argmax(1)
        over = metrics.macro(guess, code, p.shape[1], w)
        share = np.bincount(code, w, p.shape[1])
        return {
            "log_loss": metrics.cross_entropy(p, code, w),
            "accuracy": metrics.accuracy(guess, code, w),
            "precision": over.precision,
            "recall": over.recall,
            "f1": over.f1,
            "majority": float(share.max() / share.sum()) if share.sum() > 0 else metrics.NAN,
        }

    def columns(self) -> Sequence[str]:
        """`label/class` for each class."""
        return [f"{self.target.names[0]}/{each}" for each in self.target.classes]

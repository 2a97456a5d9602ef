"""Yes or no: the probability that a label is 1."""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from banyan.parts import Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import probability
from banyan.tasks._head import clean, head, logit, seen_mean
from banyan.types import Array, Candidates, Target


class Binary(Task):
    """Logistic regression on the view: raw (B, 1) is the log odds, the answer a probability.

    Labels (B, 1) lie in [0, 1]. With row weights of 1 / sampling rate the probability is that of the unsampled population.
    `smoothing` s trains towards y (1 - s) + s / 2 (Szegedy et al., CVPR 2016, section 7); it pulls answers to 1/2 and so costs calibration.
    """

    kind: ClassVar[str] = "floats"
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    answers: ClassVar[str] = "chances"
    best = "auc"

    def __init__(self, width: int, target: Target, *, tower: tuple[Size, ...] = (32,), dropout: Share = 0.0, smoothing: Share = 0.0) -> None:
        super().__init__(width, target)
        self.smoothing = smoothing
        self.head = head(width, tower, [logit(target.prior[0]) if target.prior else 0.0], dropout)

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B 1"]:
        """Log odds."""
        raw: Tensor = self.head(views[0])
        return raw

    def predict(self, raw: Float[Tensor, "B 1"]) -> Float[Tensor, "B 1"]:
        """Probabilities."""
        return raw.sigmoid()

    def loss(self, raw: Float[Tensor, "B 1"], label: Tensor, seen: Bool[Tensor, "B 1"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Binary cross entropy (nats)."""
        wanted = clean(label, seen) * (1 - self.smoothing) + self.smoothing / 2
        return seen_mean(functional.binary_cross_entropy_with_logits(raw.float(), wanted, reduction="none"), seen, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`auc`, `gauc` (with `group`), `log_loss`, `calibration_error`, `mean`, `rate`."""
        return probability(prediction[:, 0], label.reshape(len(label), -1)[:, 0], seen, weight, group, 0)

    def columns(self) -> Sequence[str]:
        """The label's name."""
        return self.target.names[:1]

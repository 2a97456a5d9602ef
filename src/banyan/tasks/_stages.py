"""What all funnels have in common: stages, their labels, losses and figures. How the stages' chances hang together is the part's own."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from banyan.tasks import Task
from banyan.tasks._figures import probability
from banyan.tasks._head import clean, seen_mean
from banyan.types import Array, Target


class Stages(Task):
    """The probability of reaching each stage, which never rises along the funnel. Labels (B, V) say whether each stage was reached, on every row.

    A later stage is trained over the whole space, not only on rows that reached the one before it. Stages are the target's names, earliest
    first. `best` is the AUC of the last.
    """

    kind: ClassVar[str] = "floats"
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    answers: ClassVar[str] = "chances"

    def __init__(self, width: int, target: Target) -> None:
        super().__init__(width, target)
        self.best = f"auc/{target.names[-1]}"

    @property
    def views(self) -> int:
        """One view a stage."""
        return len(self.target.names)

    @abstractmethod
    def log_chances(self, raw: Float[Tensor, "B V"]) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """(log p_s, log(1 - p_s)) of reaching each stage, p never rising along a row."""

    def predict(self, raw: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """Probability of reaching each stage, never rising along the funnel."""
        return self.log_chances(raw)[0].exp()

    def loss(self, raw: Float[Tensor, "B V"], label: Tensor, seen: Bool[Tensor, "B V"], weight: Float[Tensor, " B"]) -> Float[Tensor, " V"]:
        """Binary cross entropy (nats) of reaching each stage, in log space throughout."""
        reached, missed = self.log_chances(raw.float())
        wanted = clean(label, seen)
        return seen_mean(-(wanted * reached + (1 - wanted) * missed), seen, weight)

    def consistent(self, answer: Array) -> Array:
        """No stage is likelier than the one before it: where their maps would cross, the later stage is held to the earlier one."""
        return np.asarray(np.minimum.accumulate(answer, axis=1))

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """The figures of `binary`, each with `/stage`."""
        stages = {name: probability(prediction[:, i], label[:, i], seen, weight, group, i) for i, name in enumerate(self.target.names)}
        return {f"{figure}/{name}": value for name, figures in stages.items() for figure, value in figures.items()}

    def columns(self) -> Sequence[str]:
        """The stages."""
        return self.target.names

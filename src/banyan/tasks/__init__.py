"""VIEWS -> ANSWERS: one file a kind of task. Owns the head, the loss, the unit of the answer and its metrics."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.types import Array, Block, Candidates, Target


class Task(nn.Module, ABC):
    """One thing to predict. A task reads V views (a funnel one a stage, all others one) and answers in its own unit."""

    kind: ClassVar[str]  # what its labels are: "floats" (B, V), "code" (B,), "tags" (B, C), "counts" (B, A), "places" (B, T)
    best: str  # the metric that early stopping and the report look at first; a funnel's names its last stage, so it is the instance's
    rising: ClassVar[bool] = True  # whether more of `best` is better
    lowest: ClassVar[float] = float("-inf")  # labels outside of [lowest, highest] are refused when they are read
    highest: ClassVar[float] = float("inf")
    answers: ClassVar[str] = "scores"  # what its answers are: "chances" (each column a probability), "classes" (columns sum to 1), "grades", "means", "scores"
    tells: ClassVar[float] = 1.0  # how many yes-or-no answers one label is worth, roughly: more for a number, and for one item out of all
    grades: ClassVar[bool] = False  # whether `target.classes` holds the whole grades that the labels lie between
    anchored: ClassVar[bool] = False  # whether answers may start from a number of the row's own: see `offset`
    prior_share: ClassVar[bool] = False  # whether `target.prior` ends with the share of labels above 0

    after: bool = False  # whether weights of side scores are fitted to validation rows when the network is: of an instance

    def __init__(self, width: int, target: Target) -> None:
        """`width` is H."""
        super().__init__()
        self.target = target

    @property
    def views(self) -> int:
        """V, the number of views that the task owns: 1 unless it is a funnel."""
        return 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that an answer can have."""
        return self.lowest, self.highest

    def consistent(self, answer: Array) -> Array:
        """(n, C) answers whose columns went through maps of their own, as they must stand to each other; as they are unless the kind says more."""
        return answer

    def offset(self, context: Block) -> Tensor | None:
        """What is added to the raw scores of rows with this context; None for nothing."""
        return None

    def settle(self, chosen: "Task") -> None:
        """After the last fit, which held no rows back: take over from `chosen`, fitted without them, what was fitted to those rows."""
        return

    @abstractmethod
    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B ..."]:
        """Raw scores; what they mean is the task's own affair."""

    @abstractmethod
    def predict(self, raw: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """The answer in the task's own unit: probabilities, money, units sold, an expected grade, or scores."""

    @abstractmethod
    def loss(self, raw: Float[Tensor, "B ..."], label: Tensor, seen: Bool[Tensor, "B N"], weight: Float[Tensor, " B"]) -> Float[Tensor, " V"]:
        """Mean loss (nats) over the seen labels of each view, rows weighted; >= 0, and exactly 0 with gradient 0 where nothing is seen."""

    @abstractmethod
    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """Figures over seen labels only; nan where undefined. `group` (row numbers of users) serves grouped metrics.

        A funnel and a count with several periods suffix each figure with `/name` of the stage or period. For `ranking`,
        `prediction` holds the rank (from 1) of each target in the full ranking, (n, T) with nan padding.
        """

    @abstractmethod
    def columns(self) -> Sequence[str]:
        """Names of the columns of `predict`'s answer, as written by `banyan predict`; () for a ranking."""

"""Which items come next: a score for every item of the catalogue."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from banyan import metrics
from banyan.errors import ConfigError
from banyan.parts import Natural, Positive, Share, Size
from banyan.tasks import Task
from banyan.tasks._figures import rows
from banyan.tasks._head import head, seen_mean
from banyan.types import Array, Candidates, Side, Target

SWIFT = 10.0  # how much faster than other parameters the weights of side scores move


class Ranking(Task):
    """Softmax over the candidates: score (B, K) = query(view) . item vector / temperature + weights . side scores.

    **In training mode** `forward` takes the candidates' `log_q` off the scores, so that a softmax over sampled items aims at the one over all
    (Bengio and Senecal, 2008; for in-batch items Yi et al., RecSys 2019, eq. 3); in evaluation mode scores are plain. A column of scores
    shifted by a row's constant is the same answer: only the order counts. Labels (B, T) are places of the row's items among the candidates,
    -1 padded; each costs ln sum exp(scores) - its score, and a row the mean of its items' costs.

    `query` and `items` give the vectors for an index: their products are the scores before the side scores.
    `sampling` and `negatives` are read by who draws the candidates: `in_batch` takes the other rows' items, `uniform` and `popularity` add `negatives`
    items for the whole batch, `full` takes the catalogue. `normalise` scores by cosine; `temperature` is then .1 unless given, else 1.
    `leave_out`: behaviours whose items, where a row's past holds them, are no answer: they stand last when targets are ranked, and are not recommended.
    `blend` says when the weights of the side scores are learned: `together` with the network, or `after`: then the network trains as if there were
    none, and the weights are fitted to validation rows whenever it is judged (`evaluation.blend`).
    `hidden` > 0 adds a layer of so many ReLU units beside the linear weights of the side scores. `best` is NDCG at 10 (or the first of `at`).
    """

    kind: ClassVar[str] = "places"
    tells: ClassVar[float] = 8.0

    def __init__(
        self,
        width: int,
        target: Target,
        *,
        tower: tuple[Size, ...] = (),
        dropout: Share = 0.0,
        sampling: Literal["in_batch", "uniform", "popularity", "full"] = "uniform",
        negatives: Size = 500,
        normalise: bool = False,
        temperature: Positive | None = None,
        hidden: Natural = 0,
        blend: Literal["together", "after"] = "together",
        leave_out: tuple[str, ...] = (),
        at: Annotated[tuple[Size, ...], Field(min_length=1)] = (10, 20),
    ) -> None:
        super().__init__(width, target)
        self.sampling, self.negatives = sampling, negatives
        self.normalise, self.temperature = normalise, temperature or (0.1 if normalise else 1.0)
        self.at, self.leave_out = at, leave_out
        self.best = f"ndcg@{10 if 10 in at else at[0]}"
        self.head = head(width, tower, [0.0] * width, dropout)
        self.side = _Side(target.side, hidden) if target.side else None
        self.after = blend == "after" and self.side is not None
        if blend == "after" and hidden:
            raise ConfigError("A ranking's `hidden` layer over side scores is trained with the network; it has none with `blend: after`.")
        if self.side is not None:
            self.side.requires_grad_(not self.after)

    def query(self, views: Float[Tensor, "V B H"]) -> Float[Tensor, "B H"]:
        """What an index is asked with."""
        vector: Tensor = self.head(views[0])
        return (functional.normalize(vector, dim=1) if self.normalise else vector) / self.temperature

    def items(self, vectors: Float[Tensor, "K H"]) -> Float[Tensor, "K H"]:
        """What an index holds for item vectors."""
        return functional.normalize(vectors, dim=1) if self.normalise else vectors

    def forward(self, views: Float[Tensor, "V B H"], candidates: Candidates | None) -> Float[Tensor, "B K"]:
        """Scores; in training mode less `log_q`. Candidates may come without side scores, as from an index.

        Raises TypeError without candidates, or for side scores in another number than the task was built for.
        """
        if candidates is None:
            raise TypeError("A ranking needs candidates.")
        raw = self.query(views) @ self.items(candidates.vectors).T
        if candidates.side is not None and not (self.training and self.after):
            raw = self._weighed(raw, candidates.side)
        return raw - candidates.log_q if self.training else raw

    @property
    def linear(self) -> Tensor | None:
        """(F,) weights of the side scores where those alone decide; None where a layer stands beside them, or there are none."""
        return self.side.weights if self.side is not None and self.side.bend is None else None

    def blend(self, weights: Float[Tensor, " F"]) -> None:
        """Set the weights of the side scores: what a unit of each adds to a score."""
        assert self.side is not None
        with torch.no_grad():
            self.side.weight.copy_(weights / SWIFT)

    def settle(self, chosen: Task) -> None:
        """Take over weights that were fitted to rows which this fit trains on."""
        if self.after and isinstance(chosen, Ranking) and chosen.linear is not None:
            self.blend(chosen.linear)

    def _weighed(self, raw: Tensor, side: Float[Tensor, "B K F"] | Side) -> Tensor:
        if self.side is None or side.shape[2] != self.target.side:
            raise TypeError(f"Candidates bring {side.shape[2]} side scores each; the ranking was built for {self.target.side} (`Target.side`).")
        weighed: Tensor = self.side(raw, side)
        return weighed

    def predict(self, raw: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """The scores themselves; larger is likelier."""
        return raw

    def loss(self, raw: Float[Tensor, "B K"], label: Tensor, seen: Bool[Tensor, "B 1"], weight: Float[Tensor, " B"]) -> Float[Tensor, " 1"]:
        """Mean over rows of the mean over their items of the softmax cross entropy (nats)."""
        target = seen & (label >= 0)
        place = torch.where(target, label, torch.zeros_like(label)).long()
        each = -raw.float().log_softmax(1).gather(1, place)
        count = target.sum(1, keepdim=True)
        cost = torch.where(target, each, torch.zeros_like(each)).sum(1, keepdim=True) / count.clamp(min=1)
        return seen_mean(cost, count > 0, weight)

    def metrics(self, prediction: Array, label: Array, seen: Array, weight: Array, group: Array | None = None) -> dict[str, float]:
        """`ndcg@k`, `recall@k`, `hit_rate@k`, `mrr@k` for each k of `at`, from ranks (n, T) in the full ranking, nan padded."""
        (ranks,), w = rows(seen, weight, 0, prediction)
        kinds = {"ndcg": metrics.ndcg_at, "recall": metrics.recall_at, "hit_rate": metrics.hit_rate_at, "mrr": metrics.mrr_at}
        return {f"{name}@{k}": figure(ranks, k, w) for k in self.at for name, figure in kinds.items()}

    def columns(self) -> Sequence[str]:
        """None: the answer has a column an item."""
        return ()


class _Side(nn.Module):
    """(B, K) and (B, K, F) -> (B, K): linear weights that start at 0, and a small layer beside them.

    The weights are `SWIFT` times their parameters: Adam moves every parameter at one pace, and a score that repeats an item a user came back for
    wants weights far from 0 within the first hundred steps.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs))
        self.bend = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1, bias=False)) if hidden else None

    @property
    def weights(self) -> Float[Tensor, " F"]:
        """What a unit of each side score adds to a score."""
        return SWIFT * self.weight

    def forward(self, raw: Float[Tensor, "B K"], side: Float[Tensor, "B K F"] | Side) -> Float[Tensor, "B K"]:
        straight = raw + side @ self.weights if isinstance(side, Tensor) else side.added(raw, self.weights)
        if self.bend is None:
            return straight
        bent: Tensor = self.bend(side if isinstance(side, Tensor) else side.whole())
        return straight + bent[..., 0]

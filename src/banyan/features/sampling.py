"""Which items a ranking task scores in a training step, and with what probability each was there."""

import numpy as np

from banyan.types import Array

_MOST = 1 - 1e-12  # a probability whose complement still has a logarithm


class Negatives:
    """Draws the candidates of a step: the targets of the batch, and sampled others.

    `sampling`: in_batch (targets of the batch alone), uniform, popularity (targets' counts to the power .75), full (all items).
    Items that training does not know are never drawn: what nobody could choose yet would be learned, by its title and photo, as what nobody wants.
    """

    def __init__(self, counts: Array, *, sampling: str, negatives: int, known: Array | None = None) -> None:
        """`counts` (item rows,): how often each item is a training target; row 0, the missing item, is never drawn.

        `known` (item rows,) bool: which items training names, beside its targets; all unless given.
        """
        self.there = np.ones(len(counts), bool) if known is None else known | (counts > 0)
        self.there[0] = False
        self.items = np.flatnonzero(self.there)
        self.sampling = "full" if sampling != "in_batch" and negatives >= len(self.items) else sampling
        self.negatives = negatives
        self.share = counts / max(counts.sum(), 1)
        weight = self.there.astype(float) if sampling == "uniform" else np.power(counts, 0.75)
        weight[0] = 0
        self.chance = weight / max(weight.sum(), 1e-12)
        self.cumulative = np.cumsum(self.chance)

    def draw(self, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """((K,) item rows, sorted, each once; (K,) float32 log of the probability of standing among them).

        That of item i is 1 - (1 - share_i)^T (1 - chance_i)^N for T targets and N draws: an item drawn twice stands there once.
        """
        if self.sampling == "full":
            new = targets[~self.there[targets]]
            items = np.union1d(self.items, new[new > 0]) if len(new) else self.items
            return items, np.zeros(len(items), np.float32)
        drawn = 0 if self.sampling == "in_batch" else self.negatives
        sampled = np.searchsorted(self.cumulative, rng.random(drawn) * self.cumulative[-1], side="right")
        items = np.unique(np.concatenate([targets, np.minimum(sampled, len(self.share) - 1)]))
        items = items[items > 0]
        missed = len(targets) * np.log1p(-np.minimum(self.share[items], _MOST)) + drawn * np.log1p(-np.minimum(self.chance[items], _MOST))
        return items, np.log(np.maximum(-np.expm1(missed), 1e-12)).astype(np.float32)

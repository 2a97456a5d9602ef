"""Weights that let every task pull on the shared tensors at a rate set by its progress."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from banyan.balancing import Balancer
from banyan.balancing._rows import in_common, leave, rows
from banyan.errors import ConfigError

_TINY = 1e-30
_LEAST = 1e-6  # a weight never falls below this: it could not come back from 0


class GradNorm(Balancer):
    """GradNorm (Chen, Badrinarayanan, Lee, Rabinovich, ICML 2018, algorithm 1).

    G_i = |weight_i * grad loss_i| on the shared tensors, r_i = (loss_i / first loss_i) / mean of those,
    and the logarithms of the weights descend sum_i |G_i - mean(G) * r_i^asymmetry| / mean(G), the targets held constant. (The paper
    descends in the weights themselves; in logarithms they stay positive and settle however unlike the scales of the tasks are.)

    The norm is over all shared tensors rather than the last shared layer, because a sharing architecture need not have a last one.
    Dividing by mean(G) makes the step of the weights the same at every scale of the losses. The weights of the views present keep
    their sum, so that those of absent views stay as they are; over all views they sum to V. One backward pass a view present.
    """

    least = 2
    reads_shared = True
    weights: Tensor
    first: Tensor

    def __init__(self, views: int, *, asymmetry: float = 1.5, lr: float = 0.025) -> None:
        """`asymmetry` (alpha of the paper) >= 0: how hard slow tasks are pushed. `lr` > 0: step of the log weights."""
        super().__init__(views)
        if asymmetry < 0 or not lr > 0:
            raise ConfigError(f"balancing 'gradnorm': asymmetry is {asymmetry} and lr {lr}; asymmetry must not be negative and lr must be above 0.")
        self.asymmetry, self.lr = asymmetry, lr
        self.register_buffer("weights", torch.ones(views))
        self.register_buffer("first", torch.full((views,), -1.0))  # -1: not seen yet

    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leaves the gradient of the weighted sum, then moves the weights for the next step."""
        views = torch.tensor(present, device=self.weights.device)
        weights = self.weights[views]
        norms = self._weighted(losses * weights.to(losses), shared)
        if len(present) > 1 and len(shared) > 0:
            self._learn(losses.detach().to(weights), norms.to(weights), weights, views)
        return weights

    @staticmethod
    def _weighted(losses: Float[Tensor, " P"], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leave the sum of all gradients; return each loss's norm on the shared tensors."""
        norms: list[Tensor] = []
        total: list[Tensor | None] = [None] * len(shared)
        for row in rows(losses, shared):
            norms.extend(losses.new_zeros(()) if grad is None else torch.linalg.vector_norm(grad).to(losses) for grad in row)
            total = [grad if so_far is None else so_far if grad is None else so_far + grad for so_far, grad in zip(total, row, strict=True)]
        for tensor, grad in zip(shared, total, strict=True):
            if grad is not None:
                leave(tensor, grad)
        if not norms:
            return losses.new_zeros(len(losses))
        each = torch.stack(norms).float().view(len(losses), len(shared))
        counted: Tensor = torch.linalg.vector_norm(each * in_common(each), dim=1)
        return counted

    def _learn(self, losses: Float[Tensor, " P"], norms: Float[Tensor, " P"], weights: Float[Tensor, " P"], views: Int[Tensor, " P"]) -> None:
        sound = losses.isfinite().all() & norms.isfinite().all()  # a step that overflowed teaches nothing
        first = torch.where(self.first[views] < 0, losses, self.first[views])
        progress = ((losses + _TINY) / (first + _TINY)).clamp(1e-6, 1e6)
        rate = progress / progress.mean()
        relative = norms / (norms.mean() + _TINY)  # G_i / mean(G), which is its own slope in log weight_i
        moved = (weights * torch.exp(-self.lr * torch.sign(relative - rate**self.asymmetry) * relative)).clamp(min=_LEAST)
        moved = moved * (weights.sum() / moved.sum())
        self.weights[views] = torch.where(sound, moved, weights)
        self.first[views] = torch.where(sound, first, self.first[views])

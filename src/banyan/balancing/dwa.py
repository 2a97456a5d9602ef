"""Weights by how fast each loss fell over the last two epochs: slow tasks count more."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from banyan.balancing import Balancer
from banyan.errors import ConfigError

_TINY = 1e-30  # keeps the ratio of two losses of exactly 0 finite
_MOST = 100.0  # a loss that grew more than this in an epoch counts as this


class Dwa(Balancer):
    """Dynamic weight averaging (Liu, Johns, Davison, CVPR 2019, eq. 7).

    weight_i = P * softmax_i(r_i / temperature), r_i = mean loss of the last epoch / mean loss of the epoch before it.
    A mean is over the steps in which the view was present. With fewer than two such epochs r_i is 1.
    """

    least = 2
    mean: Tensor
    steps: Tensor
    last: Tensor
    before: Tensor

    def __init__(self, views: int, *, temperature: float = 2.0) -> None:
        """`temperature` > 0: the higher, the closer the weights are to each other."""
        super().__init__(views)
        if not temperature > 0:
            raise ConfigError(f"balancing 'dwa': temperature is {temperature}; it must be above 0.")
        self.temperature = temperature
        self.register_buffer("mean", torch.zeros(views))  # of this epoch so far
        self.register_buffer("steps", torch.zeros(views, dtype=torch.int64))
        self.register_buffer("last", torch.full((views,), -1.0))  # -1: no such epoch yet
        self.register_buffer("before", torch.full((views,), -1.0))

    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leaves the gradient of the weighted sum; the weights sum to P."""
        views = torch.tensor(present, device=self.mean.device)
        weights = len(present) * torch.softmax(self._ratios(views) / self.temperature, 0)
        self._count(losses.detach().to(self.mean), views)
        torch.autograd.backward((losses * weights.to(losses)).sum())
        return weights

    def epoch(self) -> None:
        """Close the epoch: its means become the last ones of the views that were present in it."""
        seen = self.steps > 0
        self.before.copy_(torch.where(seen, self.last, self.before))
        self.last.copy_(torch.where(seen, self.mean, self.last))
        self.mean.zero_()
        self.steps.zero_()

    def _ratios(self, views: Int[Tensor, " P"]) -> Float[Tensor, " P"]:
        last, before = self.last[views], self.before[views]
        return torch.where(before >= 0, (last + _TINY) / (before + _TINY), 1.0).clamp(max=_MOST)

    def _count(self, losses: Float[Tensor, " P"], views: Int[Tensor, " P"]) -> None:
        steps = self.steps[views] + losses.isfinite()
        mean = self.mean[views]
        self.mean[views] = torch.where(losses.isfinite(), mean + (losses - mean) / steps.clamp(min=1), mean)
        self.steps[views] = steps

"""Weights by a learned noise level of each task: noisy tasks count less."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.balancing import Balancer


class Uncertainty(Balancer):
    """Homoscedastic uncertainty (Kendall, Gal, Cipolla, CVPR 2018, eq. 10), the form for likelihoods, for every kind of task.

    total = sum_i loss_i * exp(-s_i) + s_i / 2, with s_i = log sigma_i^2 learned. At its optimum exp(-s_i) = 1 / (2 loss_i).
    The loop's optimiser moves the s_i with the rest of the model, without weight decay. Each view's s is a parameter of its own,
    so that a view that is absent has no gradient and an optimiser with momentum leaves it alone.
    """

    least = 2

    def __init__(self, views: int, *, start: float = 0.0) -> None:
        """`start` is every view's first s, in log variance."""
        super().__init__(views)
        self.log_variance = nn.ParameterList(nn.Parameter(torch.tensor(float(start))) for _ in range(views))

    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leaves the gradient of the total, on the log variances too; the weights are exp(-s)."""
        s = torch.stack([self.log_variance[view] for view in present])
        weights = torch.exp(-s)
        torch.autograd.backward((weights * losses + s / 2).sum())
        return weights.detach()

"""Weights learned from how much the last step lowered each loss; one backward pass whatever the number of tasks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from banyan.balancing import Balancer
from banyan.errors import ConfigError

_TINY = 1e-12  # added to a loss before its logarithm, nats
_BETAS = (0.9, 0.999)


class Famo(Balancer):
    """Fast adaptive multitask optimisation (Liu, Feng, Stone, Liu, NeurIPS 2023, algorithm 2): every log loss falls alike.

    z = softmax(logits) over the views present; total = c * sum_i z_i log loss_i with c = 1 / sum_i (z_i / loss_i), so that the
    weights c * z_i / loss_i sum to 1. After the step the logits descend z . (log loss before - log loss after) by Adam.
    Needs losses >= 0. Logits and moments are kept for each view; those of absent views stay as they are.
    """

    least = 2
    looks_back = True
    logits: Tensor
    steps: Tensor
    first_moment: Tensor
    second_moment: Tensor

    def __init__(self, views: int, *, lr: float = 0.025, decay: float = 1e-3) -> None:
        """`lr` > 0: Adam's step of the logits. `decay` >= 0: pull of the logits towards 0, that is towards equal z."""
        super().__init__(views)
        if not lr > 0 or decay < 0:
            raise ConfigError(f"balancing 'famo': lr is {lr} and decay {decay}; lr must be above 0 and decay must not be negative.")
        self.lr, self.decay = lr, decay
        for name in ("logits", "steps", "first_moment", "second_moment"):
            self.register_buffer(name, torch.zeros(views))
        self._before: Tensor | None = None  # the step's losses, between `backward` and `after`

    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leaves the gradient of the total; the weights sum to 1."""
        views = torch.tensor(present, device=self.logits.device)
        before = losses.detach().to(self.logits).clamp(min=0) + _TINY
        share = torch.softmax(self.logits[views], 0) / before
        weights = share / share.sum()
        self._before = before
        torch.autograd.backward((losses * weights.to(losses)).sum())
        return weights

    def after(self, losses: Float[Tensor, " P"], present: Sequence[int]) -> None:
        """Move the logits of the views present by one Adam step against what the step has just won for each."""
        if self._before is None or len(present) != len(self._before):
            raise RuntimeError("famo: after() takes the losses of the batch that backward() has just seen.")
        views = torch.tensor(present, device=self.logits.device)
        won = self._before.log() - (losses.detach().to(self.logits).clamp(min=0) + _TINY).log()
        z = torch.softmax(self.logits[views], 0)
        slope = z * (won - (z * won).sum()) + self.decay * self.logits[views]
        sound = slope.isfinite().all()  # a step that overflowed teaches nothing
        steps = self.steps[views] + 1
        first = torch.lerp(slope, self.first_moment[views], _BETAS[0])
        second = torch.lerp(slope**2, self.second_moment[views], _BETAS[1])
        step = self.lr * (first / (1 - _BETAS[0] ** steps)) / ((second / (1 - _BETAS[1] ** steps)).sqrt() + 1e-8)
        for state, value in ((self.logits, self.logits[views] - step), (self.steps, steps), (self.first_moment, first), (self.second_moment, second)):
            state[views] = torch.where(sound, value, state[views])
        self._before = None

"""A history as the mean of its events, newer ones weighing more."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.history import History


class Mean(History):
    """The weighted mean of the events, with a learned rate of forgetting; a row without events gives a learned vector.

    weight = (1 + days)^(-rate), rate = softplus(r): forgetting is a power of time rather than exponential (Wixted and Ebbesen, 1991).

    decay: whether to forget at all; without it, and where no time is known, every event weighs the same.
    """

    def __init__(self, width: int, *, decay: bool = True) -> None:
        super().__init__(width)
        self.rate = nn.Parameter(torch.tensor(-1.0)) if decay else None
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(
        self,
        tokens: Float[Tensor, "B L D"],
        gaps: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
        target: Float[Tensor, "B D"] | None,
    ) -> Float[Tensor, "B D"]:
        """The target is not read."""
        if tokens.shape[1] == 0:
            return self.empty.expand(len(tokens), -1)
        # softmax of the logarithm of the weights: a whole history of very old events does not underflow
        logs = torch.zeros_like(gaps) if self.rate is None else -nn.functional.softplus(self.rate) * gaps
        weights = logs.masked_fill(~mask, torch.finfo(logs.dtype).min).softmax(1)
        mean = (weights.unsqueeze(1) @ tokens).squeeze(1)
        return torch.where(mask.any(1, keepdim=True), mean, self.empty)

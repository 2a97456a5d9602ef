"""A text to a token: the mean of its hashed n-grams and a small network on it."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import needed
from banyan.encoders._pool import given, masked_mean
from banyan.parts import Natural, Share
from banyan.types import Column


class Text(Encoder):
    """The mean of the n-grams' rows (Joulin et al., EACL 2017, sec. 2) plus a residual layer, so that n-grams can speak together.

    token = m + W2 gelu(W1 norm(m)),  m = mean of the rows; an empty text gives a learned vector.

    hidden: width of the residual layer; 0 leaves the mean alone. dropout: share of n-grams left out in training. pool: `root` makes m the sum of the K
    rows over sqrt(K), whose length does not shrink with K: one rare n-gram among two hundred is heard.
    """

    def __init__(self, width: int, inputs: int, *, hidden: Natural = 32, dropout: Share = 0.0, pool: Literal["mean", "root"] = "mean") -> None:
        super().__init__(width, inputs)
        self.dropout = dropout
        self.pool = pool
        self.residual = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)) if hidden else None
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Embedded (n, K, D), mask (n, K) -> (n, D)."""
        embedded = needed(column.embedded, "text", "embedded n-grams")
        mask = column.mask
        if self.training and self.dropout:
            kept = torch.rand(embedded.shape[:2], device=embedded.device) >= self.dropout
            mask = kept if mask is None else mask & kept
        mean = masked_mean(embedded, mask)
        if self.pool == "root":
            mean = mean * _counts(embedded, column.mask).sqrt()
        token = mean if self.residual is None else mean + self.residual(mean)
        return torch.where(given(embedded, column.mask), token, self.empty)


def _counts(embedded: Float[Tensor, "n K D"], mask: Bool[Tensor, "n K"] | None) -> Float[Tensor, "n 1"]:
    """How many rows count of each value, those left out in training among them."""
    if mask is None:
        return embedded.new_full((len(embedded), 1), embedded.shape[1])
    return mask.sum(1, keepdim=True).to(embedded.dtype)

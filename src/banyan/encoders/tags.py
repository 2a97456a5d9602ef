"""Many values of one feature to a token: the mean of their embedding rows."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import needed
from banyan.encoders._pool import given, masked_mean
from banyan.parts import Share
from banyan.types import Column


class Tags(Encoder):
    """The mean of the tags' rows, in any order; a row without tags gives a learned vector.

    dropout: share of the token's entries zeroed in training, the others scaled up.
    """

    def __init__(self, width: int, inputs: int, *, dropout: Share = 0.0) -> None:
        super().__init__(width, inputs)
        self.dropout = nn.Dropout(dropout)
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Embedded (n, K, D), mask (n, K) -> (n, D)."""
        embedded = needed(column.embedded, "tags", "embedded ids")
        token = torch.where(given(embedded, column.mask), masked_mean(embedded, column.mask), self.empty)
        dropped: Tensor = self.dropout(token)
        return dropped

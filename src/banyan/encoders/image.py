"""The frozen vector of a picture to a token."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.encoders._standard import Standard
from banyan.parts import Natural, Share
from banyan.types import Column


class Image(Encoder):
    """A trained projection of what a frozen network and the colours say. Missing: a learned vector.

    token = W2 gelu(W1 z + b1) + b2, with z the vector standardised entry by entry: maps of several depths and histograms have scales of their own.

    hidden: width of the hidden layer (0: none, a linear map). dropout: share of the entries zeroed in training, and of the hidden layer's.
    """

    def __init__(self, width: int, inputs: int, *, hidden: Natural = 0, dropout: Share = 0.2) -> None:
        super().__init__(width, inputs)
        inputs_needed(inputs, "image")
        self.standard = Standard(inputs)
        layers = [nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width)] if hidden else [nn.Linear(inputs, width)]
        self.layers = nn.Sequential(nn.Dropout(dropout), *layers)
        self.missing = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, E), known (n, E) -> (n, D); an unknown entry reads 0, a row with none known is missing."""
        numbers = needed(column.numbers, "image", "the vector of a picture")
        known = torch.ones_like(numbers, dtype=torch.bool) if column.known is None else column.known
        there = known.any(1, keepdim=True)
        return torch.where(there, self.layers(self.standard(torch.where(known, numbers, 0), there)), self.missing)

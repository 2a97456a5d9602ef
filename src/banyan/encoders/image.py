"""The frozen vector of a picture to a token."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.encoders._standard import Standard
from banyan.features import colours
from banyan.parts import Natural, Share
from banyan.types import Column


class Image(Encoder):
    """A trained projection of what a frozen network and the colours say. Missing: a learned vector.

    token = W2 [gelu(W1 z + b1), gelu(V1 c + d1)] + b2, with z what the network says and c the colours, standardised entry by entry: maps of several
    depths and histograms have scales of their own. A layer of their own keeps the few figures of colours from drowning among the network's.

    hidden: width of each of the two hidden layers (0: none, a linear map of both). dropout: share of the entries and of the hidden layers zeroed in training.
    """

    def __init__(self, width: int, inputs: int, *, hidden: Natural = 0, dropout: Share = 0.2) -> None:
        super().__init__(width, inputs)
        inputs_needed(inputs, "image")
        self.standard, self.drop = Standard(inputs), nn.Dropout(dropout)
        self.split = [inputs - colours.WIDTH, colours.WIDTH] if hidden and inputs > colours.WIDTH else [inputs]
        self.hidden = nn.ModuleList(nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Dropout(dropout)) if hidden else nn.Identity() for size in self.split)
        self.out = nn.Linear(hidden * len(self.split) if hidden else inputs, width)
        self.missing = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, E), known (n, E) -> (n, D); an unknown entry reads 0, a row with none known is missing."""
        numbers = needed(column.numbers, "image", "the vector of a picture")
        known = torch.ones_like(numbers, dtype=torch.bool) if column.known is None else column.known
        there = known.any(1, keepdim=True)
        z = self.drop(self.standard(torch.where(known, numbers, 0), there))
        found = torch.cat([layer(part) for layer, part in zip(self.hidden, z.split(self.split, 1), strict=True)], 1)
        return torch.where(there, self.out(found), self.missing)

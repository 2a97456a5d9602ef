"""A frozen vector, of a text or a picture, to a token."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.parts import Natural, Share
from banyan.types import Column


class Vector(Encoder):
    """A trained projection of a vector that is itself not trained. Missing: a learned vector.

    token = W norm(v) + b, where norm takes mean 0 and variance 1 over the entries, so that unit-length and standardised vectors arrive alike.

    hidden: width of a hidden layer (0: none, a linear map). dropout: share of the vector's entries zeroed in training, the others scaled up.
    """

    def __init__(self, width: int, inputs: int, *, hidden: Natural = 0, dropout: Share = 0.0) -> None:
        super().__init__(width, inputs)
        inputs_needed(inputs, "vector")
        layers = [nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, width)] if hidden else [nn.Linear(inputs, width)]
        self.layers = nn.Sequential(nn.LayerNorm(inputs, elementwise_affine=False), nn.Dropout(dropout), *layers)
        self.missing = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, E), known (n, E) -> (n, D); an unknown entry reads 0, a row with none known is missing."""
        numbers = needed(column.numbers, "vector", "the entries of a vector")
        if column.known is None:
            token: Tensor = self.layers(numbers)
            return token
        token = self.layers(torch.where(column.known, numbers, 0))
        return torch.where(column.known.any(1, keepdim=True), token, self.missing)

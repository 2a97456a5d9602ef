"""A moment to a token: how long ago it was, and where it lies in the day, the week and the year."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.parts import Natural, Positive
from banyan.types import Column


class Time(Encoder):
    """A small network over the standardised age and the sines and cosines of the calendar's cycles.

    Sine and cosine put 23:59 beside 00:00; the hidden layer lets cycles meet (Saturday evening). Missing: a learned vector.

    hidden: width of the hidden layer (0: none, a linear map). limit: standard deviations of age beyond which it counts as that many.
    """

    def __init__(self, width: int, inputs: int, *, hidden: Natural = 32, limit: Positive = 10.0) -> None:
        super().__init__(width, inputs)
        inputs_needed(inputs, "time")
        self.limit = limit
        self.layers: nn.Module = nn.Linear(inputs, width)
        if hidden:
            self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, width))
        self.missing = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, M), known (n, M) -> (n, D); an unknown entry reads 0, a row with none known is missing."""
        numbers = needed(column.numbers, "time", "numbers")
        known = torch.ones_like(numbers, dtype=torch.bool) if column.known is None else column.known
        values = torch.where(known, numbers, 0).clamp(-self.limit, self.limit)
        return torch.where(known.any(1, keepdim=True), self.layers(values), self.missing)

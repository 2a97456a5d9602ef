"""All numbers of an entity to one token."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.encoders._pool import masked_mean
from banyan.parts import Natural, Positive
from banyan.types import Column


class Numeric(Encoder):
    """A linear map of the numbers and of what is missing, plus the mean of their embedded quantile bins.

    token = W [clip(x), missing] + b + mean_k bin_k

    The bins let the token bend where a line cannot (compare the piecewise-linear encoding of Gorishniy et al., NeurIPS 2022, sec. 3.2);
    the line tells values within a bin apart.

    hidden: width of a hidden layer between numbers and token (0: none). limit: standard deviations beyond which a number counts as that many.
    """

    def __init__(self, width: int, inputs: int, *, hidden: Natural = 0, limit: Positive = 10.0) -> None:
        super().__init__(width, inputs)
        inputs_needed(inputs, "numeric")
        self.limit = limit
        self.line: nn.Module = nn.Linear(2 * inputs, width)
        if hidden:
            self.line = nn.Sequential(nn.Linear(2 * inputs, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, M), known (n, M), embedded bins (n, K, D) or None -> (n, D)."""
        numbers = needed(column.numbers, "numeric", "numbers")
        known = torch.ones_like(numbers, dtype=torch.bool) if column.known is None else column.known
        values = torch.where(known, numbers, 0).clamp(-self.limit, self.limit)
        token: Tensor = self.line(torch.cat([values, (~known).to(values.dtype)], dim=1))
        return token if column.embedded is None else token + masked_mean(column.embedded, column.mask)

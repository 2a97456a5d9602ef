"""Deep and cross network, second version: explicit products of bounded degree between all entries of a row's tokens."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from banyan.cross import Cross
from banyan.errors import ConfigError


class Dcn(Cross):
    """Low-rank cross layers over the row's entries; appends no token (Wang et al., DCN V2, WWW 2021, eq. 1 and 4).

    x_{l+1} = x_0 * (U_l V_l^T x_l + b_l) + x_l, with x_0 the S * D entries of the row; degree at most layers + 1.
    """

    def __init__(self, tokens: int, width: int, *, layers: int = 2, rank: int = 32) -> None:
        """`layers`: cross layers. `rank`: columns of U and V.

        Raises ConfigError when either is below 1.
        """
        super().__init__(tokens, width)
        if layers < 1 or rank < 1:
            raise ConfigError(f"cross 'dcn': options 'layers' and 'rank' take 1 or more; found {layers} and {rank}.")
        self.extra = 0
        flat = tokens * width
        self.down = nn.ParameterList([nn.init.xavier_uniform_(nn.Parameter(torch.empty(rank, flat))) for _ in range(layers)])
        self.up = nn.ParameterList([nn.init.xavier_uniform_(nn.Parameter(torch.empty(flat, rank))) for _ in range(layers)])
        self.bias = nn.ParameterList([nn.Parameter(torch.zeros(flat)) for _ in range(layers)])

    def forward(self, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S2 D"]:
        """The row's tokens, crossed: S2 = S."""
        first = crossed = x.flatten(1)
        for down, up, bias in zip(self.down, self.up, self.bias, strict=True):
            crossed = torch.addcmul(crossed, first, functional.linear(functional.linear(crossed, down), up, bias))
        return crossed.view_as(x)

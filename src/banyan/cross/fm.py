"""Factorisation machine: all pairwise products of a row's tokens, summed into one token more."""

import torch
from jaxtyping import Float
from torch import Tensor

from banyan.cross import Cross


class Fm(Cross):
    """Appends the sum over all pairs of tokens of their elementwise product (Rendle, ICDM 2010, lemma 3.1, kept as a vector).

    token = sum_{i<j} x_i * x_j = ((sum_i x_i)^2 - sum_i x_i^2) / 2, in time linear in S. It has no parameters: the tokens are the factors.
    """

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__(tokens, width)
        self.extra = 1

    def forward(self, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S2 D"]:
        """The row's tokens and one more: S2 = S + 1."""
        pairs = (x.sum(1, keepdim=True).square() - x.square().sum(1, keepdim=True)) / 2
        return torch.cat([x, pairs], 1)

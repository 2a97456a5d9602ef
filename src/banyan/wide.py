"""The linear path: a row's numbers, pair features and products, straight to each view. Knows neither experts nor heads."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.features.plan import Plan
from banyan.types import Batch

SWIFT = 5.0  # how much faster than other parameters the weights of numbers move


class Pieces(nn.Module):
    """Numbers as piecewise linear encodings (Gorishniy et al., NeurIPS 2022, eq. 1): of each number, how far it fills each of its pieces.

    piece t of x = (x - edge_t) / (edge_t+1 - edge_t), held inside [0, 1]

    A linear function of them is any function that is linear between the edges, one number at a time: a generalised additive model.
    """

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        """`edges` of each number, rising; a number with fewer than two has no piece."""
        super().__init__()
        pieces = [(i, low, high - low) for i, each in enumerate(edges) for low, high in pairwise(each)]
        column, low, width = zip(*pieces, strict=True) if pieces else ((), (), ())
        self.register_buffer("column", torch.tensor(column, dtype=torch.long), persistent=False)
        self.register_buffer("low", torch.tensor(low), persistent=False)
        self.register_buffer("span", torch.tensor(width), persistent=False)
        self.column: Tensor
        self.low: Tensor
        self.span: Tensor

    def forward(self, numbers: Float[Tensor, "B P"]) -> Float[Tensor, "B K"]:
        """All pieces of all numbers, side by side."""
        found: Tensor = ((numbers.index_select(1, self.column) - self.low) / self.span).clamp(0, 1)
        return found


class Wide(nn.Module):
    """A linear path from a row's numbers, pair features and products to each view, past the experts (wide and deep: Cheng et al., DLRS 2016).

    A count is nearly linear in its own lags, a repeat purchase in pieces of its own past, a taste that is met in the products of what the row's
    things are; what is nearly linear should not have to squeeze through a token of width D that all tasks share. Starts at 0. The weights of
    numbers are `SWIFT` times their parameters: Adam moves every parameter at one pace, and the few numbers of a small table have far to go.
    """

    def __init__(self, plan: Plan, met: int, views: int, height: int, *, pairs: bool) -> None:
        """`met`: numbers of the products' tokens; `pairs`: whether rows have pair features."""
        super().__init__()
        self.pairs = len(plan.pair) if pairs else 0
        self.pieces = Pieces(plan.pair_edges if pairs else [])
        self.numbers = nn.Parameter(torch.zeros(views, 2 * len(plan.context.numbers), height))
        self.past = nn.Parameter(torch.zeros(views, self.pairs + len(self.pieces.column), height))
        self.met = nn.Parameter(torch.zeros(views, met, height))

    def fixed(self, batch: Batch, views: Sequence[int]) -> Float[Tensor, "V B H"] | None:
        """What the context's numbers add to the views asked for; None where there are none."""
        if not self.numbers.shape[1]:
            return None
        context = batch.context
        return torch.cat([context.numbers, context.known.to(context.numbers.dtype)], 1) @ (SWIFT * self.numbers[list(views)])

    def weights(self, views: Sequence[int]) -> Float[Tensor, "I O"]:
        """What pair features, their pieces and products, side by side, are multiplied with for the views asked for."""
        return torch.cat([self.past[list(views)], self.met[list(views)]], 1).transpose(0, 1).flatten(1)

    def forward(self, batch: Batch, views: Sequence[int], products: Tensor | None) -> Float[Tensor, "V B H"] | float:
        """What the path adds to the views asked for. A row without pair features has none of their pieces."""
        total: Tensor | float = 0.0
        if (fixed := self.fixed(batch, views)) is not None:
            total = total + fixed
        if self.pairs and batch.pair is not None:
            total = total + torch.cat([batch.pair, self.pieces(batch.pair)], 1) @ self.past[list(views)]
        if products is not None:
            total = total + products.flatten(1) @ self.met[list(views)]
        return total

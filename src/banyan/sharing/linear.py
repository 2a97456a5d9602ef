"""Each task reads the tokens by a linear map of its own; what tasks share are the encoders, the history and the tokens."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import refuse
from banyan.types import Sizes


class Linear(Sharing):
    """view_v = W_v x + b_v.

    For rankings over a catalogue: a query that is compared with item vectors by a product is best a straight reading of the history's state,
    as in SASRec (Kang and McAuley, ICDM 2018, eq. 6), and a layer of ReLUs between them costs accuracy.
    """

    def __init__(self, sizes: Sizes, *, width: int = 64, dropout: float = 0.0) -> None:
        """`width` is H. `dropout`: share of what is read that is dropped in training."""
        super().__init__(sizes)
        refuse("linear", width=width, dropout=dropout)
        self.width = width
        self.drop = nn.Dropout(dropout)
        self.views = nn.ModuleList(nn.Linear(sizes.flat, width) for _ in range(sizes.views))

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """A product a view."""
        flat = self.drop(x.flatten(1))
        return torch.stack([self.views[view](flat) for view in views])

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """All there is."""
        weights, biases = zip(*((each.weight, each.bias) for each in map(self.views.__getitem__, views)), strict=True)
        return torch.cat(weights), torch.cat(biases)

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """One view beside the other."""
        return out.view(len(out), len(views), -1).transpose(0, 1)

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's map."""
        return list(self.views[view].parameters())

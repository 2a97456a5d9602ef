"""Multi-gate mixture of experts: each view mixes the same experts with a gate of its own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import Experts, Gates, mixed, refuse
from banyan.types import Sizes


class MMoE(Sharing):
    """Each view mixes the same experts with a gate of its own (Ma et al., KDD 2018, eq. 6 and 7).

    view_v = sum_e softmax(G_v x)_e * expert_e(x)
    """

    def __init__(self, sizes: Sizes, *, experts: int = 4, layers: tuple[int, ...] = (128, 64), dropout: float = 0.0) -> None:
        """`experts`: how many. `layers`: sizes of an expert, the last is H. `dropout`: share of hidden values dropped in training."""
        super().__init__(sizes)
        refuse("mmoe", layers=layers, dropout=dropout, experts=experts)
        self.width = layers[-1]
        self.experts = Experts(sizes.flat, layers, experts, dropout)
        self.gates = Gates(sizes.flat, experts, sizes.views)

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The experts once, mixed by the gates asked for."""
        return self.experts.gated(x.flatten(1), self.gates, views)

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first layer of every expert, then the gates asked for."""
        gates = self.gates.stacked(views)
        return torch.cat([self.experts.first, gates[0]]), torch.cat([self.experts.first_bias, gates[1]])

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The experts' other layers, mixed."""
        hidden = len(self.experts.first)
        return mixed(self.gates.softmax(out[:, hidden:], len(views)), self.experts.entered(out[:, :hidden]))

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's gate."""
        return self.gates.of(view)

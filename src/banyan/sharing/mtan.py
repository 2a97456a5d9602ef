"""Multi-task attention network: one shared network, and masks of each view's own over its layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import dense, layer, linear, mlp, refuse
from banyan.types import Sizes


class Mtan(Sharing):
    """Each view picks from every shared layer by a soft mask, which reads that layer and what the view picked below (Liu et al., CVPR 2019, eq. 1 and 2).

    p_l = dense(p_{l-1});  a_l = sigmoid(g_l([p_l, f_l(picked_{l-1})]));  picked_l = a_l * p_l;  view = picked_last

    The paper's convolutions are dense layers here; the lowest mask reads p_1 alone.
    """

    def __init__(self, sizes: Sizes, *, layers: tuple[int, ...] = (128, 64), attention: int = 32, dropout: float = 0.0) -> None:
        """`layers`: sizes of the shared layers, the last is H. `attention`: hidden size of a mask. `dropout`: share dropped in training."""
        super().__init__(sizes)
        refuse("mtan", layers=layers, dropout=dropout, attention=attention)
        self.width = layers[-1]
        self.shared = nn.ModuleList([dense(a, b, dropout) for a, b in zip([sizes.flat, *layers[:-1]], layers, strict=True)])
        self.masks = nn.ModuleList([_Masks(layers, attention) for _ in range(sizes.views)])

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The shared layers once, then the masks asked for."""
        return self._masked(self.shared[0](x.flatten(1)), views)

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first shared layer."""
        return layer(self.shared[0])

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The other layers and the masks."""
        return self._masked(out.relu_(), views)

    def _masked(self, hidden: Tensor, views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """From the first shared layer's values on."""
        levels = [hidden]
        for each in self.shared[1:]:
            levels.append(each(levels[-1]))
        return torch.stack([self.masks[view](levels) for view in views])

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's masks."""
        return list(self.masks[view].parameters())


class _Masks(nn.Module):
    """One view's way up the shared layers."""

    def __init__(self, layers: Sequence[int], attention: int) -> None:
        super().__init__()
        inputs = [layers[0], *(2 * size for size in layers[1:])]
        self.mask = nn.ModuleList([nn.Sequential(mlp(a, [attention]), linear(attention, b)) for a, b in zip(inputs, layers, strict=True)])
        self.carry = nn.ModuleList([dense(a, b) for a, b in pairwise(layers)])

    def forward(self, levels: list[Tensor]) -> Tensor:
        picked: Tensor = self.mask[0](levels[0]).sigmoid() * levels[0]
        for level, mask, carry in zip(levels[1:], self.mask[1:], self.carry, strict=True):
            picked = mask(torch.cat([level, carry(picked)], -1)).sigmoid() * level
        return picked

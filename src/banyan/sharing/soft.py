"""Soft parameter sharing: a network for each view, tied to the others by a penalty on how far apart they are."""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.errors import ConfigError
from banyan.sharing import Sharing
from banyan.sharing._blocks import layer, mlp, refuse
from banyan.types import Sizes


class Soft(Sharing):
    """Each view has a tower of its own, and an L2 penalty pulls the towers together (Duong et al., ACL 2015).

    view_v = mlp_v(x);  penalty = strength / V * sum_v ||theta_v - mean_u theta_u||^2

    The towers start equal, so the penalty starts at 0 and measures only what the tasks have asked for.
    """

    def __init__(self, sizes: Sizes, *, layers: tuple[int, ...] = (128, 64), strength: float = 1e-2, dropout: float = 0.0) -> None:
        """`layers`: sizes of a tower, the last is H. `strength`: nats per squared unit of distance. `dropout`: share dropped in training."""
        super().__init__(sizes)
        refuse("soft", layers=layers, dropout=dropout)
        if strength < 0:
            raise ConfigError(f"sharing 'soft': option 'strength' is {strength!r}; a penalty is not negative.")
        self.width = layers[-1]
        self.strength = strength
        self.towers = nn.ModuleList([mlp(sizes.flat, layers, dropout) for _ in range(sizes.views)])
        for tower in self.towers[1:]:
            tower.load_state_dict(self.towers[0].state_dict())

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The towers of the views asked for, and no other."""
        flat = x.flatten(1)
        return torch.stack([self.towers[view](flat) for view in views])

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first layers of the towers asked for."""
        weights, biases = zip(*(layer(self._tower(view)[0]) for view in views), strict=True)
        return torch.cat(weights), torch.cat(biases)

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The rest of each tower."""
        each = out.relu_().chunk(len(views), 1)
        return torch.stack([self._tower(view)[1:](one) for view, one in zip(views, each, strict=True)])

    def penalty(self) -> Tensor:
        """The mean squared distance of a tower from the mean tower, times `strength` (nats, scalar)."""
        each = zip(*(tower.parameters() for tower in self.towers), strict=True)
        spread = [(same - same.mean(0)).square().sum() for same in map(torch.stack, each)]
        return self.strength / len(self.towers) * torch.stack(spread).sum()

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's tower; only the penalty, which is no view's loss, moves it besides."""
        return list(self.towers[view].parameters())

    def _tower(self, view: int) -> nn.Sequential:
        return cast(nn.Sequential, self.towers[view])

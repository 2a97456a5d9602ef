"""Hierarchy along the funnel: a view receives information from the view of the stage before it."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import layer, linear, mlp, refuse
from banyan.types import Sizes


class Hierarchy(Sharing):
    """Towers over a shared bottom; a stage attends to itself and to what the stage before hands on (Xi et al., AITM, KDD 2021, eq. 3 to 6).

    q_v = tower_v(bottom(x));  view_v = q_v without a parent, else  sum_{u in {handed(view_parent), q_v}} w_u * value(u)
    with w = softmax over u of <key(u), query(u)> / sqrt(H)

    Information and gradients run from child to parent only through the hand-over; no parent reads its child.
    """

    def __init__(self, sizes: Sizes, *, layers: tuple[int, ...] = (128,), tower: tuple[int, ...] = (64,), dropout: float = 0.0) -> None:
        """`layers`: sizes of the shared bottom. `tower`: sizes of a view's tower, the last is H. `dropout`: share dropped in training."""
        super().__init__(sizes)
        refuse("hierarchy", layers=layers, tower=tower, dropout=dropout)
        self.width = tower[-1]
        self.bottom = mlp(sizes.flat, layers, dropout)
        self.towers = nn.ModuleList([mlp(layers[-1], tower, dropout) for _ in range(sizes.views)])
        self.transfers = nn.ModuleDict({str(view): _Transfer(self.width) for view in range(sizes.views) if sizes.parent(view) is not None})

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The views asked for and, unseen, the ancestors that they read."""
        return self._over(self.bottom(x.flatten(1)), views)

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The bottom's first layer."""
        return layer(self.bottom[0])

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The rest of the bottom, and all that stands on it."""
        return self._over(self.bottom[1:](out.relu_()), views)

    def owned(self, view: int) -> list[nn.Parameter]:
        """The tower and the transfer of a view that is nobody's parent; a parent's are moved by its children too."""
        if view in self.sizes.parents:
            return []
        transfer = self.transfers[str(view)].parameters() if str(view) in self.transfers else ()
        return [*self.towers[view].parameters(), *transfer]

    def _over(self, shared: Tensor, views: Sequence[int]) -> Float[Tensor, "V B H"]:
        found: dict[int, Tensor] = {}
        return torch.stack([self._view(view, shared, found) for view in views])

    def _view(self, view: int, shared: Tensor, found: dict[int, Tensor]) -> Tensor:
        if view not in found:
            parent = self.sizes.parent(view)
            own: Tensor = self.towers[view](shared)
            found[view] = own if parent is None else self.transfers[str(view)](self._view(parent, shared, found), own)
        return found[view]


class _Transfer(nn.Module):
    """Attention over two vectors: what the parent hands on, and the child's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.handed = mlp(width, [width])
        self.query, self.key, self.value = (linear(width, width) for _ in range(3))

    def forward(self, parent: Float[Tensor, "B H"], own: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        both = torch.stack([self.handed(parent), own], 1)  # (B, 2, H)
        weight = ((self.query(both) * self.key(both)).sum(-1) / math.sqrt(own.shape[-1])).softmax(-1)
        out: Tensor = (weight.unsqueeze(-1) * self.value(both)).sum(1)
        return out

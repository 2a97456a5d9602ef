"""Progressive layered extraction: shared experts, experts of each view's own, and gates between them, level over level."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import Experts, Gates, mix, refuse
from banyan.types import Sizes


class Ple(Sharing):
    """Each view mixes the shared experts with its own; a shared path mixes all of them for the next level (Tang et al., RecSys 2020, eq. 3 to 6).

    x_v <- sum_e softmax(G_v x_v)_e * [own_v(x_v), shared(x_s)]_e;  x_s <- the same over all experts of the level;  view_v = x_v after the last level

    With `levels=1` it is the paper's CGC, and a view costs only its own and the shared experts.
    """

    def __init__(self, sizes: Sizes, *, shared: int = 2, own: int = 1, levels: int = 2, layers: tuple[int, ...] = (128, 64), dropout: float = 0.0) -> None:
        """`shared`: shared experts a level. `own`: experts of each view a level. `levels`: how many.

        `layers`: sizes of an expert, the last is H. `dropout`: share of hidden values dropped in training.
        """
        super().__init__(sizes)
        refuse("ple", layers=layers, dropout=dropout, shared=shared, own=own, levels=levels)
        self.width = layers[-1]
        inputs = [sizes.flat, *[self.width] * (levels - 1)]
        self.levels = nn.ModuleList([_Level(each, layers, shared, own, sizes.views, dropout, last=i == levels - 1) for i, each in enumerate(inputs)])

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """All paths up to the last level, where only the views asked for are computed."""
        flat = x.flatten(1)
        every = range(self.sizes.views)  # below the last level every view's experts feed the shared path
        shared, paths = flat, dict.fromkeys(every, flat)
        for level in self.levels:
            shared, paths = level(shared, paths, views if level.last else every)
        return torch.stack([paths[view] for view in views])

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's experts and gate in the last level, and its gate in the level before; what lies lower reaches the others through the shared path."""
        last: _Level = self.levels[-1]  # type: ignore[assignment]
        below: list[_Level] = list(self.levels[-2:-1])  # type: ignore[arg-type]
        return [*last.own[view].parameters(), *last.gates.of(view), *(each for level in below for each in level.gates.of(view))]


class _Level(nn.Module):
    """One level: its experts, a gate for each view, and unless it is the last, a gate for the shared path."""

    def __init__(self, inputs: int, layers: Sequence[int], shared: int, own: int, views: int, dropout: float, *, last: bool) -> None:
        super().__init__()
        self.last = last
        self.shared = Experts(inputs, layers, shared, dropout)
        self.own = nn.ModuleList([Experts(inputs, layers, own, dropout) for _ in range(views)])
        self.gates = Gates(inputs, own + shared, views)
        self.shared_gate = None if last else Gates(inputs, own * views + shared, 1)

    def forward(self, shared: Tensor, paths: dict[int, Tensor], views: Sequence[int]) -> tuple[Tensor, dict[int, Tensor]]:
        common: list[Tensor] = self.shared(shared)
        own: dict[int, list[Tensor]] = {view: self.own[view](paths[view]) for view in set(views)}
        found = {view: mix(self.gates(paths[view], [view]), own[view] + common)[0] for view in own}
        if self.shared_gate is None:
            return shared, found
        everyone = [each for view in sorted(own) for each in own[view]] + common
        return mix(self.shared_gate(shared, [0]), everyone)[0], found

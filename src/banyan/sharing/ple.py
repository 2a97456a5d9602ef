"""Progressive layered extraction: shared experts, experts of each view's own, and gates between them, level over level."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import Experts, Gates, mix, mixed, refuse
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
        return self._up(flat, dict.fromkeys(range(self.sizes.views), flat), self._levels, views)

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """All that reads the row in the first level."""
        return self._levels[0].entry(self._heard(self._levels[0], views))

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The rest of the first level, and those above it."""
        first, *later = self._levels
        shared, paths = first.entered(out, self._heard(first, views))
        return self._up(shared, paths, later, views)

    @property
    def _levels(self) -> "list[_Level]":
        return [cast(_Level, each) for each in self.levels]

    def _heard(self, level: "_Level", views: Sequence[int]) -> Sequence[int]:
        """Below the last level every view's experts feed the shared path."""
        return views if level.last else range(self.sizes.views)

    def _up(self, shared: Tensor, paths: dict[int, Tensor], levels: "Sequence[_Level]", views: Sequence[int]) -> Float[Tensor, "V B H"]:
        for level in levels:
            shared, paths = level(shared, paths, self._heard(level, views))
        return torch.stack([paths[view] for view in views])

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's experts and gate in the last level, and its gate in the level before; what lies lower reaches the others through the shared path."""
        *below, last = self._levels[-2:]
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

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first layers of the experts: shared ones, each view's in rising order; then the gates of those views, and that of the shared path."""
        heard = sorted(set(views))
        experts = [self.shared, *(self._experts(view) for view in heard)]
        gates = [self.gates.stacked(heard), *([] if self.shared_gate is None else [self.shared_gate.stacked([0])])]
        weights, biases = zip(*[(each.first, each.first_bias) for each in experts], *gates, strict=True)
        return torch.cat(weights), torch.cat(biases)

    def entered(self, out: Float[Tensor, "B R"], views: Sequence[int]) -> tuple[Tensor, dict[int, Tensor]]:
        """(The shared path, each view's) from what the layer of `entry` made of one row for all paths."""
        heard = sorted(set(views))
        experts = [self.shared, *(self._experts(view) for view in heard)]
        places = list(accumulate([len(each.first) for each in experts], initial=0))
        common, *own = [each.entered(out[:, a:b]) for each, (a, b) in zip(experts, pairwise(places), strict=True)]
        logits = out[:, places[-1] :]
        width = len(heard) * len(self.gates.weight[0])
        gates = self.gates.softmax(logits[:, :width], len(heard))
        found = {view: mixed(gates[:, i : i + 1], torch.cat([mine, common]))[0] for i, (view, mine) in enumerate(zip(heard, own, strict=True))}
        if self.shared_gate is None:
            return out, found
        return mixed(self.shared_gate.softmax(logits[:, width:], 1), torch.cat([*own, common]))[0], found

    def _experts(self, view: int) -> Experts:
        return cast(Experts, self.own[view])

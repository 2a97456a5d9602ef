"""Cross-stitch networks: a network for each view, which exchange their hidden values after every layer but the last."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from banyan.errors import ConfigError
from banyan.sharing import Sharing
from banyan.sharing._blocks import Experts, he, refuse, zeros
from banyan.types import Sizes


class CrossStitch(Sharing):
    """Each view's next layer reads a learned linear combination of all views' hidden values (Misra et al., CVPR 2016, eq. 1).

    h_v <- sum_u alpha[v, u] * h_u  after each layer but the last;  view_v = the last layer of tower v

    One alpha a layer, for all of its units. It starts near the identity with rows that sum to 1, as the paper advises.
    """

    def __init__(self, sizes: Sizes, *, layers: tuple[int, ...] = (128, 64), own: float = 0.9, dropout: float = 0.0) -> None:
        """`layers`: sizes of a tower, two at least, the last is H. `own`: where alpha[v, v] starts. `dropout`: share dropped in training.

        Raises ConfigError when there are fewer than two layers: then there is nothing to stitch between.
        """
        super().__init__(sizes)
        refuse("cross_stitch", layers=layers, dropout=dropout)
        if len(layers) < 2:
            raise ConfigError(f"sharing 'cross_stitch': option 'layers' is {layers!r}; stitches lie between layers, so it takes two sizes or more.")
        self.width, self.dropout = layers[-1], dropout
        views = sizes.views
        self.first = Experts(sizes.flat, layers[:1], views, dropout)
        between = list(pairwise(layers[:-1]))
        self.inner = nn.ParameterList([he(views, b, a) for a, b in between])
        self.inner_bias = nn.ParameterList([zeros(views, 1, b) for _, b in between])
        self.last = nn.ParameterList([he(layers[-1], layers[-2]) for _ in range(views)])
        self.last_bias = nn.ParameterList([zeros(layers[-1]) for _ in range(views)])
        self.stitches = nn.ParameterList([_start(views, own) for _ in layers[1:]])

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """All towers up to the last stitch, then the last layers asked for."""
        return self._stitched(torch.stack(self.first(x.flatten(1))), views)

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first layer of every tower."""
        return self.first.first, self.first.first_bias

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """What comes behind the first layers."""
        return self._stitched(self.first.entered(out).contiguous(), views)

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's last layer; all before it reaches the other views through the stitches."""
        return [self.last[view], self.last_bias[view]]

    def _stitched(self, hidden: Float[Tensor, "U B h"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """From the first layers of all towers, U: every tower is read by every other."""
        for stitch, weight, bias in zip(self.stitches, self.inner, self.inner_bias, strict=False):
            hidden = self._drop(torch.baddbmm(bias, _stitched(stitch, hidden), weight.mT).relu())
        asked = _stitched(self.stitches[-1][list(views)], hidden)
        out = [functional.linear(each, self.last[view], self.last_bias[view]) for view, each in zip(views, asked, strict=True)]
        return self._drop(torch.stack(out).relu())

    def _drop(self, hidden: Tensor) -> Tensor:
        return functional.dropout(hidden, self.dropout, self.training)


def _start(views: int, own: float) -> nn.Parameter:
    if views == 1:
        return nn.Parameter(torch.ones(1, 1))
    other = (1.0 - own) / (views - 1)
    return nn.Parameter(torch.full((views, views), other) + torch.eye(views) * (own - other))


def _stitched(stitch: Tensor, hidden: Tensor) -> Tensor:
    return (stitch @ hidden.flatten(1)).view(-1, *hidden.shape[1:])

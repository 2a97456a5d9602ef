"""Star: every scenario's network is the shared one, multiplied weight by weight with what is the scenario's own."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from banyan.errors import ConfigError
from banyan.parts import Share
from banyan.sharing import Sharing
from banyan.sharing._blocks import he, linear, refuse, zeros
from banyan.sharing._scenario import UNKNOWN, Grouped, Moments, hidden
from banyan.types import Sizes


class Star(Sharing):
    """A star of networks around a shared one, partitioned normalisation, and an auxiliary network (Sheng et al., CIKM 2021, eq. 3 to 9).

    z = (1 + g)(1 + g_s) (x - mean_s) / sd_s + b + b_s
    h <- relu((W (1 + W_s)) h + c + c_s), layer over layer from z;  view_v = h + A relu(U x + u_s), the same for every v

    What is a scenario's own (g_s, b_s, W_s, c_s, u_s) starts at 0, and weight decay draws it there: a rare scenario is answered nearly by the shared
    network, an unknown one by that alone. Mean and sd are running ones, in training as in answering (see `Moments`).
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        layers: tuple[int, ...] = (128, 64),
        auxiliary: int = 32,
        unknown: Share = 0.05,
        most_scenarios: int = 200,
        dropout: float = 0.0,
    ) -> None:
        """`layers`: sizes of the hidden layers, the last is H. `auxiliary`: hidden size of the auxiliary network. `unknown`: share of training rows whose
        scenario is hidden from it. `most_scenarios`: each has about as many weights as the shared network; more of them are refused. `dropout`: share dropped.

        Raises ConfigError when the store has more scenarios.
        """
        super().__init__(sizes)
        refuse("star", layers=layers, dropout=dropout, auxiliary=auxiliary, most_scenarios=most_scenarios)
        self.width, self.unknown, self.dropout = layers[-1], unknown, dropout
        pairs = list(pairwise([sizes.flat, *layers]))
        self.shapes = [(sizes.flat,), (sizes.flat,), *(shape for a, b in pairs for shape in ((b, a), (b,))), (auxiliary,)]
        _bearable(sizes.scenarios - 1, sum(map(math.prod, self.shapes)), most_scenarios)
        self.moments = Moments(sizes.scenarios, sizes.flat)
        self.gain, self.shift = zeros(sizes.flat), zeros(sizes.flat)
        self.weights = nn.ParameterList([he(b, a) for a, b in pairs])
        self.biases = nn.ParameterList([zeros(b) for _, b in pairs])
        self.enter, self.leave = linear(sizes.flat, auxiliary), linear(auxiliary, self.width)
        self.own = nn.ParameterList([zeros(sum(map(math.prod, self.shapes))) for _ in range(sizes.scenarios - 1)])

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """One output a row, of its scenario's network, seen once for each view asked for."""
        rows = Grouped(hidden(scenario, self.unknown, self.training))
        groups = rows.split(x.flatten(1))
        if self.training and torch.is_grad_enabled():
            self.moments.see(rows.codes, groups)
        found = [self._network(*each) for each in zip(rows.codes, groups, self.moments.of(rows.codes), strict=True)]
        return rows.joined(found).expand(len(views), -1, -1)

    def _network(self, code: int, x: Float[Tensor, "n I"], moments: tuple[Tensor, Tensor]) -> Float[Tensor, "n H"]:
        gain, shift, *layers, entered = self._own(code)
        mean, scale = moments
        out = torch.addcmul(self.shift + shift, x - mean, (1 + self.gain) * (1 + gain) * scale)
        for weight, bias, more, further in zip(self.weights, self.biases, layers[::2], layers[1::2], strict=True):
            out = functional.linear(out, weight * (1 + more), bias + further).relu()
            out = functional.dropout(out, self.dropout, self.training)
        beside: Tensor = self.leave((self.enter(x) + entered).relu())
        return out + beside

    def _own(self, code: int) -> list[Tensor]:
        """What is this scenario's own, in the order of `shapes`; numbers 0 that broadcast for an unknown one."""
        if code == UNKNOWN:
            return [self.gain.new_zeros(())] * len(self.shapes)
        pieces = torch.split(self.own[code - 1], [math.prod(shape) for shape in self.shapes])
        return [each.view(shape) for each, shape in zip(pieces, self.shapes, strict=True)]


def _bearable(scenarios: int, numbers: int, most: int) -> None:
    if scenarios > most:
        size = scenarios * numbers * 4 / 1e6
        raise ConfigError(
            f"sharing 'star': {scenarios} scenarios with {numbers:,} weights each are {size:,.0f} MB, and four times that in training; "
            f"option 'most_scenarios' is {most}. "
            "Join rare scenarios into one, take 'pepnet', which keeps a short vector a scenario, or raise the option."
        )

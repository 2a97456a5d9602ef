"""Networks that several sharing architectures are made of: a plain one, many side by side, and their gated mixture."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from banyan.errors import ConfigError

WIDE = 256  # columns of one matrix product over several experts: wider blocks fall out of the cache and cost page faults (measured)


def refuse(part: str, *, dropout: float = 0.0, **sizes: int | Sequence[int]) -> None:
    """Raise ConfigError unless `dropout` is in [0, 1), every other number is >= 1, and every list holds at least one such number."""
    if not 0.0 <= dropout < 1.0:
        raise ConfigError(f"sharing {part!r}: option 'dropout' is {dropout!r}; it is a share in [0, 1).")
    for key, value in sizes.items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"sharing {part!r}: option {key!r} is {value!r}; it takes 1 or more.")
        if isinstance(value, Sequence) and min(value, default=0) < 1:
            raise ConfigError(f"sharing {part!r}: option {key!r} is {tuple(value)!r}; it takes at least one size, each 1 or more.")


def he(*shape: int) -> nn.Parameter:
    """A weight (..., out, in) that keeps the variance of what a ReLU lets through (He et al., ICCV 2015, eq. 10), uniform."""
    bound = math.sqrt(6.0 / shape[-1])
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))


def zeros(*shape: int) -> nn.Parameter:
    """A bias."""
    return nn.Parameter(torch.zeros(shape))


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """A linear layer without a ReLU behind it (Glorot and Bengio, AISTATS 2010), with bias 0."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def dense(inputs: int, outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear, ReLU, dropout."""
    layer = nn.Linear(inputs, outputs)
    layer.weight = he(outputs, inputs)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.ReLU(), *([nn.Dropout(dropout)] if dropout else []))


def mlp(inputs: int, layers: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """A `dense` for each size in `layers`; () hands its input on."""
    return nn.Sequential(*(dense(a, b, dropout) for a, b in zip([inputs, *layers[:-1]], layers, strict=True)))


class Experts(nn.Module):
    """Several networks of one shape over the same input, their weights stacked so that the first layer takes few large products."""

    def __init__(self, inputs: int, layers: Sequence[int], count: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden, self.dropout = layers[0], dropout
        self.first, self.first_bias = he(count * layers[0], inputs), zeros(count * layers[0])
        pairs = list(pairwise(layers))
        self.later = nn.ParameterList([he(count, b, a) for a, b in pairs])
        self.later_bias = nn.ParameterList([zeros(count, b) for _, b in pairs])

    def forward(self, x: Float[Tensor, "B I"]) -> list[Tensor]:
        """What each expert makes of `x`: `count` tensors (B, H)."""
        return self._later([each for weight, bias in self._blocks() for each in torch.split(self._layer(x, weight, bias), self.hidden, -1)])

    def gated(self, x: Float[Tensor, "B I"], gates: "Gates", views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The experts mixed by the gates of these views, which read `x` too: their logits ride on the last of the first layer's products."""
        *blocks, (weight, bias) = self._blocks()
        found = [each for block in blocks for each in torch.split(self._layer(x, *block), self.hidden, -1)]
        more, more_bias = gates.stacked(views)
        out = functional.linear(x, torch.cat([weight, more]), torch.cat([bias, more_bias]))
        *last, logits = torch.split(out, [*[self.hidden] * (len(weight) // self.hidden), len(more)], -1)
        found += [self._dropped(each.relu()) for each in last]
        return mix(logits.reshape(len(x), len(views), -1).softmax(-1), self._later(found))

    def entered(self, out: Float[Tensor, "B R"]) -> Float[Tensor, "E B H"]:
        """All experts in evaluation mode, from what the first layer makes before its ReLU; `out` is written over."""
        found = out.relu_().view(len(out), -1, self.hidden).transpose(0, 1)
        for weights, biases in zip(self.later, self.later_bias, strict=True):
            found = torch.baddbmm(biases.unsqueeze(1), found, weights.mT).relu_()
        return found

    def _blocks(self) -> list[tuple[Tensor, Tensor]]:
        rows = self.hidden * max(1, WIDE // self.hidden)
        return list(zip(torch.split(self.first, rows), torch.split(self.first_bias, rows), strict=True))

    def _later(self, found: list[Tensor]) -> list[Tensor]:
        for weights, biases in zip(self.later, self.later_bias, strict=True):
            found = [self._layer(*each) for each in zip(found, weights.unbind(), biases.unbind(), strict=True)]
        return found

    def _layer(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return self._dropped(functional.linear(x, weight, bias).relu_())

    def _dropped(self, out: Tensor) -> Tensor:
        return functional.dropout(out, self.dropout, self.training) if self.dropout else out


class Gates(nn.Module):
    """A softmax over experts for each view; the gates asked for take one product. Each view's weights are its own parameters."""

    def __init__(self, inputs: int, experts: int, views: int) -> None:
        super().__init__()
        scale = 0.1 / math.sqrt(inputs)  # nearly uniform at the start: no expert begins unheard
        self.weight = nn.ParameterList([nn.Parameter(torch.empty(experts, inputs).normal_(0.0, scale)) for _ in range(views)])
        self.bias = nn.ParameterList([zeros(experts) for _ in range(views)])

    def forward(self, x: Float[Tensor, "B I"], views: Sequence[int]) -> Float[Tensor, "B V E"]:
        """Weights >= 0 that sum to 1 over the experts."""
        weight, bias = self.stacked(views)
        return self.softmax(functional.linear(x, weight, bias), len(views))

    def stacked(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Weights (V * E, I) and biases (V * E,) of these views' gates, one below the other."""
        return torch.cat([self.weight[view] for view in views]), torch.cat([self.bias[view] for view in views])

    def softmax(self, logits: Float[Tensor, "B W"], views: int) -> Float[Tensor, "B V E"]:
        """The gates of so many views from their stacked logits."""
        return logits.view(len(logits), views, -1).softmax(-1)

    def of(self, view: int) -> list[nn.Parameter]:
        """The parameters of one view's gate."""
        return [self.weight[view], self.bias[view]]


def mixed(gates: Float[Tensor, "B V E"], experts: Float[Tensor, "E B H"]) -> Float[Tensor, "V B H"]:
    """`mix` of experts that lie stacked."""
    return torch.bmm(gates, experts.transpose(0, 1)).transpose(0, 1)


def layer(dense: nn.Module) -> tuple[Tensor, Tensor]:
    """(Weight, bias) of the linear layer that a `dense` begins with."""
    first = cast(nn.Linear, next(dense.children()))
    return first.weight, first.bias


def mix(gates: Float[Tensor, "B V E"], experts: list[Tensor]) -> Float[Tensor, "V B H"]:
    """sum_e gates[b, v, e] * experts[e][b]."""
    gates = gates.to(experts[0].dtype)
    if len(experts) * experts[0].shape[1] >= WIDE:  # one small product a row; below that its overhead is larger than the work (measured)
        return torch.bmm(gates, torch.stack(experts, 1)).transpose(0, 1)
    return torch.stack([_weighted(gates[:, view].unsqueeze(-1).unbind(1), experts) for view in range(gates.shape[1])])


def _weighted(weights: Sequence[Tensor], experts: list[Tensor]) -> Tensor:
    total = weights[0] * experts[0]
    for weight, expert in zip(weights[1:], experts[1:], strict=True):
        total = torch.addcmul(total, weight, expert)
    return total

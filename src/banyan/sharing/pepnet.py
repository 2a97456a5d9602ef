"""PEPNet: gates from the scenario on the tokens, and gates from who and what the row is about on every task's hidden layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from banyan.errors import ConfigError
from banyan.parts import Share
from banyan.sharing import Sharing
from banyan.sharing._blocks import he, refuse, zeros
from banyan.sharing._scenario import Vectors
from banyan.types import Sizes

PERSONAL = ("user", "item")  # slots whose tokens make the gates of hidden layers, where a store has them


class Pepnet(Sharing):
    """Parameter and embedding personalised network (Chang et al., KDD 2023, eq. 3 to 8).

    gate(u) = 2 sigmoid(A relu(B u + b) + a), near 1 at the start
    EPNet: y = gate([e_s, stop(x)]) * x, with e_s a scenario's vector
    PPNet: h <- relu(W_v,l (gate_v,l([p, stop(y)]) * h) + c_v,l), layer over layer from y, with p the tokens of `personal` slots;
    view_v = gate_v,L * the last h

    stop() lets no gradient through, so a gate does not bend what it multiplies towards itself. An unknown scenario's vector is 0.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        layers: tuple[int, ...] = (128, 64),
        gate: int = 32,
        scenario_width: int = 16,
        personal: tuple[str, ...] | None = None,
        unknown: Share = 0.05,
        dropout: float = 0.0,
    ) -> None:
        """`layers`: sizes of a view's tower, the last is H. `gate`: hidden size of a gate. `scenario_width`: entries of a scenario's vector. `personal`: slots
        that the towers' gates read, `user` and `item` unless given. `unknown`: share of training rows whose scenario is hidden. `dropout`: share dropped.

        Raises ConfigError when a store has no such slot.
        """
        super().__init__(sizes)
        refuse("pepnet", layers=layers, dropout=dropout, gate=gate, scenario_width=scenario_width)
        self.width, self.layers = layers[-1], layers
        self.personal = _slots(sizes, personal)
        told = sum(slot.stop - slot.start for slot in self.personal) * sizes.width
        self.scenarios = Vectors(sizes.scenarios, scenario_width, unknown)
        self.embedding_gate = _Gate(self.scenarios.width + sizes.flat, gate, sizes.flat)
        self.towers = nn.ModuleList([_Tower(sizes.flat, layers, dropout) for _ in range(sizes.views)])
        self.gates = nn.ModuleList([_Gate(told + sizes.flat, gate, sum(layers)) for _ in range(sizes.views)])

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The gated tokens once, and a gated tower for each view asked for."""
        flat = x.flatten(1)
        flat = self.embedding_gate([self.scenarios(scenario, flat), flat.detach()]) * flat
        asked = [*(x[:, slot].flatten(1) for slot in self.personal), flat.detach()]
        gates = [torch.split(self.gates[view](asked), list(self.layers), -1) for view in views]
        return torch.stack([self.towers[view](flat, gate) for view, gate in zip(views, gates, strict=True)])

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's tower and its gates."""
        return [*self.towers[view].parameters(), *self.gates[view].parameters()]


class _Gate(nn.Module):
    """2 sigmoid of a network with one hidden layer: factors in (0, 2). Reads its inputs side by side."""

    def __init__(self, inputs: int, size: int, outputs: int) -> None:
        super().__init__()
        self.enter, self.bias = he(size, inputs), zeros(size)
        self.leave, self.last = nn.Parameter(torch.empty(outputs, size).normal_(0.0, 0.01)), zeros(outputs)

    def forward(self, told: Sequence[Tensor]) -> Tensor:
        found = functional.linear(torch.cat(list(told), 1), self.enter, self.bias).relu()
        return 2 * functional.linear(found, self.leave, self.last).sigmoid()


class _Tower(nn.Module):
    """Linear, ReLU, a factor for each hidden value, dropout."""

    def __init__(self, inputs: int, layers: Sequence[int], dropout: float) -> None:
        super().__init__()
        pairs = list(pairwise([inputs, *layers]))
        self.weights, self.biases = nn.ParameterList([he(b, a) for a, b in pairs]), nn.ParameterList([zeros(b) for _, b in pairs])
        self.dropout = dropout

    def forward(self, hidden: Tensor, gates: Sequence[Tensor]) -> Tensor:
        for weight, bias, gate in zip(self.weights, self.biases, gates, strict=True):
            hidden = functional.linear(hidden, weight, bias).relu() * gate
            hidden = functional.dropout(hidden, self.dropout, self.training)
        return hidden


def _slots(sizes: Sizes, asked: Sequence[str] | None) -> list[slice]:
    """The slots asked for, or those of `PERSONAL` that the store has."""
    for name in asked or ():
        if name not in sizes.slots:
            raise ConfigError(f"sharing 'pepnet': option 'personal' names the slot {name!r}; slots: {', '.join(sizes.slots)}.")
    return [sizes.slots[name] for name in (PERSONAL if asked is None else asked) if name in sizes.slots]

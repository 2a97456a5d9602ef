"""What pepnet promises besides the contract: gates in (0, 2) that start near 1, that bend nothing towards themselves, and a vector 0 for the unknown."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from banyan import parts
from banyan.errors import ConfigError
from banyan.sharing.pepnet import Pepnet
from banyan.types import Sizes

SIZES = Sizes(slots={"user": slice(0, 2), "item": slice(2, 3), "context": slice(3, 4)}, width=4, views=2, scenarios=4)


def pepnet(sizes: Sizes = SIZES, **options: object) -> Pepnet:
    torch.manual_seed(0)
    part = parts.build("sharing", {"part": "pepnet", "layers": [8, 4], "gate": 5, "scenario_width": 3, "unknown": 0.0, **options}, sizes)
    assert isinstance(part, Pepnet)
    return part


def rows(count: int = 20) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(count, 4, 4, generator=draw), torch.randint(0, 4, (count,), generator=draw)


def loud(part: Pepnet) -> Pepnet:
    """The same with gates far from 1."""
    with torch.no_grad():
        for gate in (part.embedding_gate, *part.gates):
            gate.leave.normal_()
    return part


def gated(gate: torch.nn.Module, told: Tensor) -> Tensor:
    return 2 * functional.linear(functional.linear(told, gate.enter, gate.bias).relu(), gate.leave, gate.last).sigmoid()


def test_a_row_by_hand() -> None:
    part = loud(pepnet())
    x, scenario = rows()
    row = int((scenario == 2).nonzero()[0])
    flat = x[row].flatten()
    y = gated(part.embedding_gate, torch.cat([part.scenarios.table[1], flat])) * flat
    gates = gated(part.gates[1], torch.cat([x[row, :3].flatten(), y])).split([8, 4])
    out = y
    for weight, bias, gate in zip(part.towers[1].weights, part.towers[1].biases, gates, strict=True):
        out = functional.linear(out, weight, bias).relu() * gate
    torch.testing.assert_close(part(x, scenario, [1])[0, row], out)


def test_gates_start_near_1_and_stay_in_range() -> None:
    x, _ = rows()
    told = [torch.zeros(20, 3), x.flatten(1)]
    found = pepnet().embedding_gate(told)
    assert (found - 1).abs().max() < 0.1
    found = loud(pepnet()).embedding_gate([100 * each for each in told])
    assert ((found >= 0) & (found <= 2)).all()


def test_a_gate_moves_the_tokens_only_by_multiplying_them() -> None:
    """Where the gate's own factor is held fixed, the gradient of the tokens is the same: none runs through what the gate reads."""
    part = loud(pepnet(personal=["context"]))
    x, scenario = rows()
    x.requires_grad_()
    flat = x.flatten(1)
    factor = part.embedding_gate([part.scenarios(scenario, flat), flat]).detach()
    out = part.embedding_gate([part.scenarios(scenario, flat), flat.detach()]) * flat
    (found,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(found.flatten(1), factor)
    (whole,) = torch.autograd.grad(part(x, scenario, [0]).sum(), x)
    assert whole.abs().sum(-1).gt(0).all()


def test_an_unknown_scenario_hangs_on_no_scenarios_vector() -> None:
    part = loud(pepnet()).eval()
    x, scenario = rows()
    nowhere = torch.zeros_like(scenario)
    before = part(x, nowhere, [0, 1])
    assert not torch.allclose(before, part(x, scenario, [0, 1]))
    with torch.no_grad():
        part.scenarios.table.add_(1.0)
    assert torch.equal(part(x, nowhere, [0, 1]), before)


def test_only_the_rows_of_a_scenario_move_its_vector() -> None:
    part = loud(pepnet())
    part(rows()[0], torch.full((20,), 2), [0]).sum().backward()
    assert part.scenarios.table.grad is not None
    assert part.scenarios.table.grad.abs().sum(1).gt(0).tolist() == [False, True, False]


def test_the_slots_of_the_towers_gates_are_a_choice() -> None:
    bare = Sizes(slots={"query": slice(0, 4)}, width=4, views=1, scenarios=2)
    assert pepnet(bare).personal == []
    assert pepnet(bare, personal=["query"]).personal == [slice(0, 4)]
    assert pepnet().personal == [slice(0, 2), slice(2, 3)]
    with pytest.raises(ConfigError, match="names the slot 'author'; slots: user, item, context"):
        pepnet(personal=["author"])

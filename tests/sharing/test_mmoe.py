"""MMoE: gates over experts."""

import pytest
import torch

from tests.sharing.making import ROWS, make, rows


@pytest.mark.parametrize("layers", [[256, 128], [8, 4]])
def test_mmoe_is_the_gated_sum_of_its_experts(layers: list[int]) -> None:
    part = make({"part": "mmoe", "experts": 5, "layers": layers})
    x, scenario = rows()
    gates, experts = part.gates(x.flatten(1), [2, 0]), part.experts(x.flatten(1))
    torch.testing.assert_close(gates.sum(-1), torch.ones(ROWS, 2))
    assert (gates >= 0).all()
    by_hand = torch.stack([sum(gates[:, v, e, None] * experts[e] for e in range(5)) for v in range(2)])
    torch.testing.assert_close(part(x, scenario, [2, 0]), by_hand)


def test_mmoe_stacked_experts_are_separate_networks() -> None:
    part = make({"part": "mmoe", "experts": 5, "layers": [256, 16, 8]}).experts
    flat = rows()[0].flatten(1)
    for e, found in enumerate(part(flat)):
        hidden = (flat @ part.first[256 * e : 256 * (e + 1)].T + part.first_bias[256 * e : 256 * (e + 1)]).relu()
        for weight, bias in zip(part.later, part.later_bias, strict=True):
            hidden = (hidden @ weight[e].T + bias[e]).relu()
        torch.testing.assert_close(found, hidden)

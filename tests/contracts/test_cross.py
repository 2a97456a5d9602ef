"""The contract of every file in banyan/cross, over the folder's listing; then the arithmetic of each."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from banyan import parts
from banyan.cross import Cross
from banyan.errors import ConfigError

NAMES = parts.names("cross")
TOKENS, WIDTH, ROWS = 5, 8, 12
every_part = pytest.mark.parametrize("name", NAMES)


def make(spec: parts.Spec, tokens: int = TOKENS, width: int = WIDTH, seed: int = 0) -> Cross:
    torch.manual_seed(seed)
    part = parts.build("cross", spec, tokens, width)
    assert isinstance(part, Cross)
    return part


def rows(count: int = ROWS) -> torch.Tensor:
    return torch.randn(count, TOKENS, WIDTH, generator=torch.Generator().manual_seed(7))


@every_part
def test_appends_as_many_tokens_as_it_says_and_keeps_their_width(name: str) -> None:
    part = make(name)
    out = part(rows())
    assert out.shape == (ROWS, TOKENS + part.extra, WIDTH)
    assert out.isfinite().all()


@every_part
def test_adds_products_of_features(name: str) -> None:
    """A second difference in two tokens: 0 for anything that has no product of them."""
    part, x = make(name).double(), rows().double()
    corners = []
    for a in (0.0, 1.0):
        for b in (0.0, 1.0):
            y = x.clone()
            y[:, 0] += a
            y[:, 3] += b
            corners.append(part(y))
    assert (corners[3] - corners[2] - corners[1] + corners[0]).abs().max() > 1e-3


@every_part
def test_a_row_does_not_see_its_neighbours(name: str) -> None:
    part = make(name).eval()
    together = part(rows())
    for i in range(ROWS):
        torch.testing.assert_close(part(rows()[i : i + 1])[0], together[i], atol=1e-6, rtol=1e-5)


@every_part
def test_every_parameter_and_every_token_gets_a_gradient(name: str) -> None:
    part, x = make(name), rows().requires_grad_()
    (part(x) * torch.randn(part(x).shape)).sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in part.parameters())
    assert x.grad is not None
    assert (x.grad.abs().sum(-1) > 0).all()


@every_part
def test_saves_and_loads_exactly(name: str, tmp_path: Path) -> None:
    part, other = make(name, seed=0), make(name, seed=1)
    save_file(part.state_dict(), tmp_path / "part.safetensors")
    other.load_state_dict(load_file(tmp_path / "part.safetensors"))
    assert torch.equal(part(rows()), other(rows()))


@every_part
def test_half_precision_in_training_is_finite(name: str) -> None:
    part, x = make(name), rows().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = part(x)
    torch.testing.assert_close(out.float(), part(x), atol=0.1, rtol=0.1)
    out.float().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@every_part
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="has no option 'depth'"):
        parts.check("cross", {"part": name, "depth": 3})


def test_fm_is_the_sum_over_all_pairs() -> None:
    x = rows()
    pairs = sum(x[:, i] * x[:, j] for i in range(TOKENS) for j in range(i))
    out = make("fm")(x)
    torch.testing.assert_close(out[:, -1], pairs, atol=1e-5, rtol=1e-5)
    assert torch.equal(out[:, :-1], x)


def test_dcn_by_hand() -> None:
    """One token of two entries, rank 1: V x = 2 + 2*3 = 8, U V x + b = (8 + 1, -8 + 1), times x_0 plus x_0."""
    part = make({"part": "dcn", "layers": 1, "rank": 1}, tokens=1, width=2)
    with torch.no_grad():
        part.down[0].copy_(torch.tensor([[1.0, 2.0]]))
        part.up[0].copy_(torch.tensor([[1.0], [-1.0]]))
        part.bias[0].fill_(1.0)
    assert part(torch.tensor([[[2.0, 3.0]]])).tolist() == [[[2 * 9 + 2, 3 * -7 + 3]]]


def test_dcn_second_layer_multiplies_by_the_first_input_again() -> None:
    part = make({"part": "dcn", "layers": 2, "rank": 1}, tokens=1, width=1)
    with torch.no_grad():
        for each in part.parameters():
            each.fill_(1.0)
    # x1 = 3 * (3 + 1) + 3 = 15; x2 = 3 * (15 + 1) + 15 = 63
    assert part(torch.tensor([[[3.0]]])).item() == 63


@pytest.mark.parametrize("option", ["layers", "rank"])
def test_dcn_needs_a_layer_and_a_rank(option: str) -> None:
    with pytest.raises(ConfigError, match="take 1 or more"):
        make({"part": "dcn", option: 0})

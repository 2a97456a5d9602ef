"""What every auxiliary task on things promises, over the folder's listing: it draws from what it is given, reads what is there, and its loss falls."""

import numpy as np
import pytest
import torch
from torch import Tensor

from banyan import parts
from banyan.auxiliary import OfEvents, OfThings
from banyan.features.stretches import Drawer
from banyan.features.things import Chooser

ALL = {name: parts.find("auxiliary", name) for name in parts.names("auxiliary")}
NAMES = [name for name, kind in ALL.items() if kind.about == "things"]
every_part = pytest.mark.parametrize("name", NAMES)
FEATURES, WIDTH, THINGS = ["photo", "title", "shade"], 8, 40


def made(name: str, **options: object) -> OfThings:
    torch.manual_seed(0)
    part: OfThings = parts.build("auxiliary", {"part": name, "entity": "item", "features": FEATURES, **options}, WIDTH)
    return part


def told(n: int = THINGS) -> Tensor:
    """Every thing says what no other says."""
    return torch.arange(1, n + 1)[:, None].expand(n, len(FEATURES)).clone()


def tokens(n: int = THINGS, seed: int = 0) -> Tensor:
    """A thing's tokens come from one latent, each feature by a map of its own."""
    made_ = torch.Generator().manual_seed(seed)
    latent, maps = torch.randn(n, WIDTH, generator=made_), torch.randn(len(FEATURES), WIDTH, WIDTH, generator=made_)
    return torch.einsum("nd,fde->nfe", latent, maps) / WIDTH**0.5


def test_every_part_is_of_one_sort_and_is_asked_for_what_it_is_about() -> None:
    for name, kind in ALL.items():
        assert issubclass(kind, (OfEvents, OfThings)), name
        part = made(name) if kind.about == "things" else parts.build("auxiliary", name, WIDTH, WIDTH)
        assert isinstance(part, Chooser) == (kind.about == "things") == (not isinstance(part, Drawer))


@every_part
def test_it_chooses_among_the_things_given_each_once_and_alike_from_the_same_numbers(name: str) -> None:
    part, given = made(name), np.arange(3, 2000, 7)
    one, again, other = (part.choose(given, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len(one) > 1
    assert len(np.unique(one)) == len(one)
    assert np.isin(one, given).all()
    assert len(part.choose(given[:3], np.random.default_rng(0))) <= 3


@every_part
def test_a_loss_is_finite_not_negative_and_falls_on_things_whose_features_agree(name: str) -> None:
    part = made(name)
    free = torch.nn.Parameter(tokens())
    optimiser, values = torch.optim.Adam([free, *part.parameters()], lr=0.02), list[float]()
    for _ in range(40):
        value = part(free, told())
        optimiser.zero_grad()
        value.backward()
        assert free.grad is not None
        assert (free.grad.abs().sum((0, 2)) > 0).all()  # every feature learns
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())
        optimiser.step()
        values.append(value.item())
    assert min(values) >= 0
    assert np.isfinite(values).all()
    assert values[-1] < values[0] - 0.5


@every_part
def test_what_a_thing_does_not_say_is_not_read(name: str) -> None:
    part, whole, known = made(name), tokens(), told()
    known[::3, 1] = 0
    known[::5] = 0
    changed = torch.where(known[:, :, None] > 0, whole, torch.full_like(whole, 77.0))
    assert torch.equal(part(whole, known), part(changed, known))
    few = known.any(1)
    torch.testing.assert_close(part(whole[few], known[few]), part(whole, known))  # a thing that says nothing is not there


@every_part
def test_the_order_of_things_says_nothing(name: str) -> None:
    part, whole, order = made(name), tokens(), torch.randperm(THINGS, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(part(whole, told()), part(whole[order], told()[order]))


@every_part
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_where_nothing_can_be_compared_the_loss_is_nothing(name: str, rows: int) -> None:
    part, known = made(name), told(rows)
    if rows > 1:
        known[:, 1:] = 0
    free = tokens(rows).requires_grad_()
    value = part(free, known)
    value.backward()
    assert value.item() == 0
    assert free.grad is None or not free.grad.any()


@every_part
def test_two_things_that_say_the_same_are_not_told_apart(name: str) -> None:
    part, whole = made(name), tokens(20)
    twice = torch.cat([whole, whole])
    same, other = torch.cat([told(20), told(20)]), told(40)
    assert part(twice, same) < part(twice, other) - 0.01
    assert part(whole, torch.ones_like(told(20))) < 1e-6  # all alike in everything: there is nothing to be told apart


def test_alignment_is_the_loss_of_its_formula() -> None:
    part = made("alignment", features=["photo", "title"], temperature=0.3)
    with torch.no_grad():
        for project in part.project:
            project.weight.copy_(torch.eye(WIDTH))
    a, b = (torch.nn.functional.normalize(each, dim=1).double() for each in tokens(6)[:, :2].unbind(1))
    scores = np.exp((a @ b.T).numpy() / 0.3)
    wanted = -0.5 * (np.log(scores.diagonal() / scores.sum(1)) + np.log(scores.diagonal() / scores.sum(0))).mean()
    assert part(tokens(6)[:, :2], told(6)[:, :2]).item() == pytest.approx(wanted, abs=1e-5)


def test_alignment_brings_the_two_features_of_a_thing_together() -> None:
    part = made("alignment", features=["photo", "title"])
    together = tokens(30)[:, :1].expand(30, 2, WIDTH)
    with torch.no_grad():
        part.project[1].weight.copy_(part.project[0].weight)
    assert part(together, told(30)[:, :2]) < part(torch.stack([together[:, 0], together[:, 1].roll(1, 0)], 1), told(30)[:, :2])

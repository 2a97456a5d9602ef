"""What every way to learn from open windows promises, over the folder's listing."""

import pytest
import torch
from torch.nn import functional

from banyan import parts
from banyan.delayed import Delayed

NAMES = parts.names("delayed")
every_part = pytest.mark.parametrize("name", NAMES)


def rows(count: int = 400) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(chance, label, maturity) with extremes among them."""
    g = torch.Generator().manual_seed(0)
    chance, ripe = torch.rand(count, 2, generator=g), torch.rand(count, 2, generator=g)
    chance[:3], ripe[:3] = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    label = (torch.rand(count, 2, generator=g) < chance * ripe).float()
    ripe[200:] = 1.0
    return chance, label, ripe


def make(name: str) -> Delayed:
    part: Delayed = parts.build("delayed", name)
    return part


@every_part
def test_labels_stay_labels_and_weights_are_not_negative(name: str) -> None:
    chance, label, ripe = rows()
    new, weight = make(name).corrected(chance, label, ripe)
    assert new.shape == weight.shape == label.shape
    assert ((new >= 0) & (new <= 1)).all()
    assert (weight >= 0).all()
    assert torch.isfinite(weight).all()
    assert (new[label == 1] == 1).all()  # what has happened has happened


@every_part
def test_a_settled_label_is_as_it_is(name: str) -> None:
    chance, label, ripe = rows()
    new, weight = make(name).corrected(chance, label, ripe)
    assert torch.equal(new[ripe == 1], label[ripe == 1])
    assert (weight[ripe == 1] == 1).all()


@pytest.mark.parametrize("name", ["waiting", "importance", "drop"])
def test_the_true_chance_is_where_the_expected_gradient_is_nothing(name: str) -> None:
    """At the true p, the mean over what may be seen of weight * (p - label), the gradient of the cross entropy by log odds, is 0."""
    part = make(name)
    for p in (0.03, 0.3, 0.9):
        for ripe in (0.2, 0.7, 1.0):
            chance, m = torch.full((1, 1), p), torch.full((1, 1), ripe)
            total = 0.0
            for label, share in ((1.0, p * ripe), (0.0, 1 - p * ripe)):
                new, weight = part.corrected(chance, torch.full((1, 1), label), m)
                total += share * (weight * (chance - new)).item()
            assert total == pytest.approx(0.0, abs=1e-6)


def test_naive_goes_too_low() -> None:
    p, ripe = torch.full((1, 1), 0.3), 0.5
    new, weight = make("naive").corrected(p, torch.zeros(1, 1), torch.full((1, 1), ripe))
    assert (weight * (p - new)).item() * (1 - 0.15) + 0.15 * (0.3 - 1) > 0  # pushed down at the truth


def test_waiting_has_the_gradient_of_its_likelihood() -> None:
    """-ln(1 - p F) of what was not seen, by the log odds."""
    z = torch.linspace(-6, 6, 50).requires_grad_()
    ripe = torch.linspace(0.02, 0.98, 50)
    exact = -torch.log(1 - z.sigmoid() * ripe).sum()
    (wanted,) = torch.autograd.grad(exact, z)
    new, _ = make("waiting").corrected(z.sigmoid().detach()[:, None], torch.zeros(50, 1), ripe[:, None])
    (found,) = torch.autograd.grad(functional.binary_cross_entropy_with_logits(z, new[:, 0], reduction="sum"), z)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)

"""Rows of a table: what an index gives, with the same gradient in every run."""

from collections.abc import Iterator

import pytest
import torch

from banyan.trunk.gathered import gathered


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 3, 2)])
@pytest.mark.parametrize("asked", [(), (4,), (4, 2)])
def test_it_is_an_index(shape: tuple[int, ...], asked: tuple[int, ...]) -> None:
    if len(shape) == 1:
        shape = (5, 1)
    table = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    rows = torch.randint(0, 5, asked)
    assert torch.equal(gathered(table, rows), table[rows])
    assert torch.autograd.gradcheck(lambda t: gathered(t, rows), (table,))


@pytest.mark.usefixtures("two_threads")
def test_its_gradient_is_the_same_in_every_run() -> None:
    torch.manual_seed(0)
    table = torch.randn(5000, 16, requires_grad=True)
    rows = torch.randint(0, 50, (20_000,))  # each is read by many
    weight = torch.randn(20_000, 16)
    found = []
    for _ in range(6):
        table.grad = None
        gathered(table, rows).backward(weight)
        assert table.grad is not None
        found.append(table.grad.clone())
    assert all(torch.equal(each, found[0]) for each in found)

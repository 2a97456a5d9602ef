"""The lazy Adam of the embedding table: Adam on what a step read, nothing on the rest."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from banyan.training import dense
from banyan.training.optim import LazyAdam

ROWS, WIDTH = 30, 4


def drawn(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)


def stepped(table: LazyAdam, rows: Tensor, gradient: Tensor, lr: float = 0.01) -> None:
    leaf = table.weight.index_select(0, rows).requires_grad_()
    leaf.grad = gradient.clone()
    table.step(rows, leaf, lr)


def test_it_is_adam_where_every_row_is_read_in_every_step() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = drawn(generator, ROWS, WIDTH)
    theirs = torch.nn.Parameter(weight.clone())
    adam, table = torch.optim.Adam([theirs], lr=0.01), LazyAdam(weight)
    for number in range(50):
        gradient = drawn(generator, ROWS, WIDTH) * 10.0 ** (number % 7 - 4)
        theirs.grad = gradient.clone()
        adam.step()
        order = torch.randperm(ROWS, generator=generator)
        stepped(table, order, gradient[order])
        torch.testing.assert_close(weight, theirs.detach(), rtol=1e-6, atol=1e-6)
    state = adam.state[theirs]
    torch.testing.assert_close(table.mean, state["exp_avg"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(table.square, state["exp_avg_sq"], rtol=1e-5, atol=1e-6)


def test_rows_that_a_step_did_not_read_stay_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    table = LazyAdam(drawn(generator, ROWS, WIDTH))
    stepped(table, torch.arange(ROWS), drawn(generator, ROWS, WIDTH))
    before = [t.clone() for t in (table.weight, table.mean, table.square)]
    rows = torch.tensor([3, 17, 8])
    stepped(table, rows, drawn(generator, 3, WIDTH))
    rest = torch.ones(ROWS, dtype=torch.bool).index_fill_(0, rows, False)
    for was, now in zip(before, (table.weight, table.mean, table.square), strict=True):
        assert torch.equal(was[rest], now[rest])
        assert bool((was[rows] != now[rows]).all())


class Counted(TorchDispatchMode):
    """Counts the elements that each operation makes or is given, but for a table that is only indexed."""

    INDEXED = ("index_select", "index_copy_", "index_put_", "embedding", "detach")

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        indexed = func.overloadpacket.__name__ in self.INDEXED
        given = tree_iter(args[1:] if indexed else [args, kwargs])
        made = () if func.overloadpacket.__name__.endswith("_") or (indexed and func.overloadpacket.__name__ == "detach") else tree_iter(out)
        self.elements += sum(t.numel() for each in (given, made) for t in each if isinstance(t, Tensor))
        return out


def work(size: int) -> int:
    table = LazyAdam(torch.zeros(size, WIDTH))
    rows = torch.arange(0, 20, 2)
    with Counted() as counted:
        stepped(table, rows, torch.ones(10, WIDTH))
    return counted.elements


def test_the_work_of_a_step_does_not_grow_with_the_table() -> None:
    assert work(100) == work(100_000)
    assert 0 < work(100_000) < 3_000


@pytest.mark.parametrize("full", [lambda t: t.mul_(0.9), lambda t: t + 1, lambda t: t.zero_()])
def test_the_count_of_work_sees_a_pass_over_the_table(full: Any) -> None:
    with Counted() as counted:
        full(torch.zeros(100_000))
    assert counted.elements >= 100_000


def test_the_state_goes_on() -> None:
    generator = torch.Generator().manual_seed(2)
    start = drawn(generator, ROWS, WIDTH)
    steps = [(torch.randperm(ROWS, generator=generator)[:9], drawn(generator, 9, WIDTH)) for _ in range(6)]
    whole, first = LazyAdam(start.clone()), LazyAdam(start.clone())
    for each in steps:
        stepped(whole, *each)
    for each in steps[:3]:
        stepped(first, *each)
    second = LazyAdam(first.weight.clone())
    second.load({key: t.clone() for key, t in first.state().items()})
    for each in steps[3:]:
        stepped(second, *each)
    assert torch.equal(second.weight, whole.weight)
    assert all(torch.equal(second.state()[key], t) for key, t in whole.state().items())


def test_the_state_of_the_dense_part_goes_on_where_some_parameters_had_no_gradient_yet() -> None:
    def made() -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter], torch.optim.AdamW]:
        model, own = [torch.nn.Parameter(torch.ones(3)) for _ in range(2)], [torch.nn.Parameter(torch.tensor(1.0))]
        return model, own, dense.adamw(model, own, 0.1, 0.5)

    def move(used: list[torch.nn.Parameter], optimiser: torch.optim.AdamW) -> None:
        optimiser.zero_grad()
        for each in used:
            each.grad = torch.full_like(each, 0.5)
        optimiser.step()

    model, own, optimiser = made()
    move([model[1], *own], optimiser)
    model_, own_, optimiser_ = made()
    with torch.no_grad():
        for to, of in zip([*model_, *own_], [*model, *own], strict=True):
            to.copy_(of)
    dense.load(optimiser_, {key: t.clone() for key, t in dense.state(optimiser).items()})
    for _ in range(2):
        move([*model, *own], optimiser)
        move([*model_, *own_], optimiser_)
    assert all(torch.equal(a, b) for a, b in zip([*model_, *own_], [*model, *own], strict=True))
    assert optimiser.param_groups[1]["weight_decay"] == 0  # a balancer's weights are not pulled to 0

"""Which tensors two or more losses reach."""

import pytest
import torch
from torch import Tensor, nn

from banyan.training.reach import reach, shared_tensors

Leaves = dict[str, Tensor]


def leaves(*names: str) -> Leaves:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(3, 3, generator=generator, requires_grad=True) for name in names}


def reached(losses: Tensor, named: Leaves) -> dict[str, set[int]]:
    found = reach(losses)
    return {name: {bit for bit in range(len(losses)) if found.get(id(each), 0) >> bit & 1} for name, each in named.items()}


def test_stacked_losses_are_told_apart() -> None:
    named = leaves("trunk", "a", "b", "nobody")
    hidden = torch.ones(5, 3) @ named["trunk"]
    losses = torch.stack([(hidden @ named["a"]).mean(), (hidden @ named["b"]).square().sum()])
    assert reached(losses, named) == {"trunk": {0, 1}, "a": {0}, "b": {1}, "nobody": set()}
    assert [id(each) for each in shared_tensors(losses, list(named.values()))] == [id(named["trunk"])]


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_several_tasks_are_told_apart_through_cat_and_weights(weighted: bool) -> None:
    named = leaves("trunk", "funnel", "other")
    hidden = torch.ones(5, 3) @ named["trunk"]
    losses = torch.cat([(hidden @ named["funnel"]).mean(0)[:2], (hidden @ named["other"]).mean().reshape(1)])
    if weighted:
        losses = losses * torch.tensor([1.0, 2.0, 3.0])
    assert reached(losses, named) == {"trunk": {0, 1, 2}, "funnel": {0, 1}, "other": {2}}


PICKS = {
    "select": lambda views: [views[0], views[-1]],
    "slice": lambda views: [views[:1], views[1:]],
    "unbind": lambda views: list(views.unbind(0)),
    "list": lambda views: [views[[0]], views[[1]]],
    "index_select": lambda views: [views.index_select(0, torch.tensor([0])), views.index_select(0, torch.tensor([1]))],
    "narrow": lambda views: [views.narrow(0, 0, 1), views.narrow(0, 1, 1)],
}


@pytest.mark.parametrize("how", PICKS)
def test_views_that_are_stacked_and_picked_apart_are_told_apart(how: str) -> None:
    named = leaves("trunk", "a", "b")
    hidden = torch.ones(5, 3) @ named["trunk"]
    views = torch.stack([hidden @ named["a"], hidden @ named["b"]]).exp()
    losses = torch.stack([each.mean() for each in PICKS[how](views)])
    assert reached(losses, named) == {"trunk": {0, 1}, "a": {0}, "b": {1}}


def test_rows_are_not_taken_for_views() -> None:
    named = leaves("a")
    rows = torch.ones(200, 3) @ named["a"]
    losses = torch.stack([rows[0].sum(), rows[150:].sum()])
    assert reached(losses, named) == {"a": {0, 1}}


def test_what_mixes_the_views_is_reached_by_all() -> None:
    named = leaves("a", "b")
    views = torch.stack([torch.ones(2, 3) @ named["a"], torch.ones(2, 3) @ named["b"]])
    losses = views.cumsum(0).mean((1, 2))
    assert reached(losses, named) == {"a": {0, 1}, "b": {0, 1}}  # a tensor may be named too often, never too seldom


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_two_losses_move_is_left_out(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parameters = [torch.randn(4, 4, generator=generator, requires_grad=True) for _ in range(6)]
    values = [torch.randn(4, 4, generator=generator)]
    for number in torch.randint(0, 100, (25,), generator=generator).tolist():
        one, other = values[number % len(values)], parameters[number % 6]
        turned, cut = (one + other)[:, [3, 1, 0, 2]], torch.cat([one, other])[number % 5 :][:4]
        made = [one @ other, torch.stack([one, other])[number % 2], turned, cut, one.t() * other[number % 4]]
        values.append(made[number % 5].tanh())
    losses = torch.stack([values[-1].sum(), values[-4].mean(), values[-9].square().sum()])
    by_hand = set()
    for each in parameters:
        rows = [torch.autograd.grad(loss, each, retain_graph=True, allow_unused=True)[0] for loss in losses]
        if sum(row is not None and bool(row.abs().max() > 0) for row in rows) > 1:
            by_hand.add(id(each))
    assert by_hand <= {id(each) for each in shared_tensors(losses, parameters)}


def test_a_second_loss_through_a_module_used_twice_is_seen() -> None:
    layer = nn.Linear(3, 3)
    x = torch.ones(2, 3)
    losses = torch.stack([layer(x).sum(), layer(layer(x)).sum()])
    assert {id(each) for each in shared_tensors(losses, list(layer.parameters()))} == {id(layer.weight), id(layer.bias)}


def test_losses_without_a_graph_reach_nothing() -> None:
    assert shared_tensors(torch.ones(2), [torch.ones(1, requires_grad=True)]) == []

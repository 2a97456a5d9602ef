"""What every kind of task promises, over the folder's listing: a new file is tested before anyone writes its test."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from banyan import parts
from banyan.tasks import Task
from banyan.types import Candidates, Target

WIDTH, ROWS, PLACES = 8, 64, 12
TARGETS = {
    "floats": Target(("a",), ("1", "2", "3"), (0.3,)),
    "code": Target(("a",), ("x", "y", "z"), (0.5, 0.3, 0.2)),
    "tags": Target(("a",), ("x", "y", "z"), (0.5, 0.3, 0.2)),
    "counts": Target(("w1", "w2"), (), (3.0, 2.0)),
    "places": Target(("a",), side=2),
    **dict.fromkeys(("funnel", "residual_funnel", "ordinal_funnel"), Target(("click", "cart", "buy"), (), (0.5, 0.3, 0.1))),
    "amount": Target(("a",), (), (20.0, 0.4)),
    "graded": Target(("a",), ("1", "2", "3"), (2.0,)),
}
NAMES = parts.names("tasks")


def make(name: str, width: int = WIDTH, **options: Any) -> Task:
    torch.manual_seed(0)
    target = TARGETS.get(name, TARGETS[parts.find("tasks", name).kind])
    task: Task = parts.build("tasks", {"part": name, **options}, width, target)
    return task


def draw(task: Task, rows: int, generator: torch.Generator, signal: Tensor | None = None) -> Tensor:
    """Labels within the task's range; with `signal` (rows,), such that they follow it."""
    x = torch.rand(rows, generator=generator) if signal is None else signal.sigmoid()
    if task.kind == "code":
        return (x * len(task.target.classes)).long().clamp(max=len(task.target.classes) - 1)
    if task.kind == "tags":
        return torch.stack([(x > cut).float() for cut in torch.linspace(0.2, 0.8, len(task.target.classes))], 1)
    if task.kind == "counts":
        return torch.stack([(x * 9).round() * k for k in range(1, len(task.target.names) + 1)], 1)
    if task.kind == "places":
        return torch.stack([(x * PLACES).long().clamp(max=PLACES - 1), torch.full((rows,), -1)], 1)
    if task.highest == 1:
        return torch.stack([(x > cut).float() for cut in torch.linspace(0.4, 0.8, task.views)], 1)
    return (1 + 2 * x)[:, None] if task.grades else torch.where(x > 0.5, 40 * x, 0)[:, None]


def candidates(task: Task, rows: int = ROWS, scale: float = 1.0) -> Candidates | None:
    if task.kind != "places":
        return None
    g = torch.Generator().manual_seed(3)
    return Candidates(torch.randn(PLACES, WIDTH, generator=g) * scale, torch.zeros(PLACES), torch.randn(rows, PLACES, 2, generator=g))


def problem(name: str, rows: int = ROWS, **options: Any) -> tuple[Task, Tensor, Tensor, Tensor, Tensor]:
    """(task, views, label, seen, weight) with labels that follow the first entry of the views."""
    task = make(name, **options)
    g = torch.Generator().manual_seed(1)
    views = torch.randn(task.views, rows, WIDTH, generator=g)
    label = draw(task, rows, g, 2 * views[:, :, 0].mean(0) * task.views**0.5)
    answers = label.shape[1] if task.kind == "counts" or task.views > 1 else 1
    return task, views, label, torch.ones(rows, answers, dtype=torch.bool), torch.ones(rows)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1.0, 1e4, 1e12])
def test_answers_lie_in_the_units_range_and_are_finite_at_any_view(name: str, scale: float) -> None:
    task, views, *_ = problem(name)
    task.eval()
    raw = task(views * scale, candidates(task))
    answer = task.predict(raw)
    assert torch.isfinite(answer).all()
    if task.kind != "places":
        assert answer.shape == (ROWS, len(task.columns()))
        assert (answer >= max(task.lowest, 1.0 if task.grades else 0.0)).all()
        assert (answer <= (3.0 if task.grades else task.highest)).all()
    if task.kind == "code":
        assert torch.allclose(answer.sum(1), torch.ones(ROWS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1.0, 1e4, 1e12])
def test_losses_are_finite_not_negative_and_one_for_each_view(name: str, scale: float) -> None:
    task, views, label, seen, weight = problem(name)
    views = (views * scale).requires_grad_()
    losses = task.loss(task(views, candidates(task)), label, seen, weight)
    losses.sum().backward()
    assert losses.shape == (task.views,)
    assert torch.isfinite(losses).all()
    assert (losses >= 0).all()
    assert views.grad is not None
    assert torch.isfinite(views.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in task.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_is_seen_the_loss_is_0_and_nothing_moves(name: str) -> None:
    task, views, label, seen, weight = problem(name)
    views.requires_grad_()
    losses = task.loss(task(views, candidates(task)), label, torch.zeros_like(seen), weight)
    losses.sum().backward()
    assert (losses == 0).all()
    assert all((p.grad == 0).all() for p in (views, *task.parameters()) if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_in_an_unseen_label_changes_nothing(name: str) -> None:
    task, views, label, seen, weight = problem(name)
    seen[::3] = False
    bad = label.clone()
    bad[::3] = float("nan") if label.is_floating_point() else 10**9
    found = []
    for each in (label, bad):
        task.zero_grad()
        losses = task.loss(task(views, candidates(task)), each, seen, weight)
        losses.sum().backward()
        found.append([losses.detach(), *(p.grad.clone() for p in task.parameters() if p.grad is not None)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_weight_2_is_the_row_twice(name: str) -> None:
    task, views, label, seen, _ = problem(name)
    task.eval()
    seen[5:9] = False
    raw = task(views, candidates(task))
    twice = torch.cat([torch.arange(ROWS), torch.arange(0, ROWS, 2)])
    heavy = torch.where(torch.arange(ROWS) % 2 == 0, 2.0, 1.0)
    assert torch.allclose(task.loss(raw, label, seen, heavy), task.loss(raw[twice], label[twice], seen[twice], torch.ones(len(twice))))
    assert torch.allclose(task.loss(raw, label, seen, heavy * 1e6), task.loss(raw, label, seen, heavy))


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls_on_a_planted_truth_and_every_parameter_takes_part(name: str) -> None:
    task, views, label, seen, weight = problem(name, rows=256)
    optimiser = torch.optim.Adam(task.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = task.loss(task(views, candidates(task, 256)), label, seen, weight).sum()
        optimiser.zero_grad()
        loss.backward()
        if not losses:
            assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in task.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_metric_exists_gets_better_by_training_and_is_nan_without_rows(name: str) -> None:
    task, views, label, seen, weight = problem(name, rows=256)
    found = []
    for _ in range(2):
        task.eval()
        with torch.no_grad():
            answer = task.predict(task(views, candidates(task, 256)))
        shown = _ranks(answer, label) if task.kind == "places" else answer.numpy()
        figures = task.metrics(shown, label.numpy(), seen.numpy(), weight.numpy())
        assert all(isinstance(value, float) for value in figures.values())
        found.append(figures[task.best])
        nothing = task.metrics(shown, label.numpy(), np.zeros_like(seen.numpy()), weight.numpy())
        assert set(nothing) == set(figures)
        assert all(math.isnan(value) for value in nothing.values())
        _train(task, views, label, seen, weight)
    assert found[1] > found[0] if task.rising else found[1] < found[0]


def _ranks(scores: Tensor, label: Tensor) -> np.ndarray[Any, Any]:
    own = scores.gather(1, label[:, :1])
    return (scores > own).sum(1, keepdim=True).double().numpy() + 1


def _train(task: Task, views: Tensor, label: Tensor, seen: Tensor, weight: Tensor, steps: int = 60) -> None:
    task.train()
    optimiser = torch.optim.Adam(task.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        task.loss(task(views, candidates(task, views.shape[1])), label, seen, weight).sum().backward()
        optimiser.step()


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_see_its_neighbours(name: str) -> None:
    task, views, *_ = problem(name, dropout=0.5)
    task.eval()
    every = candidates(task)
    some = None if every is None or every.side is None else Candidates(every.vectors, every.log_q, every.side[:7])
    assert torch.allclose(task(views, every)[:7], task(views[:, :7], some), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_save_and_load_is_exact(name: str) -> None:
    task, views, *_ = problem(name)
    torch.manual_seed(9)
    other: Task = parts.build("tasks", name, WIDTH, task.target)
    other.load_state_dict(task.state_dict())
    assert torch.equal(task.eval()(views, candidates(task)), other.eval()(views, candidates(task)))

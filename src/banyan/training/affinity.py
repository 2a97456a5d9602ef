"""Which tasks help each other while they train together: measured on the steps of a fit, which goes the same way as without.

Knows neither groups nor verdicts.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan.training.loop import Fit
from banyan.types import Array, Step

SECOND = 0.999  # Adam's rate of the second moment
TINY = 1e-12


@dataclass
class Affinities:
    """Means over the measurements, T x T, with their standard errors; nan where two tasks never met."""

    tasks: list[str]
    cosine: Array  # [i, j] of the gradients of i and j, over the numbers that both move
    cosine_error: Array
    ahead: Array  # [i, j] share of j's loss that a step on i alone takes away; below 0 where it adds to it
    ahead_error: Array
    counts: Array  # measurements of each pair
    seconds: float = 0.0
    skipped: int = 0  # measurements left out, since they would have cost more than was allowed

    def plain(self) -> dict[str, Any]:
        """JSON-able; nan is null."""
        matrices = {key: _listed(value) for key, value in vars(self).items() if isinstance(value, np.ndarray)}
        return {"tasks": self.tasks, **matrices, "seconds": self.seconds, "skipped": self.skipped}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Affinities":
        """What `plain` gave."""
        known: dict[str, Any] = {key: np.array(value, float) if isinstance(value, list) and key != "tasks" else value for key, value in plain.items()}
        return cls(**known)


class Affinity:
    """A `Probe` that measures every `every` steps; while it has taken more than `most` of the CPU time since the run began, it leaves measurements out.

    Cosine: of the two tasks' gradients on a step, over the numbers that both move. Lookahead, after Fifty et al. (NeurIPS 2021, eq. 1):

        Z[i, j] = 1 - loss_j(weights after a step on task i alone) / loss_j(weights)

    with the step that Adam would take, lr * g_i / sqrt(v), each number moved by at most lr, v being the fit's own second moments with g_i counted
    in. Both are measured on one batch of every table, without dropout and in fp32. A measurement takes one forward and T backward passes, and T
    forward passes more, each without the gradient.
    """

    def __init__(self, every: int = 10, most: float = 0.5) -> None:
        self.every, self.most = every, most
        self.tasks: list[str] = []
        self.seconds, self.skipped = 0.0, 0
        self.began: float | None = None
        self.found: dict[str, list[Array]] = {"cosine": [], "ahead": []}

    def look(self, fit: Fit, step: Step, number: int) -> None:
        """Measure, when it is time to."""
        self.began = time.process_time() if self.began is None else self.began
        if number == 0 or number % self.every:
            return
        if self.seconds > self.most * (time.process_time() - self.began - self.seconds):
            self.skipped += 1
            return
        began = time.process_time()
        self.tasks = list(fit.tasks)
        self._measure(fit, step)
        self.seconds += time.process_time() - began

    def _measure(self, fit: Fit, step: Step) -> None:
        fit.network.eval()
        leaf = fit.network.embeddings.leaf(step.distinct)
        before = _losses(fit, step, leaf)
        tensors = [*fit.dense, leaf]
        gradients = {task: torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True) for task, loss in before.items() if loss.requires_grad}
        self.found["cosine"].append(_cosines(self.tasks, gradients))
        ahead = np.full((len(self.tasks), len(self.tasks)), math.nan)
        value = {task: float(loss.detach()) for task, loss in before.items()}
        for task, gradient in gradients.items():
            for other, loss in self._after(fit, step, leaf, gradient).items():
                if value[other] > TINY:
                    ahead[self.tasks.index(task), self.tasks.index(other)] = 1 - loss / value[other]
        self.found["ahead"].append(ahead)

    @staticmethod
    @torch.no_grad()
    def _after(fit: Fit, step: Step, leaf: Tensor, gradients: Sequence[Tensor | None]) -> dict[str, float]:
        """Every task's loss after a step along one task's gradient; the weights are then put back to the bit."""
        dense, embedding = fit.rates
        kept = {}
        for parameter, gradient in zip(fit.dense, gradients, strict=False):
            if gradient is not None:
                kept[parameter] = parameter.detach().clone()
                state = fit.optimiser.state.get(parameter, {})
                parameter.sub_(_move(gradient, state.get("exp_avg_sq"), float(state.get("step", 0)), dense))
        moved, last = leaf.detach(), gradients[-1]
        if last is not None:
            moved = moved - _move(last, fit.table.square.index_select(0, step.distinct), float(fit.table.steps), embedding)
        try:
            return {task: float(loss) for task, loss in _losses(fit, step, moved).items()}
        finally:
            for parameter, value in kept.items():
                parameter.copy_(value)

    def result(self) -> Affinities:
        """Means and standard errors so far."""
        size = len(self.tasks)
        stacked = {key: np.stack(each) if each else np.full((1, size, size), math.nan) for key, each in self.found.items()}
        means, errors = {}, {}
        for key, each in stacked.items():
            known = ~np.isnan(each)
            counts = known.sum(0)
            total = np.where(known, each, 0).sum(0)
            means[key] = np.where(counts > 0, total / np.maximum(counts, 1), math.nan)
            spread = np.where(known, (each - means[key]) ** 2, 0).sum(0)
            errors[key] = np.where(counts > 1, np.sqrt(spread / np.maximum(counts - 1, 1) / np.maximum(counts, 1)), math.nan)
        counts = (~np.isnan(stacked["ahead"])).sum(0)
        return Affinities(self.tasks, means["cosine"], errors["cosine"], means["ahead"], errors["ahead"], counts, self.seconds, self.skipped)


def _losses(fit: Fit, step: Step, leaf: Tensor) -> dict[str, Tensor]:
    """Task -> the sum of its views' losses on the step (nats)."""
    losses, present = fit.network.losses(step, fit.network(step, leaf))
    found: dict[str, Tensor] = {}
    for loss, view in zip(losses, present, strict=True):
        task = fit.of_view[view]
        found[task] = found[task] + loss if task in found else loss
    return found


def _move(gradient: Tensor, square: Tensor | None, steps: float, lr: float) -> Tensor:
    """How far Adam without momentum would go against a gradient; no number goes farther than the rate."""
    second = (1 - SECOND) * gradient * gradient + (SECOND * square if square is not None else 0)
    found: Tensor = lr * (gradient / (second / (1 - SECOND ** (steps + 1))).sqrt().clamp_min(TINY)).clamp(-1, 1)
    return found


def _cosines(tasks: Sequence[str], gradients: Mapping[str, Sequence[Tensor | None]]) -> Array:
    """(T, T) cosines over the numbers that both gradients move; nan where there are none."""
    dot, length = (torch.zeros(len(tasks), len(tasks), dtype=torch.float64) for _ in range(2))
    for together in zip(*gradients.values(), strict=True):
        here = [(tasks.index(task), g) for task, g in zip(gradients, together, strict=True) if g is not None]
        if len(here) < 2:
            continue
        rows = torch.stack([g.flatten() for _, g in here]).cpu()
        at = torch.tensor([place for place, _ in here])
        dot[at[:, None], at] += (rows @ rows.T).double()
        length[at[:, None], at] += (rows.square() @ (rows != 0).float().T).double()  # [i, j]: of i, over what j moves too
    found: Array = (dot / (length * length.T).sqrt()).numpy()
    found[~((length > 0) & (length.T > 0)).numpy()] = math.nan
    return found


def _listed(matrix: Array) -> list[list[float | None]]:
    return [[None if math.isnan(value) else float(value) for value in row] for row in matrix]

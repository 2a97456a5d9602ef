"""Promises of the measure of affinity: right on losses whose gradients are known by hand, silent in a fit, bounded in its cost."""

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from banyan.training.affinity import Affinities, Affinity
from banyan.training.loop import Fit
from tests.training import toy as shop
from tests.training.toy import Toy

TASKS = ["liked", "rare", "taste"]


class Valleys(nn.Module):
    """One shared number, at 0 to begin with: `liked` wants 2, `rare` wants 4, `taste` wants -2; each has a number of its own besides."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.own = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(3))
        self.embeddings = SimpleNamespace(leaf=lambda rows: torch.zeros(len(rows), 2, requires_grad=True))

    def forward(self, step: Any, leaf: Tensor) -> dict[str, Tensor]:
        return {task: (self.shared - goal).square().sum() + self.own[i].square() for i, (task, goal) in enumerate(zip(TASKS, (2.0, 4.0, -2.0), strict=True))}

    def losses(self, step: Any, raw: Mapping[str, Tensor]) -> tuple[Tensor, list[int]]:
        return torch.stack([raw[task] for task in TASKS]), [0, 1, 2]


def looked_at(toy: Toy, probe: Affinity, times: int = 3) -> tuple[Fit, Valleys]:
    fit = shop.fit(toy, None, "fixed")
    fit.network = valleys = Valleys()  # type: ignore[assignment]
    fit.dense = list(valleys.parameters())
    fit._rate(5)
    step = fit.feeder.step({"rated": np.arange(8)}, np.random.default_rng(0))
    for number in range(1, times + 1):
        probe.look(fit, step, number)
    return fit, valleys


def test_tasks_that_want_the_same_help_and_tasks_that_want_the_opposite_fight(toy: Toy) -> None:
    probe = Affinity(1, math.inf)
    fit, valleys = looked_at(toy, probe)
    found, rate = probe.result(), fit.rates[0]
    assert found.tasks == TASKS
    np.testing.assert_allclose(found.cosine, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-6)
    # Without moments Adam moves each number by lr, clamped; a loss is (goal - w)^2 + 1, so that a step towards it takes (2 |goal| lr - lr^2) / (goal^2 + 1)
    away, towards = (-4 * rate - rate**2) / 5, (4 * rate - rate**2) / 5
    assert found.ahead[0, 2] == pytest.approx(away, rel=1e-3)
    assert found.ahead[1, 0] == pytest.approx(towards, rel=1e-3)
    assert found.ahead[0, 1] == pytest.approx((8 * rate - rate**2) / 17, rel=1e-3)
    assert found.ahead[2, 0] < 0 < found.ahead[0, 0]
    assert (found.counts == 3).all()
    assert [valleys.shared.item(), *valleys.own.tolist()] == [0, 1, 1, 1], "weights are as they were"


def test_a_fit_goes_the_same_way_with_a_probe_as_without(toy: Toy) -> None:
    probe = Affinity(4, math.inf)
    with_, without = (shop.fit(toy, None, "fixed", probe=each, epochs=2, depth=0) for each in (probe, None))
    with_.run(), without.run()
    a, b = (fit.network.state_dict() for fit in (with_, without))
    assert all(torch.equal(a[key], b[key]) for key in b)
    found = probe.result()
    assert found.counts.max() == 4
    assert np.isfinite(found.ahead[found.counts > 0]).all()
    known = found.cosine[~np.isnan(found.cosine)]
    assert (np.abs(known) <= 1 + 1e-6).all()
    np.testing.assert_allclose(found.cosine, found.cosine.T)
    again = Affinities.read(found.plain())
    np.testing.assert_array_equal(again.ahead, found.ahead)
    np.testing.assert_array_equal(again.cosine, found.cosine)


def test_measuring_costs_no_more_than_allowed(toy: Toy) -> None:
    probe = Affinity(1, 0.0)
    looked_at(toy, probe, 5)
    assert len(probe.found["ahead"]) == 1, "nothing is known of the cost before the first"
    assert probe.skipped == 4


def test_nothing_measured_is_nan_and_not_nought(toy: Toy) -> None:
    probe = Affinity(100)
    looked_at(toy, probe)
    assert probe.result().tasks == []

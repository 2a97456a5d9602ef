"""Promises of proposals: the best partition is found, what fights is parted, rankings stay together, noise proposes nothing."""

import itertools
import math

import numpy as np
import pytest

from banyan.evaluation.grouping import Proposal, partition, proposals, share
from banyan.training.affinity import Affinities
from banyan.types import Array

TASKS = ["a", "b", "c", "d"]
CAMPS = np.array([[1, 0.5, -0.4, -0.4], [0.5, 1, -0.4, -0.4], [-0.4, -0.4, 1, 0.5], [-0.4, -0.4, 0.5, 1]])


def affinities(ahead: Array, error: float = 0.01) -> Affinities:
    names = [chr(97 + i) for i in range(len(ahead))]
    return Affinities(names, np.sign(ahead), np.full(ahead.shape, error), ahead, np.full(ahead.shape, error), np.full(ahead.shape, 9))


def test_two_camps_are_found() -> None:
    found = proposals(affinities(CAMPS * 0.02, 0.0), {})
    assert found[0] == Proposal((("a", "b", "c", "d"),))
    assert {frozenset(group) for group in found[1].groups} == {frozenset("ab"), frozenset("cd")}
    assert all(len(p.groups) <= 3 for p in found)


def by_hand(value: Array, most: int) -> float:
    """The best score of all partitions, one by one."""
    best = -math.inf
    for labels in itertools.product(range(most), repeat=len(value)):
        total = 0.0
        for group in range(most):
            inside = [i for i, label in enumerate(labels) if label == group]
            total += sum(np.mean([value[i, j] for i in inside if i != j]) for j in inside) if len(inside) > 1 else 0.0
        best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_the_partition_is_the_best_of_all(seed: int) -> None:
    value = np.random.default_rng(seed).normal(size=(6, 6))
    found = partition(value, [[i] for i in range(6)], 3)
    assert sorted(itertools.chain(*found)) == list(range(6))
    score = sum(float(np.mean([value[i, j] for i in group if i != j])) for group in found if len(group) > 1 for j in group)
    assert score == pytest.approx(by_hand(value, 3))


def test_many_tasks_take_no_longer_than_they_should() -> None:
    value = np.kron(np.eye(4), np.ones((5, 5))) - 0.5
    found = partition(value, [[i] for i in range(20)], 4)
    assert {tuple(group) for group in found} == {tuple(range(5 * i, 5 * i + 5)) for i in range(4)}


def test_rankings_stay_together_however_they_fight() -> None:
    for proposal in proposals(affinities(CAMPS), {"a": 0.5, "b": 0.2}, tied=["a", "c"]):
        assert sum({"a", "c"} <= set(group) for group in proposal.groups) == 1


def test_noise_is_nought() -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, (4, 4))
    np.fill_diagonal(noise, 0.02)
    value = share(affinities(noise, error=0.01))
    assert not (value - np.diag(np.diag(value))).any()
    assert proposals(affinities(noise, error=0.01), {}) == [Proposal((tuple(TASKS),))]


def test_a_task_that_does_better_alone_is_proposed_to_go_and_one_that_harms_to_be_stopped() -> None:
    harm = np.full((4, 4), 0.3)
    harm[3] = [-0.5, -0.5, -0.5, 0.9]
    found = proposals(affinities(harm, 0.0), {"b": 0.1, "c": -0.1})
    assert any(("b",) in p.groups for p in found)
    assert [p.stopped for p in found if p.stopped] == [("d",)]
    assert all(p.why for p in found)
    assert len({p.label for p in found}) == len(found)

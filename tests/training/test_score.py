"""One number for an epoch over all tasks."""

import math

import pytest

from banyan.training.score import score


def test_the_score_is_the_weighted_mean_of_relative_gains() -> None:
    first = dict[str, float]()
    assert score({"a": 0.5, "b": -2.0}, {"a": 1.0, "b": 3.0}, first) == 0.0  # the first epoch is the zero
    assert first == {"a": 0.5, "b": -2.0}
    assert score({"a": 0.6, "b": -1.0}, {"a": 1.0, "b": 3.0}, first) == pytest.approx((1 * 0.2 + 3 * 0.5) / 4)


def test_no_task_counts_for_more_than_one() -> None:
    first = {"a": 0.5, "b": 0.001}
    assert score({"a": 0.5, "b": 80.0}, {"a": 1.0, "b": 1.0}, first) == 0.5
    assert score({"a": 0.5, "b": -80.0}, {"a": 1.0, "b": 1.0}, first) == -0.5


def test_a_task_without_a_figure_counts_for_nothing() -> None:
    first = {"a": 0.5}
    assert score({"a": 0.75, "b": math.nan}, {"a": 1.0, "b": 9.0}, first) == 0.5
    assert "b" not in first
    assert score({"b": math.nan}, {"b": 9.0}, first) is None
    assert score({}, {}, first) is None

"""Promises of comparisons: Holm by hand, p values that behave, one false word at most in so many."""

import math

import numpy as np
import pytest

from banyan.evaluation.certainty import Gain, chance, corrected, holm
from banyan.metrics import Interval


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_what_is_undefined_stays_so_and_counts_for_nothing() -> None:
    found = holm([0.01, math.nan, 0.04])
    assert found[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[1])


def test_a_chance_is_that_of_the_normal_law() -> None:
    drawn = np.random.default_rng(0).normal(1.96, 1.0, 20_000).tolist()
    assert chance(1.96, drawn) == pytest.approx(0.05, abs=0.005)
    assert chance(0.0, drawn) == 1.0
    assert math.isnan(chance(math.nan, drawn))
    assert math.isnan(chance(1.0, [])), "without draws nothing is sure"
    assert chance(0.0, [0.0, 0.0]) == 1.0


def gain(value: float, p: float) -> Gain:
    return Gain("t", "", "auc", 0.5 + value, 0.5, Interval(value, value - 1, value + 1), p)


def test_verdicts_are_of_the_corrected_chance() -> None:
    said = [each.verdict for each in corrected([gain(0.1, 0.001), gain(-0.1, 0.002), gain(0.1, 0.03), gain(0.1, math.nan)])]
    assert said == ["better", "worse", "better", "undefined"]
    assert corrected([gain(0.1, 0.03), gain(0.1, 0.04)])[0].verdict == "no difference", "alone it would have been called better"


def test_where_nothing_differs_a_false_word_is_rare() -> None:
    rng, false = np.random.default_rng(1), 0
    for _ in range(300):
        family = [gain(value, chance(value, rng.normal(value, 1.0, 100).tolist())) for value in rng.normal(0, 1.0, 12)]
        false += any(each.verdict != "no difference" for each in corrected(family))
    assert false / 300 < 0.10

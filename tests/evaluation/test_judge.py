"""Figures are right by hand, intervals draw owners, gains are paired and turned so that more is better."""

import numpy as np
import pytest

from banyan.evaluation import judge
from banyan.evaluation.questions import Question
from banyan.evaluation.transfer import verdict
from banyan.metrics import NAN, Interval
from banyan.tasks.binary import Binary
from banyan.tasks.count import Count
from banyan.types import Target

BINARY, COUNT = Binary(1, Target(("y",))), Count(1, Target(("y",), (), (1.0,)))


def question(value: list[float], owner: list[int] | None = None, weight: list[float] | None = None, scenario: list[int] | None = None) -> Question:
    n = len(value)
    y = np.array(value, np.float32)[:, None]
    owners = np.array(owner if owner is not None else range(n))
    w = np.array(weight or [1.0] * n)
    return Question("t", "rows", np.arange(n), y, np.ones((n, 1), bool), w, None, owners, np.array(scenario or [0] * n))


def column(values: list[float]) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_figures_count_rows_by_weight() -> None:
    found = judge.figures(BINARY, question([1, 0, 0], weight=[1, 3, 1]), column([0.5, 0.2, 0.7]))
    assert found["auc"] == pytest.approx(3 / 4)  # of the negatives' weight 4, the positive beats 3
    assert found["rate"] == pytest.approx(1 / 5)


def test_without_rows_nothing_is_known() -> None:
    assert np.isnan(judge.figures(BINARY, question([]), np.zeros((0, 1)))["auc"])


def test_an_interval_holds_its_figure_and_is_the_same_for_a_seed() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.4).astype(float).tolist()
    answer = column((np.array(y) * 0.5 + rng.random(400)).clip(0, 1).tolist())
    first, again, other = (judge.intervals(BINARY, question(y), answer, draws=60, seed=s)["auc"] for s in (1, 1, 2))
    assert first.low < first.value < first.high
    assert first == again
    assert first != other
    assert first.value == pytest.approx(judge.figures(BINARY, question(y), answer)["auc"])


def test_rows_of_one_user_are_no_independent_evidence() -> None:
    """Twenty users whose forty rows are all alike tell as much as twenty rows: the interval is about sqrt(40) times that of 800 free rows."""
    rng = np.random.default_rng(0)
    each = rng.integers(0, 2, 20)
    y, owner = np.repeat(each, 40).astype(float).tolist(), np.repeat(np.arange(20), 40).tolist()
    answer = column([0.5] * 800)
    together, apart = (judge.intervals(BINARY, question(y, o), answer, draws=200)["rate"] for o in (owner, None))
    assert 4 < (together.high - together.low) / (apart.high - apart.low) < 9


def test_few_owners_have_no_interval() -> None:
    found = judge.intervals(BINARY, question([0, 1] * 20, owner=[i % 9 for i in range(40)]), column([0.2, 0.7] * 20))["auc"]
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_a_gain_is_positive_where_ours_are_better_whichever_way_the_metric_points() -> None:
    y = [1.0, 2.0, 3.0, 4.0] * 10
    close, far = column([1.1, 2.1, 3.1, 4.1] * 10), column([2.0, 4.0, 1.0, 1.0] * 10)
    ours = judge.gain(COUNT, question(y), [close], [far], draws=50)
    theirs = judge.gain(COUNT, question(y), [far], [close], draws=50)
    assert ours.value == pytest.approx((1 + 2 + 2 + 3) / 10 - 0.4 / 10)  # of WAPE, by hand
    assert theirs.value == pytest.approx(-ours.value)
    assert (verdict(ours), verdict(theirs)) == ("better", "worse")


def test_equal_answers_are_no_difference() -> None:
    answer = column(np.random.default_rng(0).random(60).tolist())
    found = judge.gain(BINARY, question([0, 1, 1] * 20), [answer], [answer], draws=40)
    assert found == Interval(0.0, 0.0, 0.0)
    assert verdict(found) == "no difference"


def test_seeds_that_disagree_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000).astype(float)
    good, bad, base = (column((y * s + rng.random(2000)).tolist()) for s in (0.8, 0.0, 0.4))
    asked = question(y.tolist())
    one = judge.gain(BINARY, asked, [good], [base], draws=60)
    several = judge.gain(BINARY, asked, [good, bad], [base], draws=60)
    assert verdict(one) == "better"
    assert several.low < 0 < several.high


@pytest.mark.parametrize(("interval", "word"), [((0.1, 0.01, 0.2), "better"), ((-0.1, -0.2, -0.01), "worse"), ((0.1, -0.1, 0.3), "no difference")])
def test_a_verdict_needs_an_interval_that_leaves_out_zero(interval: tuple[float, float, float], word: str) -> None:
    assert verdict(Interval(*interval)) == word
    assert verdict(Interval(interval[0], NAN, NAN)) == "undefined"


def test_scenarios_are_judged_apart_and_small_ones_left_out() -> None:
    asked = question([0, 1] * 50 + [1, 0] * 40 + [1] * 5, scenario=[1] * 100 + [2] * 80 + [3] * 5)
    found = judge.by_scenario(BINARY, asked, column([0.2, 0.8] * 90 + [0.5] * 5), ("", "home", "search", "rest"))
    assert found["home"]["auc"] == 1.0
    assert found["search"]["auc"] == 0.0
    assert set(found) == {"home", "search"}

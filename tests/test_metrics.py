"""Figures against scikit-learn, scipy and hand counts; nan, never 0, where there is nothing to say."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as peer

from banyan import metrics
from banyan.types import Array

NAN = float("nan")
PAIRS = [metrics.auc, metrics.log_loss, metrics.calibration_error, metrics.rmse, metrics.mae, metrics.wape, metrics.r2, metrics.gini, metrics.spearman]


def sample(rows: int = 2000, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """(score with many ties, label, whole weights from 0, group)."""
    rng = np.random.default_rng(seed)
    score = rng.integers(1, 40, rows) / 40
    return score, (rng.random(rows) < score).astype(float), rng.integers(0, 4, rows).astype(float), rng.integers(0, 50, rows) * 7


def test_auc_agrees_with_scikit_learn_with_ties_and_weights() -> None:
    score, label, weight, _ = sample()
    assert metrics.auc(score, label) == pytest.approx(peer.roc_auc_score(label, score))
    assert metrics.auc(score, label, weight) == pytest.approx(peer.roc_auc_score(label, score, sample_weight=weight))
    assert metrics.auc(np.array([1, 1, 2.0]), np.array([0, 1, 1.0])) == 0.75


def test_grouped_auc_is_the_groups_mean_weighted_by_rows_without_one_class_groups() -> None:
    score, label, weight, group = sample()
    label[group == 7] = 1
    each, sizes = [], []
    for g in np.unique(group[group != 7]):
        rows = group == g
        each.append(peer.roc_auc_score(label[rows], score[rows], sample_weight=weight[rows]))
        sizes.append(weight[rows].sum())
    assert metrics.grouped_auc(score, label, group, weight) == pytest.approx(np.average(each, weights=sizes))
    assert math.isnan(metrics.grouped_auc(score, np.ones_like(label), group))


def test_log_loss_cross_entropy_and_accuracy_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    score, label, weight, _ = sample()
    assert metrics.log_loss(score * 0.99, label, weight) == pytest.approx(peer.log_loss(label, score * 0.99, sample_weight=weight))
    p, code = rng.dirichlet(np.ones(4), 2000), rng.integers(0, 4, 2000)
    assert metrics.cross_entropy(p, code, weight) == pytest.approx(peer.log_loss(code, p, sample_weight=weight))
    assert metrics.accuracy(p.argmax(1), code, weight) == pytest.approx(peer.accuracy_score(code, p.argmax(1), sample_weight=weight))
    expected = peer.precision_recall_fscore_support(code, p.argmax(1), average="macro", sample_weight=weight)[:3]
    assert metrics.macro(p.argmax(1), code, 4, weight) == pytest.approx(expected)


def test_macro_leaves_out_classes_for_which_a_figure_is_undefined() -> None:
    found = metrics.macro(np.array([0, 0, 1]), np.array([0, 2, 1]), 4)  # 2 is never predicted, 3 does not occur
    assert found == pytest.approx(((0.5 + 1) / 2, (1 + 1 + 0) / 3, (2 / 3 + 1 + 0) / 3))
    assert all(math.isnan(each) for each in metrics.macro(np.zeros(0), np.zeros(0), 3))


def test_a_sure_and_wrong_answer_costs_a_finite_loss() -> None:
    assert metrics.log_loss(np.array([0.0]), np.array([1.0])) == pytest.approx(-math.log(1e-7))


def test_regression_figures_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    y, w = rng.gamma(1, 5, 500) * (rng.random(500) < 0.5), rng.integers(0, 3, 500).astype(float)
    p = y * 0.5 + rng.random(500)
    assert metrics.rmse(p, y, w) == pytest.approx(peer.root_mean_squared_error(y, p, sample_weight=w))
    assert metrics.mae(p, y, w) == pytest.approx(peer.mean_absolute_error(y, p, sample_weight=w))
    assert metrics.r2(p, y, w) == pytest.approx(peer.r2_score(y, p, sample_weight=w))
    assert metrics.poisson_deviance(p, y, w) == pytest.approx(peer.mean_poisson_deviance(y, p, sample_weight=w))
    assert metrics.spearman(p, y) == pytest.approx(stats.spearmanr(p, y).statistic)
    assert metrics.wape(np.array([1.0, 2]), np.array([3.0, 1])) == 0.75
    assert metrics.bias(np.array([1.0, 2]), np.array([3.0, 1])) == -0.25


def test_gini_is_1_for_the_labels_order_minus_1_for_its_reverse_and_blind_to_scale() -> None:
    y = np.array([0.0, 0, 3, 10, 1])
    assert metrics.gini(y**3, y) == pytest.approx(1)
    assert metrics.gini(-y, y) == pytest.approx(-1)
    assert metrics.gini(np.array([1.0, 2, 4, 3, 5]), np.array([0.0, 0, 1, 0, 0])) == pytest.approx(0.5)  # a 0/1 label: 2 AUC - 1
    assert metrics.gini(np.ones(5), y) == pytest.approx(0)


@pytest.mark.parametrize("figure", PAIRS)
def test_a_whole_weight_is_a_repeated_row(figure: Callable[..., float]) -> None:
    score, label, weight, _ = sample(300)
    times = weight.astype(int)
    assert figure(score, label, weight) == pytest.approx(figure(np.repeat(score, times), np.repeat(label, times)))


@pytest.mark.parametrize("figure", [*PAIRS, metrics.bias, metrics.poisson_deviance, metrics.accuracy])
def test_without_rows_every_figure_is_nan(figure: Callable[..., float]) -> None:
    assert math.isnan(figure(np.zeros(0), np.zeros(0)))
    assert math.isnan(figure(np.ones(3), np.ones(3), np.zeros(3)))


def test_undefined_is_nan_and_never_0() -> None:
    one = np.array([0.2, 0.4])
    assert math.isnan(metrics.auc(one, np.ones(2)))
    assert math.isnan(metrics.auc(np.array([NAN, 1]), np.array([0, 1])))
    assert math.isnan(metrics.wape(one, np.zeros(2)))
    assert math.isnan(metrics.r2(one, np.ones(2)))
    assert math.isnan(metrics.gini(one, np.ones(2)))
    assert math.isnan(metrics.spearman(np.ones(2), one))
    assert math.isnan(metrics.ndcg(one, np.ones(2), np.zeros(2)))
    assert math.isnan(metrics.ndcg_at(np.full((3, 2), NAN), 10))


def test_calibration_curve_has_bins_of_equal_weight_and_finds_a_planted_error() -> None:
    rng = np.random.default_rng(3)
    p = rng.random(200_000)
    y = (rng.random(len(p)) < p).astype(float)
    curve = metrics.calibration_curve(p, y, bins=10)
    assert np.allclose(curve.weight, 20_000, atol=2)
    assert np.allclose(curve.predicted, np.arange(0.05, 1, 0.1), atol=0.01)
    assert metrics.calibration_error(p, y) < 0.01
    assert metrics.calibration_error(np.minimum(p + 0.1, 1), y) == pytest.approx(0.095, abs=0.01)
    assert len(metrics.calibration_curve(np.full(100, 0.5), y[:100]).weight) == 1


@pytest.mark.parametrize("k", [None, 3])
def test_ndcg_agrees_with_scikit_learn_group_by_group_with_ties(k: int | None) -> None:
    rng = np.random.default_rng(4)
    group, score, grade = rng.integers(0, 30, 400), rng.integers(0, 6, 400) / 2, rng.integers(0, 4, 400).astype(float)
    expected = []
    for g in np.unique(group):
        gain, s = 2 ** grade[group == g] - 1, score[group == g]
        if len(set(gain)) > 1:
            expected.append(peer.ndcg_score([gain], [s], k=k))
    assert metrics.ndcg(score, grade, group, k) == pytest.approx(np.mean(expected))


def test_ranks_give_the_hand_counted_figures() -> None:
    ranks = np.array([[1, 4], [11, NAN], [NAN, NAN], [3, np.inf]])
    assert metrics.hit_rate_at(ranks, 3) == pytest.approx(2 / 3)
    assert metrics.recall_at(ranks, 3) == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert metrics.mrr_at(ranks, 10) == pytest.approx((1 + 0 + 1 / 3) / 3)
    best = 1 + 1 / math.log2(3)
    assert metrics.ndcg_at(ranks, 10) == pytest.approx(((1 + 1 / math.log2(5)) / best + 0 + (1 / math.log2(4)) / best) / 3)
    assert metrics.ndcg_at(np.array([[1.0, 2, 3]]), 2) == pytest.approx(1)
    assert metrics.hit_rate_at(ranks, 3, np.array([1, 0, 5, 1.0])) == 1


def test_a_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(100):
        users = np.repeat(np.arange(60), 5)
        values = rng.normal(size=60)[users] + 0.1 * rng.normal(size=300)
        found = metrics.bootstrap(metrics.mean, values, cluster=users, seed=trial)
        assert found.low <= found.value <= found.high
        covered += found.low <= 0 <= found.high
    assert 86 <= covered <= 100


def test_clusters_widen_the_interval_and_pairs_narrow_it() -> None:
    score, label, weight, group = sample(3000)
    label = np.where(group < 175, label, 1 - label)
    width = {key: np.subtract(*metrics.bootstrap(metrics.auc, score, label, weight=weight, cluster=c)[:0:-1]) for key, c in (("rows", None), ("users", group))}
    assert width["users"] > 1.5 * width["rows"]
    worse = score + np.random.default_rng(6).normal(size=3000) * 0.02
    pair = metrics.paired_bootstrap(metrics.auc, score, worse, label, weight=weight, cluster=group)
    assert pair.value == pytest.approx(metrics.auc(score, label, weight) - metrics.auc(worse, label, weight))
    assert pair.high - pair.low < width["users"] / 2


def test_a_bootstrap_is_its_seeds_and_takes_any_figure() -> None:
    score, label, _, group = sample(500)
    ranks = np.random.default_rng(7).integers(1, 30, (500, 2)).astype(float)
    found: list[Any] = [metrics.bootstrap(metrics.grouped_auc, score, label, group, cluster=group, draws=50, seed=s) for s in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert metrics.bootstrap(partial(metrics.ndcg_at, k=10), ranks, draws=50).low > 0
    assert math.isnan(metrics.bootstrap(metrics.auc, score, np.ones(500), draws=20).low)
    assert math.isnan(metrics.bootstrap(metrics.auc, score[:0], label[:0]).value)

"""Figures of merit: pure functions on arrays, nan where a figure is undefined, never 0.

Knows no task and no table. Every figure over rows takes row weights (1 unless given) and costs O(n log n); a row of weight 2
counts as the same row twice, so that a bootstrap is a matter of integer weights.
"""

from banyan.metrics.amounts import bias, gini, mae, poisson_deviance, r2, rmse, spearman, wape
from banyan.metrics.binary import Curve, auc, calibration_curve, calibration_error, grouped_auc, log_loss
from banyan.metrics.classes import Macro, accuracy, cross_entropy, macro, macro_of_counts
from banyan.metrics.intervals import Interval, bootstrap, draw, interval, paired_bootstrap
from banyan.metrics.lists import hit_rate_at, mrr_at, ndcg, ndcg_at, recall_at
from banyan.metrics.rows import NAN, TINY, mean, midrank

__all__ = [
    "NAN",
    "TINY",
    "Curve",
    "Interval",
    "Macro",
    "accuracy",
    "auc",
    "bias",
    "bootstrap",
    "calibration_curve",
    "calibration_error",
    "cross_entropy",
    "draw",
    "gini",
    "grouped_auc",
    "hit_rate_at",
    "interval",
    "log_loss",
    "macro",
    "macro_of_counts",
    "mae",
    "mean",
    "midrank",
    "mrr_at",
    "ndcg",
    "ndcg_at",
    "paired_bootstrap",
    "poisson_deviance",
    "r2",
    "recall_at",
    "rmse",
    "spearman",
    "wape",
]

"""Figures that several kinds of task share, over the rows in which their label is seen."""

from banyan import metrics
from banyan.types import Array


def rows(seen: Array, weight: Array, column: int, *columns: Array) -> tuple[list[Array], Array]:
    """The rows in which `column` is seen, of each of `columns` (n,) and of the weights; `seen` is (n, N), or (n, 1) for all columns alike."""
    keep = seen.reshape(len(weight), -1)
    mask = keep[:, min(column, keep.shape[1] - 1)].astype(bool)
    return [each[mask] for each in columns], weight[mask]


def probability(answer: Array, label: Array, seen: Array, weight: Array, group: Array | None, column: int) -> dict[str, float]:
    """Figures of one probability (n,) against its label (n,), over the rows where `column` is seen."""
    (p, y), w = rows(seen, weight, column, answer, label)
    figures = {
        "auc": metrics.auc(p, y, w),
        "log_loss": metrics.log_loss(p, y, w),
        "calibration_error": metrics.calibration_error(p, y, w),
        "mean": metrics.mean(p, w),
        "rate": metrics.mean(y, w),
    }
    if group is not None:
        figures["gauc"] = metrics.grouped_auc(p, y, rows(seen, weight, column, group)[0][0], w)
    return figures

"""Does one feature alone give a label away? A feature that ranks an answer almost perfectly is mostly the answer itself, written down later.

The score of a category is the share of positives among the other rows with the same value (two halves, each scored by the other), of a
number the number itself or its missingness. The area under the ROC curve of that score is compared with LIMIT.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from banyan.store.figures import median
from banyan.types import Array

LIMIT = 0.995  # AUC
LEAST = 20  # positives and negatives that an answer needs for a verdict
ANSWERS = 5  # the most frequent classes or tags of a label


def answers(label: pl.Series) -> Iterator[tuple[str, Array, Array]]:
    """(what is asked, (n,) bool answer, (n,) bool seen): is it 1, above the median, of this class, with this tag."""
    seen = label.is_not_null().to_numpy()
    if isinstance(label.dtype, pl.List):
        common = label.explode().drop_nulls().value_counts(sort=True).head(ANSWERS)[label.name].to_list()
        yield from ((f" = {tag}", label.list.contains(tag).fill_null(False).to_numpy(), seen) for tag in common)
    elif label.dtype.is_numeric():
        known = label.drop_nulls().to_numpy()
        if len(known) and set(np.unique(known).tolist()) <= {0, 1}:
            yield "", (label == 1).fill_null(False).to_numpy(), seen
        elif len(known):
            yield " above its median", (label > float(np.median(known))).fill_null(False).to_numpy(), seen
    elif label.dtype == pl.String:
        common = label.drop_nulls().value_counts(sort=True).head(ANSWERS)[label.name].to_list()
        yield from ((f" = {word}", (label == word).fill_null(False).to_numpy(), seen) for word in common)


def auc(score: Array, answer: Array) -> float:
    """Area under the ROC curve by ranks, ties counted half (Hanley and McNeil, 1982); nan without both answers."""
    positives, n = int(answer.sum()), len(answer)
    if positives in (0, n):
        return float("nan")
    rank = pl.Series(score).rank("average").to_numpy()
    return float((rank[answer].sum() - positives * (positives + 1) / 2) / (positives * (n - positives)))


def strength(feature: pl.Series, answer: Array) -> float:
    """The best AUC, either way round, that the feature alone reaches; 0.5 where it cannot be judged."""
    positives = int(answer.sum())
    if min(positives, len(answer) - positives) < LEAST:
        return 0.5
    missing = feature.is_null().to_numpy().astype(float)
    if feature.dtype.is_numeric():
        filled = feature.cast(pl.Float64).fill_null(median(feature.cast(pl.Float64))).to_numpy()
        scores = [filled, missing]
    elif feature.dtype == pl.String:
        scores = [_others(feature, answer)]
    else:
        scores = [missing]
    return max(abs(auc(score, answer) - 0.5) for score in scores) + 0.5


def _others(feature: pl.Series, answer: Array) -> Array:
    """(n,) share of positives among the rows of the other half with the same value; the mean share for a value not seen there."""
    half = np.arange(len(answer)) % 2
    frame = pl.DataFrame({"value": feature.fill_null("\0"), "half": half, "answer": answer.astype(float)})
    means = frame.group_by("value", "half").agg(pl.col("answer").mean()).with_columns(half=1 - pl.col("half"))
    found = frame.select("value", "half").join(means, on=["value", "half"], how="left", maintain_order="left")["answer"]
    return found.fill_null(float(answer.mean())).to_numpy()

"""What a plain approach reaches on photos and names: one linear classifier an attribute."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from banyan.features import colours, mobilenet
from banyan.types import Array

ROUNDS = 100  # of the logistic regression


def _plain(vectors: Array) -> Array:
    """MobileNetV2's last pooled map and the colours, out of the stored vectors."""
    last = sum(mobilenet.WIDTHS)
    return vectors[:, [*range(last - mobilenet.LAST, last), *range(vectors.shape[1] - colours.WIDTH, vectors.shape[1])]].astype(np.float32)


def _logistic(x: Array, y: Array, train: Array) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred rounds are what it gets
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=ROUNDS)).fit(x[train], y[train])


def fashion(
    table: pl.DataFrame, vectors: Array, name: str, attributes: Sequence[str], hashed: Callable[[object], int], tell: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Way -> attribute -> accuracy; rows of `table` are those of `vectors`."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    test = np.array([hashed(each) % 5 == 1 for each in table["id"]])
    x = _plain(vectors)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1)
    names = table[name].fill_null("").to_list()
    said = words.fit(each for each, held in zip(names, test, strict=True) if not held).transform(names)
    found: dict[str, dict[str, float]] = {"photo": {}, "name": {}}
    for each in attributes:
        y = table[each].fill_null("").to_numpy()
        found["photo"][each] = float((_logistic(x, y, ~test).predict(x[test]) == y[test]).mean())
        found["name"][each] = float((LinearSVC().fit(said[~test], y[~test]).predict(said[test]) == y[test]).mean())
        tell(f"baselines of {each}: photo {found['photo'][each]:.4f}, name {found['name'][each]:.4f}")
    return found


def clothing(table: pl.DataFrame, vectors: Array, yes: str) -> dict[str, float]:
    """One fold: accuracy and macro F1 of the label, AUC of the yes-or-no column; rows of `table` are those of `vectors`."""
    from sklearn.metrics import f1_score, roc_auc_score

    test = (table["part"] == "test").to_numpy()
    x, label, truth = _plain(vectors), table["label"].to_numpy(), table[yes].to_numpy()
    guess = _logistic(x, label, ~test).predict(x[test])
    chance = _logistic(x, truth, ~test).predict_proba(x[test])[:, 1]
    f1 = f1_score(label[test], guess, average="macro", zero_division=0)
    return {"accuracy": float((guess == label[test]).mean()), "f1": float(f1), "auc": float(roc_auc_score(truth[test], chance))}

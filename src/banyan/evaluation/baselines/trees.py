"""Gradient-boosted trees for each task alone: LightGBM where it is installed, else scikit-learn's histogram trees."""

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from banyan.evaluation.baselines.matrix import Matrix, matrix
from banyan.evaluation.questions import Question, judges
from banyan.features.data import Data
from banyan.store.schema import Store
from banyan.tasks import Task
from banyan.types import TRAIN, Array

ROUNDS = 400  # most trees
PATIENCE = 20  # trees without a better validation figure
COLUMNS = 30  # columns of an answer (tags, say) up to which each gets trees of its own
AIMS = {"classes": "multiclass", "chances": "binary", "grades": "regression", "scores": "regression"}  # what trees minimise, by what a task answers
MEANS = {"counts": "poisson", "floats": "tweedie"}  # and where it answers means, by what its labels are
Grow = Callable[..., Callable[[Array], Array]]


def answer(store: Store, data: Data, question: Question, valid: Question, most: int, deadline: float, threads: int, seed: int) -> Array | str:
    """(n, columns) answers of trees grown on at most `most` training rows, stopped early on validation rows; or why there are none.

    `deadline` is a `time.process_time()` past which no further tree is grown.
    """
    grow = _grower()
    if grow is None:
        return "neither lightgbm nor scikit-learn is installed (the extra `bench` brings both)"
    task = judges(data, {question.task: store.tasks[question.task]})[question.task]
    classes = len(task.target.classes) if task.answers == "classes" else 0
    columns = 1 if classes else len(task.columns())
    if columns > COLUMNS:
        return f"its answers have more than {COLUMNS} columns"
    table = data.tables[question.table]
    labels = table.labels[question.task]
    train = _fewer(np.flatnonzero((table.part == TRAIN) & labels.settled.any(1)), most, seed)
    inputs = [matrix(data, question.table, rows) for rows in (train, valid.rows, question.rows)]
    if not inputs[0].names:
        return "its rows have no features that trees read"
    found = []
    for column in range(columns):
        fitted = _column(inputs, labels.value[train], labels.settled[train], table.weight[train], valid, column)
        left = (deadline - time.process_time()) / (columns - column) if np.isfinite(deadline) else None
        found.append(grow(*fitted, aim(type(task)), classes, left, threads, seed)(inputs[2].values))
    return found[0] if classes else task.consistent(np.stack(found, 1))


def aim(part: type[Task]) -> str:
    """What the trees of a kind of task minimise."""
    return MEANS.get(part.kind, "regression") if part.answers == "means" else AIMS[part.answers]


def _column(inputs: list[Matrix], value: Array, seen: Array, weight: Array, valid: Question, column: int) -> tuple[Any, ...]:
    """(matrix, labels, weights) of training, then of validation, with the rows that show the column."""
    found: list[Any] = []
    for each, y, shown, w in ((inputs[0], value, seen, weight), (inputs[1], valid.value, valid.seen, valid.weight)):
        keep = shown[:, min(column, shown.shape[1] - 1)]
        label = y if y.ndim == 1 else y[:, column]
        found += [Matrix(each.values[keep], each.names, each.categorical), label[keep], w[keep]]
    return tuple(found)


def _fewer(rows: Array, most: int, seed: int) -> Array:
    return rows if len(rows) <= most else np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _grower() -> Grow | None:
    if find_spec("lightgbm"):
        return _lightgbm
    return _sklearn if find_spec("sklearn") else None


def _lightgbm(
    x: Matrix, y: Array, w: Array, vx: Matrix, vy: Array, vw: Array, aim: str, classes: int, seconds: float | None, threads: int, seed: int
) -> Callable[[Array], Array]:
    import lightgbm as lgb

    began = time.process_time()

    def in_time(env: Any) -> None:
        if seconds is not None and time.process_time() - began > seconds:
            raise lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])

    options = {
        "objective": aim,
        "num_leaves": 31,
        "learning_rate": 0.1,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.8,
        "max_delta_step": 2.0 if aim in ("binary", "multiclass") else 0.0,  # a leaf of rare positives, weighed down by sampling, would overshoot
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **({"num_class": classes} if classes else {}),
    }
    train = lgb.Dataset(x.values, y, weight=w, categorical_feature=x.categorical)
    watched = [lgb.Dataset(vx.values, vy, weight=vw, reference=train)] if len(vy) else None
    stops = [lgb.early_stopping(PATIENCE, verbose=False)] if watched else []
    model = lgb.train(options, train, ROUNDS if watched else ROUNDS // 4, valid_sets=watched, callbacks=[*stops, in_time])
    return lambda values: np.asarray(model.predict(values, num_iteration=model.best_iteration or None))


def _sklearn(
    x: Matrix, y: Array, w: Array, vx: Matrix, vy: Array, vw: Array, aim: str, classes: int, seconds: float | None, threads: int, seed: int
) -> Callable[[Array], Array]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    # these trees have no clock: fewer of them where time is short
    rounds = ROUNDS if seconds is None else int(np.clip(seconds * 2e6 / max(x.values.size, 1), 10, ROUNDS))
    stops = {"early_stopping": len(y) > 500, "n_iter_no_change": PATIENCE}
    options: dict[str, Any] = {"max_iter": rounds, "random_state": seed, "categorical_features": x.categorical or None, **stops}
    if aim in ("binary", "multiclass"):
        return _classifier(HistGradientBoostingClassifier(**options).fit(x.values, y, w), aim, classes)
    loss = {"poisson": "poisson", "tweedie": "poisson"}.get(aim, "squared_error")
    regressor = HistGradientBoostingRegressor(loss=loss, **options).fit(x.values, y, w)
    return lambda values: np.asarray(regressor.predict(values))


def _classifier(model: Any, aim: str, classes: int) -> Callable[[Array], Array]:
    def probability(values: Array) -> Array:
        found = model.predict_proba(values)
        wide = np.zeros((len(values), classes or 2))
        wide[:, model.classes_.astype(np.int64)] = found
        return wide if aim == "multiclass" else wide[:, 1]

    return probability

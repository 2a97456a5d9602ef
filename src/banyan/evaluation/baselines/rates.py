"""Baselines of everything but rankings: training means of the item or the key, of the user, of what lay between the two, and last values."""

import numpy as np

from banyan import parts
from banyan.evaluation import judge
from banyan.evaluation.questions import Question, judges, key_columns
from banyan.features.data import Data, TableData
from banyan.features.labels import Labels
from banyan.features.stock import ITEM, USER
from banyan.store.schema import Store
from banyan.types import TRAIN, Array

PRIOR = 10.0  # rows that the overall training mean counts as
COUNTS = np.log1p([0.5, 1.5, 3.5, 7.5])  # edges of the buckets of a pair's counts: 0, 1, 2 to 3, 4 to 7, more
AGES = 1 / (1 + np.array([400.0, 28.0, 7.0, 1.0]))  # and of its recency: never, over four weeks, a month, a week, a day


def popularity(store: Store, data: Data, question: Question, valid: Question) -> Array:
    """(n, columns) smoothed training mean of the row's item, or of a count's key, else of all rows: shares for classes and tags."""
    table = data.tables[question.table]
    key = _key(data, table)
    return _means(store, data, question, np.zeros(len(table), np.int64) if key is None else key)


def own_history(store: Store, data: Data, question: Question, valid: Question) -> Array | str:
    """Last values or moving means of a count (the one that is best on validation); else the user's own rate, and that of pairs with such a past.

    For a label in [0, 1] the odds multiply: odds of the user x odds of the bucket of pair counts and recencies / odds overall.
    """
    table, part = data.tables[question.table], parts.find("tasks", store.tasks[question.task].kind)
    if table.forecasts and part.answers == "means":
        return _last_values(store, data, question, valid)
    if USER not in table.entities:
        return "its rows have no user"
    user = table.entities[USER].astype(np.int64)
    known = np.isin(user[question.rows], user[table.part == TRAIN])
    bucket = _bucket(data, table) if part.highest == 1 else None
    if bucket is None:
        return _means(store, data, question, user) if known.any() else "none of its users has a training row"
    odds = [_logit(_means(store, data, question, key)) for key in (user, bucket)]
    return _probability(odds[0] + odds[1] - _logit(_means(store, data, question, np.zeros(len(table), np.int64))))


def _means(store: Store, data: Data, question: Question, key: Array) -> Array:
    """(n, columns) of the rows asked: (sum w y + 10 overall) / (sum w + 10) over the training rows of the row's key."""
    table = data.tables[question.table]
    value, seen = _columns(store, data, question.task, table.labels[question.task])
    train = np.flatnonzero(table.part == TRAIN)
    weight = np.where(seen[train], table.weight[train][:, None], 0).astype(np.float64)
    overall = (weight * value[train]).sum(0) / np.maximum(weight.sum(0), 1e-12)
    groups, code = np.unique(key, return_inverse=True)
    code = code.reshape(-1)
    found = np.empty((len(question), value.shape[1]))
    for column, mean in enumerate(overall):
        total = np.bincount(code[train], weight[:, column] * value[train, column], len(groups))
        rows = np.bincount(code[train], weight[:, column], len(groups))
        found[:, column] = ((total + PRIOR * mean) / (rows + PRIOR))[code[question.rows]]
    return found


def _columns(store: Store, data: Data, task: str, labels: Labels) -> tuple[Array, Array]:
    """Labels as (n, columns) numbers in the columns of the task's answer, and which were seen; a code becomes a one in its class's column."""
    value = labels.value
    if parts.find("tasks", store.tasks[task].kind).answers == "classes":
        value = np.eye(len(data.plan.targets[task].classes), dtype=np.float32)[value.reshape(-1)]
    return value, np.broadcast_to(labels.settled, value.shape)


def _key(data: Data, table: TableData) -> Array | None:
    if ITEM in table.entities:
        return table.entities[ITEM].astype(np.int64)
    columns = key_columns(data, table) if not table.entities else None
    return None if columns is None else np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1)


def _bucket(data: Data, table: TableData) -> Array | None:
    """(n,) code of the bucket that a row's pair counts and recencies (user x item) fall into; None without pair features."""
    names = [i for i, name in enumerate(data.plan.pair) if name.startswith("id:") and not name.endswith("activation")]
    if table.pair is None or not names:
        return None
    levels = [np.digitize(table.pair[:, i], AGES if data.plan.pair[i].endswith("recency") else COUNTS) for i in names]
    code = np.zeros(len(table), np.int64)
    for level in levels:
        code = np.unique(code * 5 + level, return_inverse=True)[1].reshape(-1)  # dense after each step, so that it never overflows
    return code


def _last_values(store: Store, data: Data, question: Question, valid: Question) -> Array:
    """The count of the last period, a moving mean, or the same period a year ago: the seasonal naive family. Read as they are, beyond training's range too."""
    mean, known = popularity(store, data, question, valid), data.tables[question.table].forecasts
    ways = [n for n in known if not n.startswith("year_ago_")] + (["year_ago"] if "year_ago_1" in known else [])
    part = judges(data, {question.task: store.tasks[question.task]})[question.task]
    fallback = popularity(store, data, valid, valid)
    scores = [judge.signed(part, judge.figures(part, valid, _way(data, valid, w, fallback))) for w in ways]
    best = ways[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))]
    return _way(data, question, best, mean)


def _way(data: Data, question: Question, way: str, fallback: Array) -> Array:
    known = data.tables[question.table].forecasts
    names = [f"year_ago_{ahead + 1}" if way == "year_ago" else way for ahead in range(fallback.shape[1])]
    found = np.stack([known[name][question.rows] for name in names], 1).astype(np.float64)
    return np.asarray(np.where(np.isfinite(found), np.maximum(found, 0), fallback))


def _logit(p: Array) -> Array:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p) - np.log1p(-p))


def _probability(odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-odds)))

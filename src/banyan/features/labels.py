"""The labels of a samples table as arrays, one set a task, with what was seen and what was not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan import parts
from banyan.errors import DataError
from banyan.features import vocabulary
from banyan.store.open import task_labels
from banyan.store.schema import TaskSpec
from banyan.store.shop import SampleTable
from banyan.types import TRAIN, Array, Target


@dataclass
class Labels:
    """One task's labels over a table's n rows; value is 0 where not seen."""

    value: Array  # float32 (n, V) or (n, C) or (n, A); int64 (n,) codes of classes; (n, 0) for a ranking, whose targets are in the table
    seen: Array  # bool (n, N)
    maturity: Array | None = None  # float32 (n, V), of a task that keeps rows whose window is open: see `delayed`

    @property
    def settled(self) -> Array:
        """(n, N) bool: the labels that nothing can change any more."""
        return self.seen if self.maturity is None else self.seen & (self.maturity >= 1)


def read(task: str, spec: TaskSpec, table: SampleTable, target: Target | None = None) -> tuple[Labels, Target]:
    """A task's labels. Classes and priors are fitted on training rows unless `target` brings them.

    Raises DataError for a label outside of the task's range, naming table, column, row and value.
    """
    kind = parts.find("tasks", spec.kind)
    if kind.kind == "places":
        return _places(table, target)
    columns = task_labels(task, spec, table)
    ripe = _maturity(columns, table)
    train = (table.part == TRAIN) & (ripe >= 1).all(1)
    weight = table.weight / table.rate
    if kind.kind == "code":
        return _ripe(_codes(task, columns[0], table, np.where(train, weight, 0), target), ripe)
    if kind.kind == "tags":
        return _ripe(_tags(task, columns, table, np.where(train, weight, 0), target), ripe)
    value, seen = _floats(columns, table)
    seen = seen if spec.waits else seen & (ripe >= 1)
    _in_range(task, kind.lowest, kind.highest, columns, table, value, seen)
    if target is None:
        used = seen & train[:, None]
        weights = np.where(used, weight[:, None], 0)
        prior = (value * weights).sum(0) / np.maximum(weights.sum(0), 1e-12)
        grades = _grades(value[used]) if kind.grades else ()
        extra = (float(((value > 0) * weights).sum() / max(weights.sum(), 1e-12)),) if kind.prior_share else ()
        target = Target(tuple(columns), grades, (*(float(p) for p in prior), *extra))
    return Labels(value, seen, ripe if spec.waits and (ripe < 1).any() else None), target


def _maturity(columns: Sequence[str], table: SampleTable) -> Array:
    """(n, V) float32, 1 for what is settled."""
    settled = np.ones(len(table), np.float32)
    return np.stack([table.maturity.get(column, settled) for column in columns], 1)


def _ripe(found: tuple[Labels, Target], ripe: Array) -> tuple[Labels, Target]:
    """The same, where only settled labels are seen."""
    found[0].seen &= np.asarray(ripe >= 1).all(1, keepdims=True)
    return found


def _grades(values: Array) -> tuple[str, ...]:
    """The whole grades between the lowest and the highest label; averaged grades lie between two of them."""
    if not len(values):
        return ("0", "1")
    low, high = int(np.floor(values.min())), int(np.ceil(values.max()))
    return tuple(str(g) for g in range(low, max(high, low + 1) + 1))


def _floats(columns: Sequence[str], table: SampleTable) -> tuple[Array, Array]:
    try:
        raw = np.stack([table.labels[c].cast(pl.Float64).to_numpy() for c in columns], 1)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"samples.{table.name}: labels {', '.join(columns)} must be numbers ({error}).") from error
    seen = np.isfinite(raw)
    return np.where(seen, raw, 0).astype(np.float32), seen


def _in_range(task: str, low: float, high: float, columns: Sequence[str], table: SampleTable, value: Array, seen: Array) -> None:
    wrong = seen & ((value < low) | (value > high))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DataError(
            f"samples.{table.name}, row {row + 1}: label {columns[column]!r} is {value[row, column]:g}; task {task!r} takes values from {low:g} to {high:g}."
        )


def _codes(task: str, column: str, table: SampleTable, weight: Array, target: Target | None) -> tuple[Labels, Target]:
    """`weight` (n,) is 0 outside of training; so it is in `_tags`."""
    text = table.labels[column].cast(pl.String)
    if target is None:
        used = pl.DataFrame({"class": text, "weight": weight.astype(np.float64)}).filter(pl.Series(table.part == TRAIN)).drop_nulls()
        share = dict(used.group_by("class").agg(pl.col("weight").sum()).iter_rows())
        if not share:
            raise DataError(f"samples.{table.name}: no training row has the label {column!r} of the task {task!r}; there are no classes to tell apart.")
        classes = tuple(sorted(share, key=_natural))
        total = max(sum(share.values()), 1e-12)
        target = Target((column,), classes, tuple(share[c] / total for c in classes))
    code = text.replace_strict(list(target.classes), list(range(len(target.classes))), default=-1, return_dtype=pl.Int64)
    found = code.fill_null(-1).to_numpy()
    seen = np.zeros((len(found), 1), bool)
    seen[:, 0] = found >= 0
    return Labels(np.maximum(found, 0), seen), target


def _natural(text: str) -> tuple[float, str]:
    digits = "".join(c for c in text.split("-")[0] if c.isdigit())
    return (float(digits) + (0.5 if text.endswith("+") else 0), text) if digits else (-1.0 if text.lower().startswith("under") else float("inf"), text)


def _tags(task: str, columns: Sequence[str], table: SampleTable, weight: Array, target: Target | None) -> tuple[Labels, Target]:
    if len(columns) > 1:
        value, seen = _floats(columns, table)
        _in_range(task, 0.0, 1.0, columns, table, value, seen)
        some = np.asarray(seen.any(1))
        return Labels(value, some[:, None]), target or Target(tuple(columns), tuple(columns), _shares(value, some, weight))
    lists = table.labels[columns[0]]
    seen = lists.is_not_null().to_numpy()
    flat = lists.filter(lists.list.len() > 0).explode(empty_as_null=True, keep_nulls=True).cast(pl.String)
    owner = np.repeat(np.arange(len(lists)), lists.list.len().fill_null(0).to_numpy())
    classes = target.classes if target else tuple(sorted(vocabulary.fit(columns[0], flat.filter(pl.Series((table.part == TRAIN)[owner]))).values))
    if not classes:
        raise DataError(f"samples.{table.name}: no training row has a tag in {columns[0]!r}, the label of the task {task!r}.")
    code = flat.replace_strict(list(classes), list(range(len(classes))), default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
    value = np.zeros((len(lists), len(classes)), np.float32)
    value[owner[code >= 0], code[code >= 0]] = 1
    if target is None:
        target = Target((columns[0],), classes, _shares(value, seen, weight))
    return Labels(value, seen[:, None]), target


def _shares(value: Array, seen: Array, weight: Array) -> tuple[float, ...]:
    """(C,) weighted share of the rows seen that have each tag."""
    used = np.where(seen, weight, 0).astype(np.float64)
    return tuple(float(v) for v in used @ value / max(used.sum(), 1e-12))


def _places(table: SampleTable, target: Target | None) -> tuple[Labels, Target]:
    if table.targets is None:
        raise DataError(f"samples.{table.name}: a ranking task needs samples made by the recipe next_item, or with an item to be found in each row.")
    counts = np.diff(table.targets[0])
    return Labels(np.zeros((len(table), 0), np.float32), (counts > 0)[:, None]), target or Target(("next",))

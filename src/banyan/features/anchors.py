"""Which of a row's own numbers a count starts from: a forecast that the model corrects. Fitted on training rows and nothing else."""

from dataclasses import replace

import numpy as np
import polars as pl

from banyan import parts
from banyan.errors import ConfigError
from banyan.features.columns import Layout
from banyan.store.hints import hint
from banyan.store.samples.counts import forecasts
from banyan.store.schema import TaskSpec
from banyan.store.shop import SampleTable
from banyan.types import TRAIN, Anchor, Array, Target

FLOOR = 0.1


def anchored(task: str, spec: TaskSpec, target: Target, recipe: str | None, table: SampleTable, context: Layout) -> Target:
    """The target with its anchor, where the task's kind has the option `anchor`.

    `auto`: of a table made by the recipe counts the forecast with the least absolute error over the newer half of the training rows (in the older half
    a mean over many periods is still one over few); of other tables nothing.
    Raises ConfigError for a column that is no number of the table.
    """
    wanted = spec.options.get("anchor", "auto") if parts.find("tasks", spec.kind).anchored else "none"
    numbers = {each.name: i for i, each in enumerate(context.numbers) if each.name in table.context.columns}
    if wanted == "none":
        return target
    if wanted == "auto":
        known = forecasts(list(numbers)) if recipe == "counts" else []
        if not known:
            return target
        wanted = min(known, key=lambda name: _error(table, target, name))
    if wanted not in numbers:
        raise ConfigError(f"tasks.{task}.anchor: {wanted!r} is no number of samples.{table.name}.{hint(str(wanted), numbers)}")
    number = context.numbers[numbers[wanted]]
    return replace(target, anchor=Anchor(wanted, numbers[wanted], number.log, number.mean, number.scale, _floor(table, target)))


def _error(table: SampleTable, target: Target, name: str) -> float:
    """Mean absolute error over the newer training rows of a column as the forecast of every label; of rows without the column that of their mean."""
    said, train = _floats(table.context[name]), table.part == TRAIN
    if table.time is not None and train.any():
        train = train & (table.time >= np.median(table.time[train]))
    said = np.where(np.isfinite(said), said, target.prior[0])
    error = np.stack([np.abs(_floats(table.labels[column]) - said)[train] for column in target.names])
    return float(np.nanmean(error)) if np.isfinite(error).any() else float("inf")


def _floor(table: SampleTable, target: Target) -> float:
    """A part of the median of the training labels above 0."""
    labels = np.stack([_floats(table.labels[column])[table.part == TRAIN] for column in target.names])
    above = labels[labels > 0]  # nan is not
    return FLOOR * float(np.median(above)) if len(above) else 1.0


def _floats(column: pl.Series) -> Array:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()

"""How much a run reads: the rows that train, and how many of each table a step and an epoch take."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from banyan.errors import BanyanError
from banyan.features.step import Feeder
from banyan.store.schema import TaskSpec, Training
from banyan.training.schedule import TableMix
from banyan.types import TRAIN, Array


@dataclass
class Budget:
    """How much of each table a step and an epoch read; a task alone gets the joint model's."""

    shares: dict[str, float]  # rows a step, on average
    steps: int  # an epoch


def budget(feeder: Feeder, tasks: Mapping[str, TaskSpec], options: Training) -> Budget:
    """The mix of tables in a step, and the steps in which the largest table is read once."""
    sizes = {name: len(rows) for name, rows in training_rows(feeder, tasks).items()}
    mix = TableMix(sizes, options.batch, options.mix, options.most(sizes))
    steps = mix.steps(max(sizes, key=lambda name: sizes[name]))
    return Budget(dict(zip(mix.names, mix.shares.tolist(), strict=True)), min(steps, options.steps or steps))


def training_rows(feeder: Feeder, tasks: Mapping[str, TaskSpec]) -> dict[str, Array]:
    """Table -> rows of the training part that show a label of one of the tasks."""
    found = {}
    for name in dict.fromkeys(spec.samples for spec in tasks.values()):
        table = feeder.data.tables[name]
        seen = np.zeros(len(table), bool)
        for task, spec in tasks.items():
            if spec.samples == name:
                seen |= table.labels[task].seen.any(1)
        rows = np.flatnonzero((table.part == TRAIN) & seen)
        if not len(rows):
            mine = ", ".join(t for t, s in tasks.items() if s.samples == name)
            raise BanyanError(f"samples.{name}: no training row has a label of {mine}; look at `banyan check`.")
        found[name] = rows
    return found


def together(feeder: Feeder, rows: Mapping[str, Array]) -> dict[str, Array]:
    """Table -> the users of its rows, for tables whose rows train by whole sequences."""
    found = {}
    for name, each in rows.items():
        moment = feeder.data.tables[name].moment
        if feeder.plan.tables[name].sequences and moment is not None:
            found[name] = moment.user[each]
    return found

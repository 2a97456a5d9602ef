"""From the judged pairs of a shop to what they teach about words: which table teaches, and which rows read what."""

from collections.abc import Mapping

import numpy as np

from banyan.features import taught
from banyan.features.columns import lettered
from banyan.features.data import TableData
from banyan.features.lexicon import Letters
from banyan.features.plan import Plan
from banyan.features.stock import ITEM, Stock
from banyan.features.taught import Lessons
from banyan.types import TRAIN, Array


def learn(plan: Plan, stock: Stock, tables: Mapping[str, TableData]) -> None:
    """Fit on training rows, keep it in plan and stock, and write its figure into the tables' pairs.

    The table and task with most labels teach. Training rows of every table read what queries of other words taught, all others what all taught.
    """
    for entity, text, title in plan.words:
        key = taught.key(entity, text, title)
        column = plan.pair.index(f"{key}:{taught.FIGURES[0]}")
        sharing = [table for table in tables.values() if table.pair is not None and entity in table.entities and ITEM in table.entities]
        teachers = [found for table in sharing for found in _teachers(table, entity)]
        if not teachers:
            continue
        table, label, rows = max(teachers, key=lambda found: len(found[2]))
        left, right = Letters(*stock.entities[entity].bags[lettered(text)]), Letters(*stock.entities[ITEM].bags[lettered(title)])
        asked, item = table.entities[entity][rows].astype(np.int64), table.entities[ITEM][rows].astype(np.int64)
        whole, apart = taught.teach(left, asked, right, item, label[rows], table.weight[rows])
        plan.taught[key], stock.learned[key] = taught.plain(whole), whole
        for each in sharing:
            assert each.pair is not None
            each.pair[:, column] = _read(each, entity, left, right, whole, apart)


def _teachers(table: TableData, entity: str) -> list[tuple[TableData, Array, Array]]:
    """(The table, a task's (n,) labels, the training rows that have one) of tasks of one number a row."""
    there = (table.part == TRAIN) & (table.entities[entity] > 0) & (table.entities[ITEM] > 0)
    one = [found for found in table.labels.values() if found.value.ndim == 2 and found.value.shape[1] == 1 and found.seen.shape[1] == 1]
    return [(table, found.value[:, 0], np.flatnonzero(there & found.settled[:, 0])) for found in one]


def _read(table: TableData, entity: str, left: Letters, right: Letters, whole: Lessons, apart: list[Lessons]) -> Array:
    """(n,) the figure of every row."""
    asked, item = table.entities[entity].astype(np.int64), table.entities[ITEM].astype(np.int64)
    fold = np.where(table.part == TRAIN, taught.folds(left, asked), -1)
    found = np.zeros(len(asked), np.float32)
    for number, lessons in enumerate([*apart, whole]):
        rows = np.flatnonzero(fold == (number if number < len(apart) else -1))
        found[rows] = taught.guess(left, asked[rows], right, item[rows], lessons)[:, 0]
    return found

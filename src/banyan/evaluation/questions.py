"""Which rows a task is judged on, with everything that its metrics read. Knows no model: all models answer the same questions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from banyan import parts
from banyan.features.data import Data, TableData
from banyan.features.plan import SCENARIO
from banyan.features.stock import ITEM, USER
from banyan.store.schema import TaskSpec
from banyan.tasks import Task
from banyan.types import Array

MOST = 100_000  # rows a task is judged on, unless said otherwise
MOST_RANKED = 2_000  # rows of a ranking: each is scored against the whole catalogue


@dataclass(frozen=True)
class Question:
    """The n rows of one part that show a task's label (a seeded sample where there are too many)."""

    task: str
    table: str
    rows: Array  # (n,) row numbers in the table, rising
    value: Array  # (n, ...) labels as the task's metrics read them
    seen: Array  # (n, N) bool
    weight: Array  # (n,) the shop's weight divided by the sampling rate
    group: Array | None  # (n,) row numbers: the user of grouped figures, the query of graded lists
    owner: Array  # (n,) what bootstrap intervals draw: users where rows have one
    scenario: Array  # (n,) codes
    warm: dict[str, Array] = field(default_factory=dict)  # user, item -> (n,) int8: 1 where training knew it (or all of them), 0 where not, -1 for none

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Array) -> "Question":
        """The question on some of its rows."""
        group = None if self.group is None else self.group[places]
        cut = replace(self, rows=self.rows[places], value=self.value[places], seen=self.seen[places], weight=self.weight[places])
        warm = {name: each[places] for name, each in self.warm.items()}
        return replace(cut, group=group, owner=self.owner[places], scenario=self.scenario[places], warm=warm)


def judges(data: Data, tasks: Mapping[str, TaskSpec]) -> dict[str, Task]:
    """Each task's part, for its metrics alone; draws nothing from torch's generator."""
    with torch.random.fork_rng(devices=[]):
        return {name: parts.build("tasks", {"part": spec.kind, **spec.options}, 1, data.plan.targets[name]) for name, spec in tasks.items()}


def ask(
    data: Data, tasks: Mapping[str, TaskSpec], part: int, *, most: int | None = MOST, most_ranked: int | None = MOST_RANKED, seed: int = 0
) -> dict[str, Question]:
    """Each task's question on a part (`types.VALID`, `types.TEST`). Tasks of one table that show the same labels get the same rows."""
    found = {}
    for name, spec in tasks.items():
        table = data.tables[spec.samples]
        ranked = data.plan.tables[spec.samples].ranking
        labels = table.labels[name]
        rows = _fewer(np.flatnonzero((table.part == part) & labels.seen.any(1)), most_ranked if ranked else most, len(table), seed)
        lists = parts.find("tasks", spec.kind).grades
        found[name] = Question(
            name,
            spec.samples,
            rows,
            labels.value[rows],
            labels.seen[rows],
            table.weight[rows],
            _group(table, rows, ("query", USER) if lists else (USER, "query")),
            _owner(data, table, rows),
            table.scenario[rows],
            _warm(data, table, rows),
        )
    return found


def _warm(data: Data, table: TableData, rows: Array) -> dict[str, Array]:
    """Whether training knew the user and the item of each row; the item of a ranking is what it asks for."""
    found = {}
    for name, known in data.known.items():
        if name in table.entities:
            ids = table.entities[name][rows]
            found[name] = np.where(ids > 0, known[ids], -1).astype(np.int8)
        elif name == ITEM and table.targets is not None:
            begin, items = targets(table, rows)
            cold = np.bincount(np.repeat(np.arange(len(rows)), np.diff(begin)), ~known[items], minlength=len(rows))
            found[name] = np.where(np.diff(begin) > 0, cold == 0, -1).astype(np.int8)
    return found


def _fewer(rows: Array, most: int | None, size: int, seed: int) -> Array:
    if most is None or len(rows) <= most:
        return rows
    turn = np.random.default_rng(seed).random(size)[rows]  # one number a row of the table: the same rows for every task
    return np.sort(rows[np.argpartition(turn, most)[:most]])


def _group(table: TableData, rows: Array, wanted: tuple[str, ...]) -> Array | None:
    for name in wanted:
        if name in table.entities:
            return table.entities[name][rows].astype(np.int64)
    return None


def _owner(data: Data, table: TableData, rows: Array) -> Array:
    """Rows of one owner are not independent: users, else queries, else another entity, else a combination of categories (a series, say)."""
    entities = [name for name in (USER, "query", *(n for n in table.entities if n != ITEM), ITEM) if name in table.entities]
    if entities:
        return table.entities[entities[0]][rows].astype(np.int64)
    codes = table.context.ids[rows]
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64) if codes.shape[1] else rows


def key_columns(data: Data, table: TableData) -> Array | None:
    """(n, C) what makes the key of a table of counts: its items, its columns taken over from an entity, its scenario; None without any."""
    layout = data.plan.context.only(table.own)
    own = ([SCENARIO] if SCENARIO in data.plan.context.categories else []) + list(layout.categories)
    keyed = [i for i, name in enumerate(own) if name == SCENARIO or layout.features[name].like]
    columns = [table.context.ids[:, keyed], *(table.entities[e][:, None] for e in table.entities)]
    found = np.concatenate(columns, 1)
    return found if found.shape[1] else None


def targets(table: TableData, rows: Array) -> tuple[Array, Array]:
    """((n + 1,) offsets, item row numbers) of the items that each row of a ranking table asks for."""
    assert table.targets is not None
    offsets, items = table.targets
    counts = offsets[rows + 1] - offsets[rows]
    begin = np.concatenate([[0], np.cumsum(counts)])
    at = np.arange(begin[-1]) - np.repeat(begin[:-1] - offsets[rows], counts)
    return begin, items[at].astype(np.int64)

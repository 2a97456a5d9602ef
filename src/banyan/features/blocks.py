"""Columns of rows -> the tensors of a block, of an entity or of the context."""

from dataclasses import dataclass

import numpy as np
import torch

from banyan.features.columns import Layout, Values
from banyan.features.data import TableData
from banyan.features.distinct import Gatherer
from banyan.features.plan import SCENARIO, Plan
from banyan.types import Array, Bag, Block


@dataclass
class Cells:
    """What rows hold in the columns that hold one value each."""

    ids: Array  # (n, C) int32 categories
    numbers: Array  # (n, F) float32
    known: Array  # (n, F) bool: which numbers are there
    bins: Array  # (n, E) int32: in which bin a number lies, for those that have bins

    @classmethod
    def of(cls, values: Values, rows: Array) -> "Cells":
        """Copies of some rows."""
        return cls(values.ids[rows], values.numbers[rows], values.known[rows], values.bins[rows])


def block(layout: Layout, values: Values, rows: Array, cells: Cells, gatherer: Gatherer) -> Block:
    """The block of some rows: `cells`, and from `values` the columns of many values."""
    found = Block(len(rows), gatherer.add(cells.ids), torch.from_numpy(cells.numbers), torch.from_numpy(cells.known))
    if cells.bins.shape[1]:
        binned = np.array([bool(n.edges) for n in layout.numbers])
        found.bags["numbers"] = Bag(gatherer.add(cells.bins), torch.from_numpy(np.ascontiguousarray(cells.known[:, binned])))
    for key in (*layout.tags, *layout.texts):
        found.bags[key] = _bag(values.bags.get(key), rows, gatherer)
    for key, (_, width) in layout.dense.items():
        dense = values.dense.get(key)
        found.dense[key] = torch.zeros(len(rows), width) if dense is None else torch.from_numpy(dense[rows]).float()
    return found


def context(plan: Plan, table: TableData, rows: Array, gatherer: Gatherer, *, training: bool) -> Block:
    """The context of a table's rows; outside training, what is known in training only has its stated value."""
    layout, own = plan.context, table.context
    cells = Cells.of(own, rows)
    if table.answer is not None and not training:
        _state(layout, table, table.answer, cells)
    if own.ids.shape[1] < len(layout.categories) or own.numbers.shape[1] < len(layout.numbers):
        cells = _widened(plan, table, cells)
    return block(layout, own, rows, cells, gatherer)


def _state(layout: Layout, table: TableData, answer: Values, cells: Cells) -> None:
    """Write the stated values over those of the table."""
    stated = [key for key, f in layout.features.items() if f.training_only is not None]
    own = [key for key in layout.categories if key == SCENARIO or key in table.own]
    cells.ids[:, [i for i, key in enumerate(own) if key in stated]] = answer.ids
    mine = [n for n in layout.numbers if n.name in table.own]
    columns = [i for i, n in enumerate(mine) if n.name in stated]
    cells.numbers[:, columns], cells.known[:, columns] = answer.numbers, answer.known
    cells.bins[:, [i for i, n in enumerate(n for n in mine if n.edges) if n.name in stated]] = answer.bins


def _widened(plan: Plan, table: TableData, cells: Cells) -> Cells:
    """A table's own columns among those of all tables; what it lacks is missing."""
    layout, mine, n = plan.context, table.own, len(cells.ids)
    blank = np.array([plan.books[book].missing for book in layout.categories.values()], np.int32)
    binned = [number for number in layout.numbers if number.edges]
    shape = n, len(layout.numbers)
    wide = Cells(
        np.repeat(blank[None], n, 0),
        np.zeros(shape, np.float32),
        np.zeros(shape, bool),
        np.repeat(np.array([number.offset for number in binned], np.int32)[None], n, 0),
    )
    wide.ids[:, [i for i, key in enumerate(layout.categories) if key in mine or key == SCENARIO]] = cells.ids
    columns = [i for i, number in enumerate(layout.numbers) if number.name in mine]
    wide.numbers[:, columns], wide.known[:, columns] = cells.numbers, cells.known
    wide.bins[:, [i for i, number in enumerate(binned) if number.name in mine]] = cells.bins
    return wide


def _bag(bag: tuple[Array, Array] | None, rows: Array, gatherer: Gatherer) -> Bag:
    if bag is None or not len(bag[1]):
        return Bag(gatherer.add(np.zeros((len(rows), 1), np.int32)), torch.zeros(len(rows), 1, dtype=torch.bool))
    offsets, values = bag
    counts = offsets[rows + 1] - offsets[rows]
    place = np.arange(max(int(counts.max(initial=1)), 1))
    mask = place < counts[:, None]
    ids = values[np.where(mask, offsets[rows][:, None] + place, 0)]
    return Bag(gatherer.add(np.where(mask, ids, 0).astype(np.int32)), torch.from_numpy(mask))

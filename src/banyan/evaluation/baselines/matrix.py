"""A samples table as one matrix for trees: what the network may see of a row, in columns."""

from dataclasses import dataclass

import numpy as np

from banyan.features.columns import Layout, Values
from banyan.features.data import Data
from banyan.features.plan import SCENARIO, TIME
from banyan.types import Array

CATEGORIES = 255  # values up to which a column is one of categories; beyond, its code is a number: the rank of the value by frequency
COMPONENTS = 8  # first entries of a vector that trees get


@dataclass
class Matrix:
    """n rows by F columns; nan is missing."""

    values: Array  # (n, F) float32
    names: list[str]
    categorical: list[int]  # columns of codes


def matrix(data: Data, table: str, rows: Array) -> Matrix:
    """Categories as codes, numbers, times, first vector entries, pair features. Texts, tags and histories stay out; so do training-only features."""
    found = Matrix(np.zeros((len(rows), 0), np.float32), [], [])
    columns: list[Array] = []
    own = data.tables[table]
    for name, entity in own.entities.items():
        _source(found, columns, name, data, data.plan.entities[name], data.stock.entities[name], entity[rows])
    context = data.plan.context.only(own.own)
    if SCENARIO in data.plan.context.categories:
        context.categories = {SCENARIO: data.plan.context.categories[SCENARIO], **context.categories}
    if TIME in own.context.dense:
        context.dense = {**context.dense, TIME: data.plan.context.dense[TIME]}
    _source(found, columns, "context", data, context, own.context, rows)
    if own.pair is not None:
        found.names += data.plan.pair
        columns.append(own.pair[rows])
    if columns:
        found.values = np.concatenate(columns, 1, dtype=np.float32)
    return found


def _source(found: Matrix, columns: list[Array], source: str, data: Data, layout: Layout, values: Values, rows: Array) -> None:
    hidden = {key for key, f in layout.features.items() if f.training_only is not None}
    for i, (key, book) in enumerate(layout.categories.items()):
        if key not in hidden:
            known = data.plan.books[book]
            if len(known) <= CATEGORIES:
                found.categorical.append(len(found.names))
            found.names.append(f"{source}.{key}")
            columns.append((values.ids[rows, i] - known.offset).astype(np.float32)[:, None])
    for i, number in enumerate(layout.numbers):
        if number.name not in hidden:
            found.names.append(f"{source}.{number.name}")
            columns.append(np.where(values.known[rows, i], values.numbers[rows, i], np.nan)[:, None])
    for key in layout.dense:
        if key in values.dense and key not in hidden:
            entries = values.dense[key][rows, :COMPONENTS]
            found.names += [f"{source}.{key}[{i}]" for i in range(entries.shape[1])]
            columns.append(entries)

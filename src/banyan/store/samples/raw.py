"""What a recipe, or a table of the shop's own, hands over: labelled rows before the split.

A recipe is a module of this folder with one public function:
`make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None) -> Raw`.
It makes every row that it can; which rows train is the business of `split.py`, where a row's events end that of `__init__.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from banyan.errors import DataError
from banyan.store.schema import Feature
from banyan.types import Array


@dataclass
class Raw:
    """n labelled rows in a fixed order. Row numbers of entities as in `EntityFrame`: 0 is missing."""

    entities: dict[str, Array]  # entity -> (n,) int32 row numbers
    time: Array | None = None  # (n,) int64 microseconds, or an order; None where rows have no time
    labels: pl.DataFrame = field(default_factory=pl.DataFrame)  # one column a label, null where missing
    context: pl.DataFrame = field(default_factory=pl.DataFrame)  # one column a context feature, typed as `columns.typed` leaves it
    features: dict[str, Feature] = field(default_factory=dict)  # context feature -> its description
    scenario: Array | None = None  # (n,) int32 codes into the store's scenarios; None is unknown for all
    weight: Array | None = None  # (n,) float32; None is 1
    rate: Array | None = None  # (n,) float32 in (0, 1], the probability that the row was sampled with; None is 1
    window: int = 0  # microseconds after a row's time in which its labels are still settling
    exclude: Array | None = None  # (n,) int64 positions in the log of the labelled event, -1 for none; without a clock only
    targets: tuple[Array, Array] | None = None  # next_item: (n + 1,) int64 offsets and int32 item row numbers
    given: Array | None = None  # (n,) int8 parts that the table itself states
    file_row: Array | None = None  # (n,) int64 row of the file, from 1, for messages
    delays: dict[str, Array] = field(default_factory=dict)  # label -> (n,) int64 microseconds until it happened within the window; maturity.NEVER
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """n: as many rows as the first thing that has rows."""
        arrays = [*self.entities.values(), *(a for a in (self.time, self.file_row) if a is not None)]
        return len(arrays[0]) if arrays else len(self.labels)

    def filled(self) -> "Raw":
        """The same rows with every default written out."""
        n = len(self)
        self.scenario = np.zeros(n, np.int32) if self.scenario is None else self.scenario.astype(np.int32, copy=False)
        self.weight = np.ones(n, np.float32) if self.weight is None else self.weight.astype(np.float32, copy=False)
        self.rate = np.ones(n, np.float32) if self.rate is None else self.rate.astype(np.float32, copy=False)
        self.exclude = np.full(n, -1, np.int64) if self.exclude is None else self.exclude.astype(np.int64, copy=False)
        return self


def joined(name: str, raws: Sequence[tuple[str, Raw]]) -> Raw:
    """The rows of several files, each with what messages call it, as one table. Raises DataError where they read a column differently."""
    (first, whole), *others = raws
    for label, raw in others:
        for mine, theirs in ((whole.labels, raw.labels), (whole.context, raw.context)):
            for column, kind in mine.schema.items():
                if theirs.schema[column] != kind:
                    raise DataError(f"samples.{name}: {column} is {kind} in {first} and {theirs.schema[column]} in {label}; write it the same way in both.")
    if not others:
        return whole
    all_ = [raw for _, raw in raws]
    return replace(
        whole,
        entities={entity: np.concatenate([raw.entities[entity] for raw in all_]) for entity in whole.entities},
        time=_after([raw.time for raw in all_]),
        labels=pl.concat([raw.labels for raw in all_]),
        context=pl.concat([raw.context for raw in all_]),
        scenario=_after([raw.scenario for raw in all_]),
        weight=_after([raw.weight for raw in all_]),
        rate=_after([raw.rate for raw in all_]),
        given=_after([raw.given for raw in all_]),
        file_row=_after([raw.file_row for raw in all_]),
        notes=[note for raw in all_ for note in raw.notes],
    )


def _after(arrays: list[Array | None]) -> Array | None:
    """One after the other; None where the table has no such column."""
    there = [each for each in arrays if each is not None]
    return np.concatenate(there) if there else None

"""What a recipe, or a table of the shop's own, hands over: labelled rows before the split.

A recipe is a module of this folder with one public function:
`make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None) -> Raw`.
It makes every row that it can; which rows train is the business of `split.py`, where a row's events end that of `__init__.py`.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

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

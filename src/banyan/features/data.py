"""Everything that training, evaluation and answers read, as arrays."""

from dataclasses import dataclass, field

import numpy as np

from banyan.features.columns import Values
from banyan.features.labels import Labels
from banyan.features.plan import Plan
from banyan.features.stock import Moment, Stock
from banyan.features.stretches import Stretches
from banyan.types import Array


@dataclass
class TableData:
    """The rows of one samples table as arrays, all of length n."""

    name: str
    entities: dict[str, Array]  # int32 row numbers
    scenario: Array  # int32 codes
    part: Array  # int8
    weight: Array  # float32: the shop's weight divided by the sampling rate, mean 1 over training rows
    context: Values  # own context features only
    answer: Values | None  # one row: what training-only features are at answer time
    own: list[str]  # names of its context features
    moment: Moment | None  # None without a log or users
    pair: Array | None  # (n, P)
    labels: dict[str, Labels] = field(default_factory=dict)  # task -> labels
    targets: tuple[Array, Array] | None = None
    forecasts: dict[str, Array] = field(default_factory=dict)  # counts: inputs that forecast by themselves, in units sold, nan where missing

    def __len__(self) -> int:
        return len(self.part)

    def rows(self, part: int) -> Array:
        """Row numbers of a part of the split."""
        return np.flatnonzero(self.part == part)


@dataclass
class Data:
    """Everything that training and evaluation read."""

    plan: Plan
    stock: Stock
    tables: dict[str, TableData]
    known: dict[str, Array] = field(default_factory=dict)  # user, item -> (rows,) bool: which were there in training; empty where nobody can tell
    stretches: Stretches | None = None  # training events by themselves, where the store has auxiliary tasks
    seen: dict[str, Array] = field(default_factory=dict)  # entity -> rows that training may see, where an auxiliary task asks about it

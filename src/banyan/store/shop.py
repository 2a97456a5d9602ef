"""A store that has been read: numbered entities, a sorted log, samples with their part of the split.

Holds the containers only; `open.py` fills them.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from banyan.store.schema import Store
from banyan.store.segments import first_not_less
from banyan.types import Array


@dataclass
class EntityFrame:
    """An entity's table. Row number r >= 1 is the frame's row r - 1; row number 0 is the missing entity."""

    name: str
    frame: pl.DataFrame  # the id column under its own name (as text), then one column a feature, named as the feature
    ids: Array  # (rows,) the id of each row, as text
    valid_from: Array | None = None  # (rows,) int64 microseconds; rows sorted by id, then valid_from

    def __len__(self) -> int:
        """How many rows, the missing one counted: row numbers lie in [0, len)."""
        return len(self.ids) + 1


@dataclass
class EventLog:
    """Events sorted by user, then time, then their order in the file. An event's position is its place in these arrays."""

    start: Array  # (user rows + 1 + 1,) int64: user u's events lie at start[u]:start[u + 1]; user 0 has none
    item: Array  # (events,) int32 row numbers
    behaviour: Array  # (events,) int16 codes into `behaviours`
    time: Array  # (events,) int64 microseconds since 1970, or an order; all 0 when `clock` is "none"
    scenario: Array  # (events,) int32 codes into `scenarios`; 0 is unknown
    value: Array  # (events,) float32; nan where unknown
    behaviours: tuple[str, ...]
    scenarios: tuple[str, ...]  # scenarios[0] is ""
    clock: str  # "time", "order" or "none"

    @property
    def user(self) -> Array:
        """(events,) int32 user row number of each event."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))

    def before(self, user: Array, time: Array) -> Array:
        """(n,) int64 positions: the end of each user's events strictly earlier than `time` (all of them without a clock)."""
        start, stop = self.start[user], self.start[np.asarray(user) + 1]
        return stop.astype(np.int64) if self.clock == "none" else first_not_less(self.time, start, stop, time)


@dataclass
class SampleTable:
    """Labelled rows, n of them, in a fixed order."""

    name: str
    entities: dict[str, Array]  # entity -> (n,) int32 row numbers, 0 where missing
    time: Array | None  # (n,) int64 microseconds, or an order
    scenario: Array  # (n,) int32 codes into the store's scenarios; 0 is unknown
    context: pl.DataFrame  # one column a context feature, named as the feature
    labels: pl.DataFrame  # one column a label; null where missing; a list column for tags
    weight: Array  # (n,) float32
    rate: Array  # (n,) float32, in (0, 1]
    part: Array  # (n,) int8: TRAIN, VALID, TEST or DROPPED
    end: Array  # (n,) int64: the row's user's events lie at log.start[user]:end; -1 without a user or a log
    exclude: Array  # (n,) int64: without a clock, the position of the labelled event, left out of the row's history; else -1
    targets: tuple[Array, Array] | None = None  # next_item: (n + 1,) offsets and item row numbers
    maturity: dict[str, Array] = field(default_factory=dict)  # label -> (n,) float32 share of what happens that has by the cut; 1 in settled rows
    features: dict[str, object] = field(default_factory=dict)  # context feature -> schema Feature, those that a recipe adds included
    dropped: dict[str, int] = field(default_factory=dict)  # reason -> rows that no part got

    def __len__(self) -> int:
        return len(self.part)


@dataclass
class Shop:
    """A whole store, read and split."""

    store: Store
    entities: dict[str, EntityFrame]
    log: EventLog | None
    samples: dict[str, SampleTable]
    scenarios: tuple[str, ...]  # scenarios[0] is ""
    cut: tuple[int, int] | None = None  # int64 microseconds: training ends before cut[0], validation before cut[1]
    hidden: dict[str, set[str]] = field(default_factory=dict)  # entity -> features that are labels, or give one away: no inputs anywhere
    notes: list[str] = field(default_factory=list)  # guarantees that are lost, rows that were dropped: shown by `check` and in the model card

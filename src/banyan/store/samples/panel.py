"""A dense table of keys x periods: what was counted, from each key's first period on.

Knows nothing about samples or features of the model: arrays in, arrays out.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.schema import duration
from banyan.types import Array

DAY = 86_400_000_000  # microseconds
WEEK = 7 * DAY
MONDAY = 4 * DAY  # 1970-01-05, the first Monday since 1970
CELLS = 500_000_000  # most cells of a panel, 2 GB of float32


@dataclass(frozen=True)
class Periods:
    """Equal periods of time: number p is [start + p * length, start + (p + 1) * length), in microseconds."""

    start: int
    length: int
    whole: int  # so many periods, from 0, are over

    def number(self, time: Array) -> Array:
        """(n,) int64 number of the period that each time lies in."""
        return np.asarray((time - self.start) // self.length)

    def begin(self, number: Array) -> Array:
        """(n,) int64 microseconds at which the periods begin."""
        return np.asarray(self.start + number * self.length, np.int64)


def periods(name: str, every: str, time: Array) -> Periods:
    """The periods of a log: UTC days, weeks from Monday, or spans that end with the log's last event.

    The last day or week is whole when the log goes on in it at least until the earliest hour at which one of the eight before it ended
    (a shop that closes at six has no events at midnight). Raises ConfigError when `every` is neither day, week nor a span.
    """
    first, last = int(time.min()), int(time.max())
    if every not in ("day", "week"):
        try:
            length = duration(every)
        except ValueError as error:
            raise ConfigError(f"samples.{name}: every: {error}; or write day or week.") from error
        count = (last - first) // length + 1
        return Periods(last + 1 - count * length, length, count)
    length = DAY if every == "day" else WEEK
    offset = 0 if every == "day" else MONDAY
    start = (first - offset) // length * length + offset
    return Periods(start, length, _whole(time, start, length))


def _whole(time: Array, start: int, length: int) -> int:
    number = (time - start) // length
    count = int(number.max()) + 1
    ends = np.zeros(count, np.int64)
    np.maximum.at(ends, number, (time - start) % length)
    before = ends[max(count - 9, 0) : count - 1]
    before = before[before > 0]
    return count - int(len(before) > 0 and ends[-1] < before.min())


@dataclass
class Panel:
    """What was counted of each key in each whole period."""

    keys: pl.DataFrame  # one row a key, one column each of what makes a key
    first: Array  # (keys,) int64 the period of the key's first event
    cells: Array  # (keys, periods) float32; 0 before `first`


def fill(name: str, columns: pl.DataFrame, number: Array, value: Array, whole: int) -> Panel:
    """Sum `value` over events by key (a row of `columns`) and period. Events of a key with a null part count nowhere.

    Raises ConfigError when the panel would have more than CELLS cells.
    """
    events = columns.with_columns(_period=pl.Series(number), _value=pl.Series(value)).filter(pl.col("_period") < whole).drop_nulls(columns.columns)
    keys = events.group_by(columns.columns).agg(_first=pl.col("_period").min()).sort(columns.columns)
    if len(keys) * whole > CELLS:
        raise ConfigError(f"samples.{name}: {len(keys):,} keys x {whole:,} periods are too many; count by fewer columns, coarser ones, or longer periods.")
    cells = np.zeros(len(keys) * whole, np.float64)
    placed = events.join(keys.with_row_index("_key"), on=columns.columns, how="left", maintain_order="left")
    place = placed["_key"].to_numpy().astype(np.int64) * whole + placed["_period"].to_numpy()
    np.add.at(cells, place, placed["_value"].to_numpy())
    return Panel(keys.select(columns.columns), keys["_first"].to_numpy(), cells.reshape(len(keys), whole).astype(np.float32))


def lagged(panel: Panel, key: Array, period: Array, by: int) -> Array:
    """(n,) float32 count `by` periods before `period` (negative: after it); nan before the key's first and where no whole period is."""
    at = period - by
    known = (at >= panel.first[key]) & (at < panel.cells.shape[1])
    found: Array = np.where(known, panel.cells[key, np.clip(at, 0, panel.cells.shape[1] - 1)], np.nan)
    return found.astype(np.float32)


def rolling(panel: Panel, key: Array, period: Array, width: int) -> Array:
    """(n,) float32 mean over the last `width` periods up to `period`, those since the key's first event."""
    total = np.zeros((panel.cells.shape[0], panel.cells.shape[1] + 1))
    np.cumsum(panel.cells, axis=1, dtype=np.float64, out=total[:, 1:])
    begin = np.maximum(period + 1 - width, panel.first[key])
    mean: Array = (total[key, period + 1] - total[key, begin]) / (period + 1 - begin)
    return mean.astype(np.float32)

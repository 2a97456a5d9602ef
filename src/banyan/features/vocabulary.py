"""A vocabulary: values seen in training, each with a row of the fused embedding table."""

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from banyan.types import Array

EMPTY, UNSEEN, FIRST = 0, 1, 2  # codes of a missing value, of a value not seen in training, and of the first known one


@dataclass
class Vocabulary:
    """Codes of one kind of value. Its rows begin at `offset` in the fused table."""

    name: str
    values: list[str]
    offset: int = 0
    _lookup: pl.DataFrame | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        """Rows in the fused table: the known values, the missing one and the never-seen."""
        return len(self.values) + FIRST

    def rows(self, values: pl.Series) -> Array:
        """(n,) int32 rows of the fused table for text values; null is the missing one."""
        if self._lookup is None:
            codes = np.arange(FIRST, FIRST + len(self.values), dtype=np.int32)
            self._lookup = pl.DataFrame({"value": pl.Series(self.values, dtype=pl.String), "code": codes})
        frame = pl.DataFrame({"value": values.cast(pl.String)})
        found = frame.join(self._lookup, on="value", how="left", maintain_order="left")
        code = found.select(pl.when(pl.col("value").is_null()).then(EMPTY).otherwise(pl.col("code").fill_null(UNSEEN)).cast(pl.Int32))
        return np.asarray(code.to_series().to_numpy() + np.int32(self.offset), dtype=np.int32)

    @property
    def missing(self) -> int:
        """Row of a missing value."""
        return self.offset + EMPTY

    @property
    def unseen(self) -> int:
        """Row of a value that training never saw."""
        return self.offset + UNSEEN


def fit(name: str, values: pl.Series, least: int = 1) -> Vocabulary:
    """The values that occur at least `least` times, most frequent first, ties by value."""
    counts = (
        values.cast(pl.String)
        .drop_nulls()
        .alias("value")
        .to_frame()
        .group_by("value")
        .len()
        .filter(pl.col("len") >= least)
        .sort(["len", "value"], descending=[True, False])
    )
    return Vocabulary(name, counts["value"].to_list())


def of_counts(name: str, ids: Array, counts: Array, least: int = 1) -> Vocabulary:
    """The ids (text) whose counts add up to at least `least`, most frequent first, ties by id."""
    frame = pl.DataFrame({"value": pl.Series(ids, dtype=pl.String), "len": counts.astype(np.int64)})
    kept = frame.group_by("value").agg(pl.col("len").sum()).filter(pl.col("len") >= max(least, 1)).sort(["len", "value"], descending=[True, False])
    return Vocabulary(name, kept["value"].to_list())

"""What was known at the cut of training rows whose window was still open then, and how much of it had come by their age.

Looks at nothing after the cut: delays are those of training rows, and each is known only as far as the cut reaches.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan.errors import DataError
from banyan.store.samples.raw import Raw
from banyan.types import TRAIN, Array

NEVER = np.iinfo(np.int64).max  # the delay of what did not happen
FEWEST = 20  # positives whose window is closed, below which delays are not known well enough
DAY = 86_400_000_000


@dataclass(frozen=True)
class Delays:
    """The distribution of delays of what happens within the window."""

    at: Array  # (k,) int64 microseconds, rising
    below: Array  # (k + 1,) share of delays below at[0], ..., below at[k - 1], and 1

    def before(self, age: Array) -> Array:
        """(n,) share of delays smaller than each age."""
        return np.asarray(self.below[np.searchsorted(self.at, age, side="left")])


def estimated(delay: Array, age: Array, weight: Array) -> Delays:
    """Delays (n,) that were seen because each was smaller than its row's age (n,), in microseconds.

    Young rows show short delays only, so the plain distribution is too short. The product limit in reversed time mends that for truncation from the
    right (Lagakos, Barraj and De Gruttola, Biometrika 1988): P(D < x) = product over v >= x of 1 - n_v / R_v, n_v the weight of delays of
    v, R_v that of rows with a delay of at most v that were older than v.
    """
    at, place = np.unique(delay, return_inverse=True)
    n = np.bincount(place, weight, len(at))
    too_young = np.bincount(np.searchsorted(at, age, side="left"), weight, len(at) + 1)[: len(at)].cumsum()  # age at most v
    risk = n.cumsum() - too_young
    step = 1 - n / np.maximum(risk, n)
    return Delays(at, np.append(np.maximum.accumulate(np.cumprod(step[::-1])[::-1]), 1.0))


def settled(name: str, raw: Raw, part: Array, end: int) -> tuple[pl.DataFrame, dict[str, Array], list[str]]:
    """(labels as known at `end` in training rows, label -> (n,) float32 maturity, what to tell). Other parts' labels stay as they are.

    Raises DataError where too few windows are closed to know the delays.
    """
    assert raw.time is not None
    assert raw.weight is not None
    assert raw.rate is not None
    age = np.minimum(end - raw.time, raw.window)
    train = part == TRAIN
    is_open = train & (end - raw.time < raw.window)
    if not is_open.any():
        return raw.labels, {}, []
    maturity: dict[str, Array] = {}
    columns, median = {}, {}
    for label, delay in raw.delays.items():
        seen = train & (delay < age)
        if (closed := int(np.count_nonzero(seen & ~is_open))) < FEWEST:
            raise DataError(
                f"samples.{name}: only {closed} training rows whose window is closed have the label {label!r}, too few to learn its delays from. "
                "Leave `delayed` out (those rows are then dropped), or shorten the window."
            )
        found = estimated(delay[seen], age[seen], (raw.weight / raw.rate)[seen].astype(np.float64))
        maturity[label] = np.where(is_open, found.before(age), 1.0).astype(np.float32)
        columns[label] = np.where(is_open, delay < age, raw.labels[label].cast(pl.Float64).to_numpy()).astype(np.float32)
        median[label] = found.at[min(int(np.searchsorted(found.below, 0.5)), len(found.at) - 1)] / DAY
    said = ", ".join(f"half of {label} within {days:.3g} days" for label, days in median.items())
    note = f"samples.{name}: {int(is_open.sum()):,} training rows are kept with what was known at the cut; their window is still open ({said})."
    return raw.labels.with_columns(pl.Series(k, v, nan_to_null=True) for k, v in columns.items()), maturity, [note]

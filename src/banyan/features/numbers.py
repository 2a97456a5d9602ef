"""How a column of numbers becomes standardised ones and bins: fitted on training rows, then applied to any."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from banyan.types import Array

LARGEST = 1e100  # numbers beyond count as this one: their squares must still be numbers


@dataclass
class Number:
    """How a number becomes a standardised one and a bin."""

    name: str
    log: bool  # signed log1p before standardising, for long-tailed columns
    mean: float
    scale: float
    edges: list[float]  # inner edges of the quantile bins, after the log
    low: float  # of the training values, after the log; what lies outside counts as the nearest of them: a network does not extrapolate
    high: float  # below `low` where training had no value: then the column counts as missing
    offset: int = 0  # of its bins in the fused table

    def standard(self, values: Array) -> tuple[Array, Array]:
        """((n,) float32 standardised in [-8, 8], 0 where missing; (n,) int32 rows of the bins)."""
        known = self.known(values)
        x = np.clip(values.astype(np.float64), -LARGEST, LARGEST)
        x = np.clip(_signed_log(x) if self.log else x, self.low, max(self.high, self.low))
        bins = np.searchsorted(np.asarray(self.edges), np.where(known, x, 0.0), side="right")
        z = np.clip((np.where(known, x, self.mean) - self.mean) / self.scale, -8, 8)
        return z.astype(np.float32), (bins + self.offset).astype(np.int32)

    def known(self, values: Array) -> Array:
        """(n,) bool: which are there, in a column that training knew."""
        return np.asarray(np.isfinite(values) & (self.high >= self.low))


def fit(name: str, series: pl.Series, bins: int) -> Number:
    """Of the training values of a column, with about so many bins; none below 2."""
    x = series.cast(pl.Float64).to_numpy()
    x = np.clip(x[np.isfinite(x)], -LARGEST, LARGEST)
    if not len(x):
        return Number(name, False, 0.0, 1.0, [], 0.0, -1.0)
    log = _long_tailed(x)
    x = _signed_log(x) if log else x
    scale = float(x.std())
    return Number(name, log, float(x.mean()), scale if scale > 1e-9 else 1.0, _edges(x, bins), float(x.min()), float(x.max()))


def _edges(x: Array, bins: int) -> list[float]:
    """Inner edges of about `bins` bins: a value that fills one by itself has it to itself, the others are divided by their own quantiles.

    Most amounts are 0 (no discount, no gain, nothing bought): quantiles of all values would all be 0, and the bins would tell nothing apart.
    """
    if bins < 2:
        return []
    values, counts = np.unique(x, return_counts=True)
    if len(values) <= bins:
        return [float(v) for v in values[1:]]
    heavy = counts * bins >= len(x)
    left, others = max(bins - int(heavy.sum()), 1), np.repeat(values[~heavy], counts[~heavy])
    inner = np.quantile(others, np.arange(1, left) / left)
    own = np.flatnonzero(heavy)  # begins at the value, ends where the next one begins
    return [float(e) for e in np.unique(np.concatenate([inner, values[own], values[np.minimum(own + 1, len(values) - 1)]])) if e > values[0]]


def _long_tailed(x: Array) -> bool:
    scale = x.std()
    return bool(scale > 0 and np.mean(((x - x.mean()) / scale) ** 3) > 1.0 and np.abs(x).max() > 3)


def _signed_log(x: Array) -> Array:
    return np.sign(x) * np.log1p(np.abs(x))

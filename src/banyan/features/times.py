"""What a time says to a model: how long ago it was, and where in the day, the week and the year it lies."""

import numpy as np

from banyan.types import Array

TIME_PARTS = 7
DAY = 86_400_000_000  # microseconds


def covers_a_year(time: Array) -> bool:
    """Whether times (microseconds) span a year or nearly: without one, the season of a later row is one that training never saw."""
    return bool(len(time) and (time.max() - time.min()) / DAY >= 350)


def time_parts(time: Array, mean: float = 0.0, scale: float = 0.0, *, season: bool = True) -> Array:
    """(n, 7) float32: age (standardised days; 0 when `scale` is 0), then sine and cosine of the hour, the weekday and the day of the year.

    `time` is microseconds since 1970 (UTC); a missing one (nan) gives zeros. Without `season` the day of the year reads 0.
    """
    x = np.asarray(time, np.float64)
    days = x / DAY
    turns = np.stack([days % 1, ((days + 3) / 7) % 1, (days / 365.2425) % 1], 1) * 2 * np.pi  # 1970 began on a Thursday
    age = np.clip((days - mean) / scale, -2, 2) if scale else np.zeros_like(days)
    parts = np.stack([age, *(f(turns[:, i]) for i in range(3) for f in (np.sin, np.cos))], 1)
    parts[:, 5:] *= season
    return np.where(np.isfinite(x)[:, None], parts, 0.0).astype(np.float32)

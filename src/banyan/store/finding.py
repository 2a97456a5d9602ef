"""What `check` finds: one sentence about what stands there and one about what to do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from banyan.types import Array

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """An error spoils what is trained; a warning may; an info says what the data are."""

    severity: Severity
    where: str  # the key of store.yaml that it is about, such as samples.viewed
    found: str
    what_to_do: str = ""


def share(part: float) -> str:
    """A share for a message: 12 %, 0.3 %, or below 0.1 %."""
    percent = 100 * part
    if 0 < percent < 0.1:
        return "below 0.1 %"
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def some(rows: int, most: int, seed: int) -> Array:
    """(at most `most`,) int64 sorted row numbers below `rows`, drawn by the seed; all of them where they are few."""
    if rows <= most:
        return np.arange(rows)
    return np.unique(np.random.default_rng(seed).integers(0, rows, most))

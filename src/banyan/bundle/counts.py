"""Statistics over many users made small, and grown by new events: each (key, behaviour, snapshot) once, with how often it occurred.

A log may be cut short; what was counted over all of it is kept here.
"""

import numpy as np

from banyan.features.statistics import WINDOWS, Counts
from banyan.types import Array

Tally = tuple[Array, Array, Array]  # (n,) key * behaviours + behaviour, (n,) number of the snapshot, (n,) how often


def tally(counts: Counts) -> Tally:
    """What is counted, each code once."""
    if counts.total is None:
        code, often = np.unique(counts.sorted, return_counts=True)
    else:
        code, often = counts.sorted, np.diff(counts.total)
    key, number, often = code // counts.boundaries, code % counts.boundaries + counts.first, often.astype(np.int64)
    if counts.more is None:
        return key, number, often
    further = tally(counts.more)
    return np.concatenate([key, further[0]]), np.concatenate([number, further[1]]), np.concatenate([often, further[2]])


def of_tally(found: Tally, behaviours: int) -> Counts:
    """Counts of a tally; what stands in it twice is added up."""
    key, number, often = found
    first = int(number.min()) if len(number) else 0
    boundaries = int(number.max()) - first + 1 if len(number) else 1
    code, place = np.unique(key.astype(np.int64) * boundaries + (number - first), return_inverse=True)
    total = np.zeros(len(code) + 1, np.int64)
    np.add.at(total, place + 1, often)
    return Counts(code, behaviours, first, boundaries, np.cumsum(total))


def since(counts: Counts, snapshot: int | None) -> Counts:
    """The same answers for every snapshot from `snapshot` on (for all, where it is None), in as little room as that takes.

    A question at snapshot s looks at events before s and before s - w; what lies before the earliest of those moments may lie anywhere there.
    """
    key, number, often = tally(counts)
    if snapshot is not None:
        number = np.maximum(number, snapshot - max(WINDOWS) - 1)
    return of_tally((key, number, often), counts.behaviours)


def grown(counts: Counts, key: Array, behaviour: Array, number: Array) -> Counts:
    """Counts with new events in."""
    old = tally(counts)
    fresh = (key.astype(np.int64) * counts.behaviours + behaviour, number.astype(np.int64), np.ones(len(key), np.int64))
    both = tuple(np.concatenate([a, b]) for a, b in zip(old, fresh, strict=True))
    return of_tally((both[0], both[1], both[2]), counts.behaviours)


def widened(own: Counts, old: int, wide: int) -> Counts:
    """Counts of (user, item) pairs whose keys were user * old + item, with keys user * wide + item."""
    key, number, often = tally(own)
    both, behaviour = np.divmod(key, own.behaviours)
    user, item = np.divmod(both, old)
    return of_tally(((user * wide + item) * own.behaviours + behaviour, number, often), own.behaviours)

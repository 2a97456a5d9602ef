"""Binary search inside many sorted runs of one array, all at once."""

import numpy as np

from banyan.types import Array


def first_not_less(values: Array, start: Array, stop: Array, query: Array) -> Array:
    """(n,) int64: for each i the first position in start[i]:stop[i] whose value is >= query[i], or stop[i].

    `values` rises within each run. O(n log m) for runs of at most m values, without a loop over runs.
    """
    low, high = start.astype(np.int64), stop.astype(np.int64)
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        less = values[middle] < query[open_]
        low[open_] = np.where(less, middle + 1, low[open_])
        high[open_] = np.where(less, high[open_], middle)
        open_ = open_[low[open_] < high[open_]]
    return low

"""Ranks of targets under scores that are sparse, with an order of popularity among all other items: no row is ever scored densely."""

import numpy as np
from scipy import sparse

from banyan.types import Array


def ranks(scores: sparse.csr_array, places: Array, which: Array, begin: Array, items: Array) -> Array:
    """(n, T) float32 rank, from 1, of each row's targets among all items, nan padded.

    `scores` (n, I) are above 0 where they are stored; equal scores, and items without one, stand in the order of popularity:
    `places` (G, I) is each item's place in it, from 0, and `which` (n,) the order that a row reads. A row's targets are
    `items[begin[row]:begin[row + 1]]`. Time of the stored scores, not of rows x items.
    """
    scores.sum_duplicates()  # sorts as well
    scores.eliminate_zeros()
    count = scores.shape[1]
    start, column = scores.indptr.astype(np.int64), scores.indices.astype(np.int64)
    row = np.repeat(np.arange(len(which)), np.diff(start))
    place = places[which[row], column].astype(np.int64)
    order = np.lexsort((place, -scores.data, row))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - start[row] + 1
    owner = np.repeat(np.arange(len(which)), np.diff(begin))
    found = _stored(row * count + column, rank, owner * count + items)
    ahead = np.searchsorted(np.sort(row * count + place), owner * count + places[which[owner], items]) - start[owner]  # stored items of more popularity
    behind = np.diff(start)[owner] + places[which[owner], items] + 1 - ahead
    out = np.full((len(which), max(int(np.diff(begin).max(initial=1)), 1)), np.nan, np.float32)
    out[owner, np.arange(len(owner)) - begin[owner]] = np.where(found > 0, found, behind)
    return out


def _stored(keys: Array, rank: Array, wanted: Array) -> Array:
    """The rank of each wanted key; 0 where it is not stored. `keys` rise."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, rank[at], 0)


def order(counts: Array) -> Array:
    """(G, I) place, from 0, of each item by falling count; equals in the order of row numbers; item 0, the missing one, is last."""
    counts = np.array(counts, np.float64, ndmin=2)
    counts[:, 0] = -np.inf
    best = np.argsort(-counts, axis=1, kind="stable")
    places = np.empty(best.shape, np.int32)
    np.put_along_axis(places, best, np.arange(best.shape[1], dtype=np.int32)[None], 1)
    return places

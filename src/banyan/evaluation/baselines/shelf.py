"""Ranks of targets under scores that are sparse, with an order of popularity among all other items: no row is ever scored densely."""

import numpy as np
from scipy import sparse

from banyan.types import Array

BLOCK = 256  # rows ranked together; with them, sort keys of up to 33 million items fit 64 bits


def ranks(scores: sparse.csr_array, places: Array, which: Array, begin: Array, items: Array) -> Array:
    """(n, T) float32 rank, from 1, of each row's targets among all items, nan padded.

    `scores` (n, I) are above 0 where they are stored; equal scores, and items without one, stand in the order of popularity:
    `places` (G, I) is each item's place in it, from 0, and `which` (n,) the order that a row reads. A row's targets are
    `items[begin[row]:begin[row + 1]]`. Time of sorting the stored scores (in single precision), not of rows x items.
    """
    out = np.full((len(which), max(int(np.diff(begin).max(initial=1)), 1)), np.nan, np.float32)
    for start in range(0, len(which), BLOCK):
        rows = slice(start, min(start + BLOCK, len(which)))
        wanted = items[begin[rows.start] : begin[rows.stop]]
        owner = np.repeat(np.arange(rows.stop - start), np.diff(begin[start : rows.stop + 1]))
        found = _ranked(scores[rows], places, which[rows], owner, wanted)
        out[start + owner, np.arange(len(owner)) - (begin[start:][owner] - begin[start])] = found
    return out


def _ranked(scores: sparse.csr_array, places: Array, which: Array, owner: Array, wanted: Array) -> Array:
    """(m,) rank of item `wanted[i]` in row `owner[i]`."""
    scores.sum_duplicates()
    scores.eliminate_zeros()
    count, start = scores.shape[1], scores.indptr.astype(np.int64)
    row, column = np.repeat(np.arange(len(which)), np.diff(start)), scores.indices.astype(np.int64)
    place = places[which[row], column].astype(np.int64)
    # one whole number a score, smaller for better: row, then falling score (positive floats are ordered as their bits), then place
    keys = np.sort(_key(row, scores.data, place, count))
    at = np.searchsorted(row * count + column, owner * count + wanted)
    stored = np.zeros(len(wanted), bool)
    inside = at < len(column)
    stored[inside] = (row * count + column)[at[inside]] == (owner * count + wanted)[inside]
    mine = places[which[owner], wanted].astype(np.int64)
    score = np.zeros(len(wanted), np.float32)
    score[stored] = scores.data[at[stored]]
    better = np.searchsorted(keys, _key(owner, score, mine, count)) - start[owner]
    popular = np.searchsorted(np.sort(row * count + place), owner * count + mine) - start[owner]  # stored items of more popularity
    return np.asarray(np.where(stored, better + 1, np.diff(start)[owner] + mine + 1 - popular))


def _key(row: Array, score: Array, place: Array, count: int) -> Array:
    bits = np.int64(0x7F800000) - np.asarray(score, np.float32).view(np.int32)
    return np.asarray(((row.astype(np.uint64) << np.uint64(31)) + bits.astype(np.uint64)) * np.uint64(count) + place.astype(np.uint64))


def order(counts: Array) -> Array:
    """(G, I) place, from 0, of each item by falling count; equals in the order of row numbers; item 0, the missing one, is last."""
    counts = np.array(counts, np.float64, ndmin=2)
    counts[:, 0] = -np.inf
    best = np.argsort(-counts, axis=1, kind="stable")
    places = np.empty(best.shape, np.int32)
    np.put_along_axis(places, best, np.arange(best.shape[1], dtype=np.int32)[None], 1)
    return places

"""What the words of one text say about another: a query and a title. Pure functions on hashed n-grams; knows no table and no language."""

from collections.abc import Iterator

import numpy as np

from banyan.features.pairs import spans
from banyan.types import Array

FIGURES = ("in", "of", "cosine")  # of each pair of texts
CHUNK = 65_536  # pairs looked at together: about 100 bytes an n-gram
Bag = tuple[Array, Array, int]  # (n + 1,) offsets, grams, and the number of the first bucket: row r's grams lie at offsets[r]:offsets[r + 1]


def inverse_frequency(bag: Bag, buckets: int) -> Array:
    """(buckets,) float64: ln((1 + n) / (1 + texts that hold the gram)) + 1, so that what every title says weighs little (Sparck Jones, 1972)."""
    texts = len(bag[0]) - 1
    holding = np.bincount(_tallied(bag, np.arange(texts), buckets)[1], minlength=buckets)
    return np.asarray(np.log((1 + texts) / (1 + holding)) + 1)


def compare(left: Bag, left_rows: Array, right: Bag, right_rows: Array, weight: Array) -> Array:
    """(..., 3) float32, each in [0, 1]: share of the left text's grams that the right one has, share of the right's, cosine of their tf-idf.

    `left_rows` (B,) with `right_rows` (B,), or (B, 1) with (B, K): row numbers in the bags; shapes broadcast. `weight` (buckets,) is the
    inverse document frequency. A text without grams is like nothing: zeros. Repeated grams count once in the shares, each time in the cosine.
    """
    both = np.broadcast_arrays(left_rows, right_rows)
    a, b = (each.reshape(-1).astype(np.int64) for each in both)
    found = [_compared(left, a[chunk], right, b[chunk], weight) for chunk in _chunks(len(a))]
    return np.concatenate([np.zeros((0, len(FIGURES)), np.float32), *found]).reshape(*both[0].shape, len(FIGURES))


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, rows, CHUNK))


def _compared(left: Bag, a: Array, right: Bag, b: Array, weight: Array) -> Array:
    n, buckets = len(a), len(weight)
    (owner, gram, times), (owner_b, gram_b, times_b) = _tallied(left, a, buckets), _tallied(right, b, buckets)
    _, at, at_b = np.intersect1d(owner * buckets + gram, owner_b * buckets + gram_b, assume_unique=True, return_indices=True)

    def total(each: Array, of: Array) -> Array:
        return np.bincount(each, weights=of, minlength=n)

    shared = np.bincount(owner[at], minlength=n)
    product = total(owner[at], times[at] * times_b[at_b] * weight[gram[at]] ** 2)
    norm = np.sqrt(total(owner, (times * weight[gram]) ** 2) * total(owner_b, (times_b * weight[gram_b]) ** 2))
    sizes = np.bincount(owner, minlength=n), np.bincount(owner_b, minlength=n)
    parts = [shared / np.maximum(sizes[0], 1), shared / np.maximum(sizes[1], 1), product / np.where(norm > 0, norm, 1)]
    return np.minimum(np.stack(parts, 1), 1).astype(np.float32)


def _tallied(bag: Bag, rows: Array, buckets: int) -> tuple[Array, Array, Array]:
    """(owner, gram, times) of each distinct gram of each row; owner rises."""
    at, owner = spans(bag[0][rows], bag[0][rows + 1])
    key, times = np.unique(owner * buckets + bag[1][at] - bag[2], return_counts=True)
    return key // buckets, key % buckets, times

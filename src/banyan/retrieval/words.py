"""Items whose texts hold the words of a query: BM25 over hashed n-grams. Knows neither store nor network.

The n-grams are those of `features.words`: words, pairs of neighbours and character trigrams; of Chinese and Japanese, characters and pairs of them.
So a text needs no language, a half-typed word finds the whole one, and what is stored of an item is some numbers.
"""

from collections.abc import Sequence

import numpy as np

from banyan.features import words
from banyan.types import Array

FIRM, LENGTH = 1.2, 0.75  # k1 and b
MOST = 48  # n-grams of a query that are read


class Words:
    """An inverted index of (item, n-gram) weights.

    weight = idf * tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)),  idf = ln(1 + (n - df + 1/2) / (df + 1/2))

    (Robertson and Zaragoza, 2009, eq. 3.15; the idf is that of Lucene, which is never negative.) 8 bytes a distinct n-gram of an item.
    """

    def __init__(self, offsets: Array, grams: Array, buckets: int) -> None:
        """Item i's n-grams (in [0, buckets)) lie at offsets[i]:offsets[i + 1]."""
        self.buckets, self.items = buckets, len(offsets) - 1
        owner = np.repeat(np.arange(self.items), np.diff(offsets))
        key, often = np.unique(grams.astype(np.int64) * self.items + owner, return_counts=True)
        gram, item = np.divmod(key, max(self.items, 1))
        self.start = np.searchsorted(gram, np.arange(buckets + 1))
        holding = np.diff(self.start)
        there = max(int((np.diff(offsets) > 0).sum()), 1)
        idf = np.log1p((there - np.minimum(holding, there) + 0.5) / (holding + 0.5))
        length = np.diff(offsets)
        norm = FIRM * (1 - LENGTH + LENGTH * length / max(len(grams) / there, 1e-9))
        self.item = item.astype(np.int32)
        self.weight = (idf[gram] * often * (FIRM + 1) / (often + norm[item])).astype(np.float32)

    def scores(self, query: str) -> Array:
        """(items,) float32; 0 for an item that shares nothing with the query."""
        _, asked = words.grams([query], self.buckets, MOST)
        found = np.zeros(self.items, np.float32)
        for gram in dict.fromkeys(asked.tolist()):
            span = slice(int(self.start[gram]), int(self.start[gram + 1]))
            found[self.item[span]] += self.weight[span]
        return found


def bag(texts: Sequence[str], buckets: int) -> tuple[Array, Array]:
    """(offsets, n-grams) of texts."""
    return words.grams(list(texts), buckets)


def spread(offsets: Array, grams: Array, codes: Sequence[Array]) -> tuple[Array, Array]:
    """(offsets, n-grams) of items of which each has one text of each list of `codes` (items,), -1 for none."""
    items = len(codes[0])
    owner, found = [], []
    for code in codes:
        there = np.flatnonzero(code >= 0)
        count = offsets[code[there] + 1] - offsets[code[there]]
        first = np.repeat(offsets[code[there]] - (np.cumsum(count) - count), count)
        owner.append(np.repeat(there, count))
        found.append(grams[first + np.arange(int(count.sum()))])
    whole, of = np.concatenate(found), np.concatenate(owner)
    start = np.zeros(items + 1, np.int64)
    np.cumsum(np.bincount(of, minlength=items), out=start[1:])
    return start, whole[np.argsort(of, kind="stable")]

"""Items whose texts hold the tokens of a query: BM25 with fields over exact tokens. Knows neither store nor network.

A field is one text of the items, such as the title, or the names of their categories. Tokens are 32-bit hashes (`features.tokens`).
"""

from collections.abc import Sequence

import numpy as np

from banyan.types import Array

FIRM, LENGTH = 1.2, 0.75  # k1 and b

Field = tuple[Array, Array, float]  # (rows + 1,) offsets, the tokens, how much the field counts


class Terms:
    """An inverted index of (token, item) weights.

    weight = idf tf (k1 + 1) / (tf + k1),  tf = sum over fields of boost count / (1 - b + b length / mean length),  idf = ln(1 + (n - df + 1/2) / (df + 1/2))

    (BM25F: Robertson, Zaragoza and Taylor, 2004, with an idf that is never negative.) 8 bytes a distinct token of an item, 12 a distinct token.
    """

    def __init__(self, fields: Sequence[Field], rows: int) -> None:
        """`rows`: items, the missing one counted; fields may be of the first of them only."""
        self.rows = rows
        key, often = _summed(fields, rows)
        token, item = np.divmod(key, max(rows, 1))
        self.tokens, first, df = np.unique(token, return_index=True, return_counts=True)
        self.start = np.append(first, len(token)).astype(np.int64)
        there = max(len(np.unique(item)), 1)
        idf = np.log1p((there - np.minimum(df, there) + 0.5) / (df + 0.5))
        self.item = item.astype(np.int32)
        self.weight = (np.repeat(idf, df) * often * (FIRM + 1) / (often + FIRM)).astype(np.float32)

    @property
    def bytes(self) -> int:
        """What it holds."""
        return int(sum(each.nbytes for each in (self.tokens, self.start, self.item, self.weight)))

    def span(self, token: int) -> slice:
        """Where the items of a token stand; empty for one that no item has."""
        at = int(np.searchsorted(self.tokens, token))
        if at == len(self.tokens) or int(self.tokens[at]) != token:
            return slice(0, 0)
        return slice(int(self.start[at]), int(self.start[at + 1]))

    def often(self, token: int) -> int:
        """How many items hold a token."""
        span = self.span(token)
        return int(span.stop - span.start)

    def scores(self, asked: Sequence[tuple[int, float]]) -> Array:
        """(rows,) float32 BM25 of tokens with their weights; 0 for an item that holds none."""
        found = np.zeros(self.rows, np.float32)
        for token, weight in asked:
            span = self.span(token)
            found[self.item[span]] += self.weight[span] if weight == 1.0 else self.weight[span] * np.float32(weight)
        return found

    def held(self, tokens: Sequence[int]) -> Array:
        """Items that hold all tokens, in rising order."""
        spans = sorted((self.span(token) for token in dict.fromkeys(tokens)), key=lambda span: span.stop - span.start)
        found = self.item[spans[0]] if spans else np.zeros(0, np.int32)
        for span in spans[1:]:
            found = _both(found, self.item[span])
        return found


def _both(few: Array, many: Array) -> Array:
    """What stands in both of two rising arrays."""
    if not len(few) or not len(many):
        return few[:0]
    at = np.minimum(np.searchsorted(many, few), len(many) - 1)
    return np.asarray(few[many[at] == few])


def _summed(fields: Sequence[Field], rows: int) -> tuple[Array, Array]:
    """((p,) token * rows + item, rising and distinct; (p,) float64 counts, weighed by the fields and their lengths)."""
    keys, counts = [np.zeros(0, np.int64)], [np.zeros(0)]
    for offsets, tokens, boost in fields:
        length = np.diff(offsets)
        owner = np.repeat(np.arange(len(length)), length)
        key, often = np.unique(tokens.astype(np.int64) * rows + owner, return_counts=True)
        there = max(int((length > 0).sum()), 1)
        norm = 1 - LENGTH + LENGTH * length / max(len(tokens) / there, 1e-9)
        keys.append(key)
        counts.append(boost * often / norm[key % max(rows, 1)])
    key, back = np.unique(np.concatenate(keys), return_inverse=True)
    return key, np.bincount(back.reshape(-1), np.concatenate(counts), len(key))


def spread(offsets: Array, bag: Array, codes: Sequence[Array]) -> tuple[Array, Array]:
    """(offsets, tokens) of items of which each has one text of each list of `codes` (items,), -1 for none."""
    items = len(codes[0])
    owner, found = [], []
    for code in codes:
        there = np.flatnonzero(code >= 0)
        count = offsets[code[there] + 1] - offsets[code[there]]
        first = np.repeat(offsets[code[there]] - (np.cumsum(count) - count), count)
        owner.append(np.repeat(there, count))
        found.append(bag[first + np.arange(int(count.sum()))])
    whole, of = np.concatenate(found), np.concatenate(owner)
    start = np.zeros(items + 1, np.int64)
    np.cumsum(np.bincount(of, minlength=items), out=start[1:])
    return start, whole[np.argsort(of, kind="stable")]

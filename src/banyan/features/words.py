"""Text to hashed word and character n-grams, on whole columns; knows neither tables nor embeddings.

The hash is arithmetic on code points, so it is the same in every process, on every machine, in training and in serving.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.types import Array

CHUNK = 2_000_000  # characters hashed at a time: bounds the memory, about 60 bytes a character
SPLIT, WORD, ALONE = 0, 1, 2  # what a character is: between words, in a word, a word by itself
UNSPACED = ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: 2^64 over the golden ratio
EDGE = np.uint64(0x082EFA98EC4E6C89)  # digits of pi: where a word begins and ends
SALTS = np.array([0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0], np.uint64)  # digits of pi: words, pairs of words, trigrams


def grams(texts: pl.Series | Sequence[str | None], buckets: int, most: int = 48, letters: tuple[int, int] | None = None) -> tuple[Array, Array]:
    """Hashed n-grams of n texts: offsets (n + 1,) int64 and values int32 in [0, buckets); text i's lie at offsets[i]:offsets[i + 1].

    In this order, the first `most` of them: words, pairs of neighbouring words, character trigrams of words longer than three characters. With `letters`
    (shortest, longest), in place of the trigrams the shorter runs first: all runs of so many characters of words of at least two, the word's two
    edges counted as characters (Bojanowski et al., TACL 2017, sec. 3.2), but for the whole word.
    A Chinese or Japanese character, and an emoji, is a word by itself. Texts are read after NFKC and in lower case; a null or empty text
    has none. Each distinct text is hashed once. Raises ConfigError when `buckets` or `most` is below 1.
    """
    if buckets < 1 or most < 1:
        raise ConfigError(f"Hashed n-grams need at least one bucket and one n-gram a text; found buckets={buckets}, most={most}.")
    column = pl.Series("text", texts, dtype=pl.String).fill_null("")
    distinct = column.unique(maintain_order=True)
    place = column.to_frame().join(distinct.to_frame().with_row_index("place"), on="text", how="left", maintain_order="left")["place"].to_numpy()
    clean = distinct.str.normalize("NFKC").str.to_lowercase()
    sizes = 1 if letters is None else letters[1] - letters[0] + 1
    parts = [_hashed(piece, buckets, most, letters) for piece in _pieces(clean, sizes)]
    counts = np.concatenate([np.zeros(0, np.int64), *(count for count, _ in parts)])
    values = np.concatenate([np.zeros(0, np.int32), *(value for _, value in parts)])
    return _gathered(counts, values, place)


def _pieces(column: pl.Series, sizes: int) -> Iterator[pl.Series]:
    """The column in pieces of about CHUNK characters over how many sizes of runs are read."""
    number = column.str.len_chars().cast(pl.Int64).cum_sum().to_numpy() // max(CHUNK // sizes, 1)
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(column)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield column.slice(start, stop - start)


def _gathered(counts: Array, values: Array, place: Array) -> tuple[Array, Array]:
    """The grams of every row from those of the distinct texts."""
    start = np.cumsum(counts) - counts
    lengths = counts[place]
    offsets = np.zeros(len(place) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    index = np.repeat(start[place] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return offsets, values[index]


def _hashed(texts: pl.Series, buckets: int, most: int, letters: tuple[int, int] | None) -> tuple[Array, Array]:
    """Counts (n,) and grams of n normalised texts, hashed together as one array of code points."""
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "replace"), np.uint32)
    lengths = texts.str.len_chars().cast(pl.Int64).to_numpy()
    owner = np.repeat(np.arange(len(texts)), lengths + 1)[:-1]  # the line feed after a text is counted as its own
    kind = kinds(codes)
    first, last = _words(kind)
    length = last - first
    mixed = mix(codes.astype(np.uint64) + BASE)
    text = owner[first]
    words = word_hashes(mixed, first, length)
    follows = np.flatnonzero(text[1:] == text[:-1])
    pairs = words[follows] * BASE + words[follows + 1]
    whole = [(text, words), (text[follows], pairs)]
    if letters is not None:
        return _joined(len(texts), [*whole, *_runs(mixed, text, first, length, letters)], buckets, most)
    inner = np.maximum(length - 2, 0) * (length > 3)
    at = np.repeat(first - (np.cumsum(inner) - inner), inner) + np.arange(inner.sum())
    triples = (mixed[at] * BASE + mixed[at + 1]) * BASE + mixed[at + 2]
    return _joined(len(texts), [*whole, (np.repeat(text, inner), triples)], buckets, most)


def _runs(mixed: Array, text: Array, first: Array, length: Array, letters: tuple[int, int]) -> list[tuple[Array, Array]]:
    """(Text, hash) of all runs of characters of each size; words of one character have none."""
    long = np.flatnonzero(length > 1)
    text, first, edged = text[long], first[long], length[long] + 2
    begin = np.cumsum(edged) - edged  # where a word lies among all, an edge before and behind it
    codes = np.full(int(edged.sum()), EDGE)
    inside = np.repeat(begin + 1 - (np.cumsum(edged - 2) - (edged - 2)), edged - 2) + np.arange(int((edged - 2).sum()))
    codes[inside] = mixed[np.repeat(first, edged - 2) + inside - np.repeat(begin + 1, edged - 2)]
    found = []
    for size in range(letters[0], letters[1] + 1):
        count = np.where(edged > size, edged - size + 1, 0)
        at = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        hashed = np.full(len(at), size, np.uint64)
        for i in range(size):
            hashed = hashed * BASE + codes[at + i]
        found.append((np.repeat(text, count), hashed))
    return found


def _joined(n: int, runs: list[tuple[Array, Array]], buckets: int, most: int) -> tuple[Array, Array]:
    """One run of grams a text, kinds in order, cut after `most`; each kind comes sorted by text."""
    found = np.stack([np.bincount(text, minlength=n) for text, _ in runs])  # (kinds, n)
    before = np.cumsum(found, axis=0) - found
    counts = np.minimum(found.sum(axis=0), most)
    start = np.cumsum(counts) - counts
    values = np.zeros(int(counts.sum()), np.int32)
    salts = [*SALTS[:2], *[SALTS[2]] * (len(runs) - 2)]
    for (text, hashed), salt, count, ahead in zip(runs, salts, found, before, strict=True):
        rank = np.arange(len(text)) - (np.cumsum(count) - count)[text] + ahead[text]
        kept = rank < most
        values[start[text[kept]] + rank[kept]] = _bucket(mix(hashed[kept] ^ salt), buckets)
    return counts, values


def kinds(codes: Array) -> Array:
    """SPLIT, WORD or ALONE for each code point; only those that occur are looked up."""
    table = np.zeros(0x110000, np.uint8)
    present = np.zeros(0x110000, bool)
    present[codes] = True
    for code in np.flatnonzero(present).tolist():
        table[code] = _kind(code)
    return table[codes]


def _kind(code: int) -> int:
    category = unicodedata.category(chr(code))
    if any(low <= code <= high for low, high in UNSPACED) or category == "So":
        return ALONE if category[0] in "LNS" else SPLIT
    if 0xFE00 <= code <= 0xFE0F:  # variation selectors only say how an emoji is drawn
        return SPLIT
    return WORD if category[0] in "LNM" else SPLIT


def _words(kind: Array) -> tuple[Array, Array]:
    """First and one-past-last character of each word."""
    inside = kind > SPLIT
    change = (kind[1:] != kind[:-1]) | (kind[1:] == ALONE)
    edge = np.concatenate([[True], change, [True]])[: len(kind) + 1] if len(kind) else np.zeros(1, bool)
    starts = edge[:-1] & inside
    stops = edge[1:] & inside
    return np.flatnonzero(starts), np.flatnonzero(stops) + 1


def word_hashes(mixed: Array, first: Array, length: Array) -> Array:
    """sum_i mixed_i BASE^i mod 2^64 over the characters of each word."""
    if not len(first):
        return np.zeros(0, np.uint64)
    total = int(length.sum())
    within = np.arange(total) - np.repeat(np.cumsum(length) - length, length)
    powers = np.concatenate([np.ones(1, np.uint64), np.cumprod(np.full(int(length.max()), BASE), dtype=np.uint64)])
    terms = mixed[np.repeat(first, length) + within] * powers[within]
    sums: Array = np.add.reduceat(terms, np.cumsum(length) - length, dtype=np.uint64)
    return sums


def mix(x: Array) -> Array:
    """A bijection of 64 bits in which every input bit moves every output bit (the finaliser of SplitMix64; Steele et al., OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def _bucket(hashed: Array, buckets: int) -> Array:
    """The high 32 bits scaled to [0, buckets)."""
    return (((hashed >> np.uint64(32)) * np.uint64(buckets)) >> np.uint64(32)).astype(np.int32)

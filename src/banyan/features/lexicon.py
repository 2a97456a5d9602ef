"""The words of texts: letters, cut into words, numbers and units, and how rare each word is in a catalogue.

Knows, but for a few units, no language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from banyan.features import words
from banyan.features.pairs import spans
from banyan.types import Array

CHUNK = 4_096  # texts looked at together
LONGEST = 600  # characters of a text that are read
BUCKETS = 1 << 16  # of words, by which their rarity is kept
NUMBER, UNIT = 3, 4  # kinds of words beside those of `words`
SAME = {  # one unit, several spellings
    "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "yard": "yd", "yards": "yd", "lbs": "lb", "pound": "lb", "pounds": "lb", "ounce": "oz",
    "ounces": "oz", "gallon": "gal", "gallons": "gal", "volts": "volt", "v": "volt", "amps": "amp", "watts": "watt", "w": "watt", "square": "sq",
    "cubic": "cu", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "grams": "g", "gram": "g", "kilogram": "kg", "kilograms": "kg", "liter": "l",
    "liters": "l", "litre": "l", "litres": "l", "厘": "cm", "米": "m", "升": "l", "克": "g", "斤": "kg", "寸": "in",
}  # fmt: skip
UNITS = sorted({*SAME.values(), "mm", "ml", "kw", "hp", "btu", "gpm", "mah"})
MARKS = {"''": " in ", '"': " in ", "”": " in ", "″": " in ", "′": " ft "}


class Letters(NamedTuple):
    """Texts as code points: text i's stand at offsets[i]:offsets[i + 1]. They are kept negative, so that nobody takes one for the row of an embedding."""

    offsets: Array  # (n + 1,) int64
    codes: Array  # int32, ~code


@dataclass(frozen=True)
class Lexicon:
    """What a catalogue says about words: how rare each is, and how many a text has."""

    idf: Array  # (BUCKETS,) float64
    length: float


@dataclass(frozen=True)
class Words:
    """The words of m texts."""

    offsets: Array  # (m + 1,) text i's words are offsets[i]:offsets[i + 1]
    hash: Array  # (w,) uint64
    kind: Array  # (w,) ALONE, WORD, NUMBER or UNIT
    first: Array  # (w,) of its letters
    length: Array  # (w,)
    codes: Array  # letters of all texts
    owner: Array  # of each letter, its text
    inside: Array  # whether the letter belongs to a word

    @property
    def idf_place(self) -> Array:
        """(w,) bucket of each word."""
        return np.asarray(words.mix(self.hash) >> np.uint64(48)).astype(np.int64)


def letters(texts: pl.Series) -> Letters:
    """The texts after NFKC and in lower case, cut at 600 characters; a null has none."""
    clean = texts.cast(pl.String).fill_null("").str.normalize("NFKC").str.to_lowercase().str.replace_many(MARKS).str.slice(0, LONGEST)
    parts = [np.frombuffer("".join(clean.slice(a, 65_536)).encode("utf-32-le", "replace"), np.int32) for a in range(0, len(clean), 65_536)]
    offsets = np.concatenate([np.zeros(1, np.int64), clean.str.len_chars().cast(pl.Int64).to_numpy().cumsum()])
    return Letters(offsets, ~np.concatenate([np.zeros(0, np.int32), *parts]))


def lexicon(text: Letters) -> Lexicon:
    """Rarity ln((1 + n) / (1 + texts that hold the word)) of words in n texts (Sparck Jones, 1972), and the mean number of words of a text."""
    n = len(text.offsets) - 1
    holding, total = np.zeros(BUCKETS, np.int64), 0
    for start in range(0, n, CHUNK):
        found = split(text, np.arange(start, min(start + CHUNK, n)))
        owner = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
        holding += np.bincount(np.unique(owner * BUCKETS + found.idf_place) % BUCKETS, minlength=BUCKETS)
        total += len(owner)
    return Lexicon(np.log((1 + n) / (1 + holding)), max(total / max(n, 1), 1.0))


def plain(known: Lexicon) -> dict[str, Any]:
    """A lexicon as JSON-able values: the rarity of the words that the texts hold; that of any other is `most`."""
    most = float(known.idf.max())
    held = np.flatnonzero(known.idf < most)
    return {"bucket": held.tolist(), "idf": np.round(known.idf[held], 4).tolist(), "most": round(most, 4), "length": round(known.length, 4)}


def restored(found: Mapping[str, Any]) -> Lexicon:
    """The lexicon that `plain` wrote."""
    idf = np.full(BUCKETS, float(found["most"]))
    idf[np.asarray(found["bucket"], np.int64)] = found["idf"]
    return Lexicon(idf, float(found["length"]))


def split(text: Letters, rows: Array) -> Words:
    """The words of some texts. A number is a word by itself, with the points and strokes inside of it."""
    at, owner = spans(text.offsets[rows], text.offsets[rows + 1])
    codes = ~text.codes[at]
    kind = words.kinds(codes.astype(np.uint32)).astype(np.int8)
    digit = (codes >= 48) & (codes <= 57)
    kind[digit] = NUMBER
    same = owner[1:] == owner[:-1]
    point = np.flatnonzero(((codes == 46) | (codes == 47))[1:-1] & digit[:-2] & digit[2:] & same[:-1] & same[1:]) + 1
    kind[point] = NUMBER
    inside = kind > words.SPLIT
    edge = np.ones(len(codes) + 1, bool)
    edge[1:-1] = (kind[1:] != kind[:-1]) | ~same | (kind[1:] == words.ALONE)
    first, last = np.flatnonzero(edge[:-1] & inside), np.flatnonzero(edge[1:] & inside) + 1
    hashed = words.word_hashes(words.mix(codes.astype(np.uint64) + words.BASE), first, last - first)
    place = np.minimum(np.searchsorted(_SPELLINGS[0], hashed), len(_SPELLINGS[0]) - 1)
    hashed = np.where(_SPELLINGS[0][place] == hashed, _SPELLINGS[1][place], hashed)
    kinds = np.where(np.isin(hashed, _UNITS), UNIT, kind[first])
    counts = np.bincount(owner[first], minlength=len(rows))
    return Words(np.concatenate([[0], np.cumsum(counts)]), hashed, kinds, first, last - first, codes, owner, inside)


def hashes(each: list[str]) -> Array:
    """(w,) uint64 of words, as `split` has them."""
    codes = np.frombuffer("".join(each).encode("utf-32-le"), np.uint32)
    length = np.array([len(word) for word in each])
    return words.word_hashes(words.mix(codes.astype(np.uint64) + words.BASE), np.cumsum(length) - length, length)


def _spellings() -> tuple[Array, Array]:
    """(hashes of spellings, rising; the hash of what each stands for)."""
    found = hashes(list(SAME))
    order = np.argsort(found)
    return found[order], hashes(list(SAME.values()))[order]


_SPELLINGS, _UNITS = _spellings(), hashes(UNITS)

"""How the words of one text are met by those of another: exactly, nearly, in order, at its head, with their numbers and units.

Pure functions on letters, vectorised over pairs of texts; knows no table and, but for a few units and prepositions, no language.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from banyan.features import words
from banyan.features.pairs import spans
from banyan.types import Array

# Of each pair of texts (left, such as a query, and right, such as a title), each about 0 to 1. "Met" is how alike the nearest word of the right text is.
FIGURES = (
    "words", "right_words",  # how many
    "met", "met_exact", "met_half", "met_least",  # of the left words: the mean, the share found as they are, the share found half alike, the worst one
    "met_idf", "exact_idf", "lost_idf", "lost_most", "lost",  # weighed by rarity; what is not found: its rarity, that of the rarest such word, the number
    "rare_met", "rare_idf", "mean_idf", "last_idf", "last_idf_lost",  # the rarest word, and the last
    "first_met", "last_met", "last_place", "place", "noun_met", "noun_place",  # the last word that is no number and no unit says what is wanted
    "covered", "covered_idf", "right_first", "right_last", "right_head", "right_neck", "beyond_head",  # of the right; its head stands before with, in
    "order", "adjacent",  # neighbouring left words found in the same order, and side by side
    "numbers", "numbers_met", "right_numbers", "units", "units_met",
    "letters3", "letters5",  # share of the left text's runs of letters, without spaces, that the right one has: door stop and doorstop
    "bm25",
)  # fmt: skip
CHUNK = 4_096  # pairs looked at together: about 5 KB each
LONGEST = 600  # characters of a text that are read
BUCKETS = 1 << 16  # of words, by which their rarity is kept
NUMBER, UNIT = 3, 4  # kinds of words beside those of `words`
HALF = 0.5
K1, B = 1.2, 0.75  # of BM25
SAME = {  # one unit, several spellings
    "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "yard": "yd", "yards": "yd", "lbs": "lb", "pound": "lb", "pounds": "lb", "ounce": "oz",
    "ounces": "oz", "gallon": "gal", "gallons": "gal", "volts": "volt", "v": "volt", "amps": "amp", "watts": "watt", "w": "watt", "square": "sq",
    "cubic": "cu", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "grams": "g", "gram": "g", "kilogram": "kg", "kilograms": "kg", "liter": "l",
    "liters": "l", "litre": "l", "litres": "l", "厘": "cm", "米": "m", "升": "l", "克": "g", "斤": "kg", "寸": "in",
}  # fmt: skip
UNITS = sorted({*SAME.values(), "mm", "ml", "kw", "hp", "btu", "gpm", "mah"})
PREPOSITIONS = ("with", "for", "in", "and", "by", "of", "from")
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


def letters(texts: pl.Series) -> Letters:
    """The texts after NFKC and in lower case, cut at 600 characters; a null has none."""
    clean = texts.cast(pl.String).fill_null("").str.normalize("NFKC").str.to_lowercase().str.replace_many(MARKS).str.slice(0, LONGEST)
    parts = [np.frombuffer("".join(clean.slice(a, 65_536)).encode("utf-32-le", "replace"), np.int32) for a in range(0, len(clean), 65_536)]
    offsets = np.concatenate([np.zeros(1, np.int64), clean.str.len_chars().cast(pl.Int64).to_numpy().cumsum()])
    return Letters(offsets, ~np.concatenate([np.zeros(0, np.int32), *parts]))


@dataclass(frozen=True)
class _Words:
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
        return np.asarray(words._mix(self.hash) >> np.uint64(48)).astype(np.int64)


def _split(text: Letters, rows: Array) -> _Words:
    """The words of some texts. A number is a word by itself, with the points and strokes inside of it."""
    at, owner = spans(text.offsets[rows], text.offsets[rows + 1])
    codes = ~text.codes[at]
    kind = words._kinds(codes.astype(np.uint32)).astype(np.int8)
    digit = (codes >= 48) & (codes <= 57)
    kind[digit] = NUMBER
    same = owner[1:] == owner[:-1]
    point = np.flatnonzero(((codes == 46) | (codes == 47))[1:-1] & digit[:-2] & digit[2:] & same[:-1] & same[1:]) + 1
    kind[point] = NUMBER
    inside = kind > words.SPLIT
    edge = np.ones(len(codes) + 1, bool)
    edge[1:-1] = (kind[1:] != kind[:-1]) | ~same | (kind[1:] == words.ALONE)
    first, last = np.flatnonzero(edge[:-1] & inside), np.flatnonzero(edge[1:] & inside) + 1
    hashed = words._word_hashes(words._mix(codes.astype(np.uint64) + words.BASE), first, last - first)
    place = np.minimum(np.searchsorted(_SPELLINGS[0], hashed), len(_SPELLINGS[0]) - 1)
    hashed = np.where(_SPELLINGS[0][place] == hashed, _SPELLINGS[1][place], hashed)
    kinds = np.where(np.isin(hashed, _UNITS), UNIT, kind[first])
    counts = np.bincount(owner[first], minlength=len(rows))
    return _Words(np.concatenate([[0], np.cumsum(counts)]), hashed, kinds, first, last - first, codes, owner, inside)


def _hashes(each: list[str]) -> Array:
    codes = np.frombuffer("".join(each).encode("utf-32-le"), np.uint32)
    length = np.array([len(word) for word in each])
    return words._word_hashes(words._mix(codes.astype(np.uint64) + words.BASE), np.cumsum(length) - length, length)


def _spellings() -> tuple[Array, Array]:
    """(hashes of spellings, rising; the hash of what each stands for)."""
    found = _hashes(list(SAME))
    order = np.argsort(found)
    return found[order], _hashes(list(SAME.values()))[order]


_SPELLINGS, _UNITS, _HEADS = _spellings(), _hashes(UNITS), _hashes(list(PREPOSITIONS))


def lexicon(text: Letters) -> Lexicon:
    """Rarity ln((1 + n) / (1 + texts that hold the word)) of words in n texts (Sparck Jones, 1972), and the mean number of words of a text."""
    n = len(text.offsets) - 1
    holding, total = np.zeros(BUCKETS, np.int64), 0
    for start in range(0, n, CHUNK):
        found = _split(text, np.arange(start, min(start + CHUNK, n)))
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


def match(left: Letters, left_rows: Array, right: Letters, right_rows: Array, known: Lexicon) -> Array:
    """(n, figures) float32 of n pairs of texts; `left_rows`, `right_rows` (n,). Where the left text has no words all are 0."""
    found = [_matched(left, left_rows[each], right, right_rows[each], known) for each in _chunks(len(left_rows))]
    return np.concatenate([np.zeros((0, len(FIGURES)), np.float32), *found])


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, rows, CHUNK))


@dataclass(frozen=True)
class _Met:
    """Every left word of every pair of a chunk, and what of the right text is nearest."""

    row: Array  # (q,) its pair
    word: Array  # (q,) its place among the left words
    place: Array  # (q,) in its text
    last: Array  # (q,) whether it is the last one
    alike: Array  # (q,) of the nearest right word, 0 to 1
    times: Array  # (q,) how often the right text has it as it is
    at: Array  # (q,) place of the nearest right word in its text; -1 for none


def _matched(left: Letters, a: Array, right: Letters, b: Array, known: Lexicon) -> Array:
    (some_left, i), (some_right, j) = np.unique(a, return_inverse=True), np.unique(b, return_inverse=True)
    q, t = _split(left, some_left), _split(right, some_right)
    n, sizes = len(a), (np.diff(q.offsets)[i], np.diff(t.offsets)[j])
    at_q, row = spans(q.offsets[i], q.offsets[i + 1])
    at_t, entry = spans(t.offsets[j][row], t.offsets[j + 1][row])
    alike = _alike(q, t, at_q[entry], at_t)
    place_t = at_t - t.offsets[j][row][entry]
    met = _nearest(q.offsets[i], sizes[0], at_q, row, entry, alike, place_t)
    first = t.offsets[j]
    covered = np.zeros(int(sizes[1].sum()), np.float32)  # of every right word of every pair, how alike the nearest left word is
    begin = np.cumsum(sizes[1]) - sizes[1]
    np.maximum.at(covered, begin[row][entry] + place_t, alike)
    figures = {**_left(q, met, n, sizes, known), **_right(t, first, covered, begin, met, sizes, n, known), **_runs(q, i, t, j, n)}
    return np.stack([np.where(sizes[0] > 0, figures[name], 0.0).astype(np.float32) for name in FIGURES], 1)


def _alike(q: _Words, t: _Words, a: Array, b: Array) -> Array:
    """How alike word a of the left and word b of the right are: 1 for the same, the mean Dice coefficient of their pairs and triples of letters else."""
    (lexis_q, in_q), (lexis_t, in_t) = (np.unique(each.hash, return_index=True, return_inverse=True)[1:] for each in (q, t))
    pairs, back = np.unique(in_q[a] * len(lexis_t) + in_t[b], return_inverse=True)
    u, v = lexis_q[pairs // max(len(lexis_t), 1)], lexis_t[pairs % max(len(lexis_t), 1)]
    same = q.hash[u] == t.hash[v]
    wordy = (q.kind[u] == words.WORD) & (t.kind[v] == words.WORD)
    signs_q, signs_t = _signs(q, lexis_q), _signs(t, lexis_t)
    found = np.zeros(len(pairs), np.float32)
    for x, y in zip(signs_q, signs_t, strict=True):
        x, y = x[pairs // max(len(lexis_t), 1)], y[pairs % max(len(lexis_t), 1)]
        both = np.bitwise_count(x & y).sum(1)
        found += both / np.maximum(np.bitwise_count(x).sum(1) + np.bitwise_count(y).sum(1), 1)
    alike: Array = np.where(same, 1.0, np.where(wordy, np.minimum(found, 0.99), 0.0)).astype(np.float32)[back.reshape(-1)]
    return alike


def _signs(text: _Words, chosen: Array) -> tuple[Array, Array]:
    """(m, 4) uint64 twice: 256 bits in which the pairs, then the triples, of each chosen word's letters are set, its ends among them."""
    length = text.length[chosen]
    at, owner = spans(np.zeros(len(chosen), np.int64), length + 2)
    inner = text.first[chosen][owner] + at - 1
    outer = (at == 0) | (at == length[owner] + 1)
    codes = np.where(outer, 32, text.codes[np.clip(inner, 0, max(len(text.codes) - 1, 0))] if len(text.codes) else 32).astype(np.uint64)
    return _bits(codes, owner, length + 2, 2), _bits(codes, owner, length + 2, 3)


def _bits(codes: Array, owner: Array, length: Array, run: int) -> Array:
    start = np.cumsum(length) - length
    at, of = spans(start, start + np.maximum(length - run + 1, 0))
    hashed = np.zeros(len(at), np.uint64)
    for step in range(run):
        hashed = hashed * words.BASE + codes[at + step]
    bit = (words._mix(hashed) >> np.uint64(56)).astype(np.int64)
    found = np.zeros((len(length), 4), np.uint64)
    np.bitwise_or.at(found, (of, bit // 64), np.uint64(1) << (bit % 64).astype(np.uint64))
    return found


def _nearest(start: Array, size: Array, at_q: Array, row: Array, entry: Array, alike: Array, place: Array) -> _Met:
    count = np.bincount(entry, minlength=len(at_q))
    begin, some = np.cumsum(count) - count, count > 0
    best, times, at = np.zeros(len(at_q), np.float32), np.zeros(len(at_q), np.int64), np.full(len(at_q), -1, np.int64)
    if some.any():
        best[some] = np.maximum.reduceat(alike, begin[some])
        times[some] = np.add.reduceat((alike >= 1).astype(np.int64), begin[some])
        at[some] = np.maximum.reduceat(np.where(alike >= best[entry], place, -1), begin[some])
    mine = at_q - start[row]
    return _Met(row, at_q, mine, mine == size[row] - 1, best, times, np.where(best > 0, at, -1))


def _left(q: _Words, met: _Met, n: int, sizes: tuple[Array, Array], known: Lexicon) -> dict[str, Array]:
    """What became of the left words."""
    alike, found, exact = met.alike, met.alike >= HALF, met.times > 0
    idf, kind = known.idf[q.idf_place[met.word]], q.kind[met.word]
    number, unit = kind == NUMBER, kind == UNIT

    def total(values: Array) -> Array:
        return np.bincount(met.row, weights=values, minlength=n)

    def most(values: Array, least: float = 0.0) -> Array:
        kept = np.full(n, least)
        np.maximum.at(kept, met.row, values)
        return kept

    count, rarity = np.maximum(sizes[0], 1), np.maximum(total(idf), 1e-9)
    rarest = most(idf)
    rare = idf >= rarest[met.row] - 1e-9
    noun = met.place == most(np.where(number | unit, -1, met.place), -1.0)[met.row]
    spot = np.where(found, (met.at + 1) / np.maximum(sizes[1][met.row], 1), 0)  # 1 for the last right word
    followed = np.flatnonzero(~met.last)
    step = np.zeros(len(alike), np.int64)
    step[followed] = np.where(found[followed] & found[followed + 1], met.at[followed + 1] - met.at[followed], 0) if len(followed) else 0
    pairs = np.maximum(sizes[0] - 1, 1)
    saturated = met.times * (K1 + 1) / (met.times + K1 * (1 - B + B * sizes[1][met.row] / known.length))
    return {
        "words": np.log1p(sizes[0]) / 3,
        "right_words": np.log1p(sizes[1]) / 3,
        "met": total(alike) / count,
        "met_exact": total(exact) / count,
        "met_half": total(found) / count,
        "met_least": 1 - most(1 - alike),
        "met_idf": total(alike * idf) / rarity,
        "exact_idf": total(exact * idf) / rarity,
        "lost_idf": total(~found * idf) / 20,
        "lost_most": most((1 - alike) * idf) / 10,
        "lost": np.log1p(total(~found)) / 2,
        "rare_met": total(alike * rare) / np.maximum(total(rare), 1),
        "rare_idf": rarest / 10,
        "mean_idf": total(idf) / count / 10,
        "last_idf": total(idf * met.last) / 10,
        "last_idf_lost": total(idf * met.last * (1 - alike)) / 10,
        "first_met": total(alike * (met.place == 0)),
        "last_met": total(alike * met.last),
        "last_place": total(spot * met.last),
        "place": total(spot) / np.maximum(total(found), 1),
        "noun_met": total(alike * noun),
        "noun_place": total(spot * noun),
        "order": total(step > 0) / pairs,
        "adjacent": total(step == 1) / pairs,
        "numbers": np.log1p(total(number)) / 2,
        "numbers_met": total(number & exact) / np.maximum(total(number), 1),
        "units": np.log1p(total(unit)) / 2,
        "units_met": total(unit & exact) / np.maximum(total(unit), 1),
        "bm25": total(idf * saturated) / 20,
    }


def _right(t: _Words, first: Array, covered: Array, begin: Array, met: _Met, sizes: tuple[Array, Array], n: int, known: Lexicon) -> dict[str, Array]:
    """How much of the right text the left one asked for. Its head is the last word before a preposition; what follows is an extra."""
    size = sizes[1]
    at, row = spans(first, first + size)
    idf, number = known.idf[t.idf_place], t.kind == NUMBER
    after_number = np.concatenate([[False], number[:-1]]) if len(number) else number
    stops = np.isin(t.hash, _HEADS) & ~after_number  # 5 in. is a length
    where = at - first[row]
    head = size - 1
    np.minimum.at(head, row, np.where(stops[at] & (where > 0), where - 1, head[row]))

    def total(values: Array) -> Array:
        return np.bincount(row, weights=values, minlength=n)

    def of(place: Array) -> Array:
        there = (size > 0) & (place >= 0)
        return np.where(there, covered[np.where(there, begin + place, 0)], 0) if len(covered) else np.zeros(n)

    beyond = (met.alike >= HALF) & (met.at > head[met.row])
    return {
        "covered": total(covered) / np.maximum(size, 1),
        "covered_idf": total(covered * idf[at]) / np.maximum(total(idf[at]), 1e-9),
        "right_first": of(np.zeros(n, np.int64)),
        "right_last": of(size - 1),
        "right_head": of(head),
        "right_neck": np.maximum(of(head), of(head - 1)),
        "beyond_head": np.bincount(met.row, weights=beyond, minlength=n) / np.maximum(sizes[0], 1),
        "right_numbers": np.log1p(total(number[at])) / 3,
    }


def _runs(q: _Words, i: Array, t: _Words, j: Array, n: int) -> dict[str, Array]:
    """Shares of the left text's runs of 3 and of 5 letters that the right one holds, read without what lies between words."""
    found = {}
    for run in (3, 5):
        (start_q, runs_q), (start_t, runs_t) = _run_bag(q, run), _run_bag(t, run)
        at_q, row = spans(start_q[i], start_q[i + 1])
        at_t, row_t = spans(start_t[j], start_t[j + 1])
        mine, theirs = row * (1 << 32) + runs_q[at_q], row_t * (1 << 32) + runs_t[at_t]
        shared = np.bincount(row, weights=np.isin(mine, theirs), minlength=n)
        found[f"letters{run}"] = shared / np.maximum(start_q[i + 1] - start_q[i], 1)
    return found


def _run_bag(text: _Words, run: int) -> tuple[Array, Array]:
    """Offsets and 32-bit hashes of the distinct runs of letters of each text."""
    codes, owner = text.codes[text.inside].astype(np.uint64), text.owner[text.inside].astype(np.int64)
    texts = len(text.offsets) - 1
    if len(codes) < run:
        return np.zeros(texts + 1, np.int64), np.zeros(0, np.int64)
    hashed = np.zeros(len(codes) - run + 1, np.uint64)
    for step in range(run):
        hashed = hashed * words.BASE + codes[step : len(codes) - run + 1 + step]
    whole = owner[: len(hashed)] == owner[run - 1 :]
    key = np.unique(owner[: len(hashed)][whole] * (1 << 32) + (words._mix(hashed[whole]) >> np.uint64(32)).astype(np.int64))
    counts = np.bincount(key >> 32, minlength=texts)
    return np.concatenate([[0], np.cumsum(counts)]), key & 0xFFFFFFFF

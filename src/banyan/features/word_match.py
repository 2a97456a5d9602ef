"""How the words of one text are met by those of another: exactly, nearly, in order, at its head, with their numbers and units.

Pure functions on letters, vectorised over pairs of texts; knows no table and, but for a few prepositions, no language.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from banyan.features import alike as letterwise
from banyan.features.lexicon import NUMBER, UNIT, Letters, Lexicon, Words, hashes, split
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
HALF = 0.5
K1, B = 1.2, 0.75  # of BM25
PREPOSITIONS = ("with", "for", "in", "and", "by", "of", "from")
_HEADS = hashes(list(PREPOSITIONS))


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
    q, t = split(left, some_left), split(right, some_right)
    n, sizes = len(a), (np.diff(q.offsets)[i], np.diff(t.offsets)[j])
    at_q, row = spans(q.offsets[i], q.offsets[i + 1])
    at_t, entry = spans(t.offsets[j][row], t.offsets[j + 1][row])
    alike = letterwise.alike(q, t, at_q[entry], at_t)
    place_t = at_t - t.offsets[j][row][entry]
    met = _nearest(q.offsets[i], sizes[0], at_q, row, entry, alike, place_t)
    first = t.offsets[j]
    covered = np.zeros(int(sizes[1].sum()), np.float32)  # of every right word of every pair, how alike the nearest left word is
    begin = np.cumsum(sizes[1]) - sizes[1]
    np.maximum.at(covered, begin[row][entry] + place_t, alike)
    figures = {**_left(q, met, n, sizes, known), **_right(t, first, covered, begin, met, sizes, n, known), **letterwise.runs(q, i, t, j, n)}
    return np.stack([np.where(sizes[0] > 0, figures[name], 0.0).astype(np.float32) for name in FIGURES], 1)


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


def _left(q: Words, met: _Met, n: int, sizes: tuple[Array, Array], known: Lexicon) -> dict[str, Array]:
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


def _right(t: Words, first: Array, covered: Array, begin: Array, met: _Met, sizes: tuple[Array, Array], n: int, known: Lexicon) -> dict[str, Array]:
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

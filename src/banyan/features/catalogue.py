"""What a catalogue of texts says of a query: how well its best text answers, how many answer fully, and where one text stands among all.

A text that holds half of a query's words is a poor answer where others hold all of them, and the best there is where none does. Nothing is learned:
texts are read as their `stems`, weighed by BM25. Knows no table and no label.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from banyan.features.lexicon import Letters
from banyan.features.pairs import spans
from banyan.features.stems import tallied
from banyan.types import Array

# Of each pair of a left text (a query) and a right one (a title), each about 0 to 1.
FIGURES = (
    "said",  # BM25 of the right text
    "of_best",  # as a share of what the best text of the catalogue has
    "above",  # how many texts of the catalogue have more, on a log scale
    "best",  # what the best one has
    "answered",  # share of the left tokens that the text with most of them holds
    "full",  # how many texts hold as many of them as that one, on a log scale
)
MOST = 65_536  # texts that stand for a catalogue, evenly drawn: some 10 tokens of 8 bytes each
ASKED = 48  # tokens of a left text that are read
CELLS = 1 << 20  # scores held at once
STEPS = 1024  # a score counts in these parts of a nat, as a whole number: sums do not depend on what stands beside them
K1, B = 1.2, 0.75  # of BM25


@dataclass(frozen=True)
class Catalogue:
    """Which texts hold each token: token t's lie at start[t]:start[t + 1]."""

    token: Array  # (T,) uint32, rising
    start: Array  # (T + 1,)
    text: Array  # (p,) int32
    weight: Array  # (p,) int32, in STEPS of a nat
    idf: Array  # (T + 1,) float64 rarity; the last is that of a token which no text holds
    texts: int
    length: float  # mean number of tokens of a text

    def weighed(self, place: Array, times: Array, length: Array) -> Array:
        """(m,) int64 what tokens say of texts that hold them so many `times` and have so many in all."""
        saturated = times * (K1 + 1) / (times + K1 * (1 - B + B * length / self.length))
        return np.rint(self.idf[place] * saturated * STEPS).astype(np.int64)

    def places(self, found: Array) -> Array:
        """(m,) of tokens, their places; T for one that no text holds."""
        if not len(self.token):
            return np.zeros(len(found), np.int64)
        place = np.minimum(np.searchsorted(self.token, found), len(self.token) - 1)
        return np.where(self.token[place] == found, place, len(self.token))


def rows(count: int) -> Array:
    """Row numbers, from 1 on, of the texts that stand for a catalogue of `count`."""
    return np.unique(np.linspace(1, max(count, 1), min(count, MOST)).round().astype(np.int64))


def catalogue(text: Letters, chosen: Array) -> Catalogue:
    """The catalogue of some texts, by row number."""
    owner, found, times, length = tallied(text, chosen)
    token, place = np.unique(found, return_inverse=True)
    order = np.argsort(place, kind="stable")
    holding = np.bincount(place, minlength=len(token))
    n = len(chosen)
    idf = np.log((1 + n) / (1 + np.append(holding, 0)))
    bare = Catalogue(
        token, np.concatenate([[0], np.cumsum(holding)]), owner[order].astype(np.int32), np.zeros(0, np.int32), idf, n, max(length.mean(), 1.0) if n else 1.0
    )
    weight = bare.weighed(place[order], times[order], length[owner[order]]).astype(np.int32)
    return Catalogue(bare.token, bare.start, bare.text, weight, idf, n, bare.length)


def stands(left: Letters, left_rows: Array, right: Letters, right_rows: Array, known: Catalogue) -> Array:
    """(n, figures) float32 of n pairs of texts; `left_rows`, `right_rows` (n,). Where the left text has no token all are 0."""
    found = np.zeros((len(left_rows), len(FIGURES)), np.float32)
    asked, of = np.unique(left_rows, return_inverse=True)
    owner, token, _, _ = tallied(left, asked, ASKED)
    place, size = known.places(token), np.bincount(owner, minlength=len(asked))
    order, first = np.argsort(of, kind="stable"), np.concatenate([[0], np.cumsum(size)])
    edge = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(asked)))])
    for some in _chunks(len(asked), known.texts):
        mine = order[edge[some.start] : edge[some.stop]]
        tokens_of = slice(first[some.start], first[some.stop])
        ask = _Asked(owner[tokens_of] - some.start, place[tokens_of], token[tokens_of], size[some])
        said = _said(ask, of[mine] - some.start, right, right_rows[mine], known)
        found[mine] = _figures(ask, of[mine] - some.start, said, known)
    return found


def _chunks(count: int, texts: int) -> Iterator[slice]:
    step = max(CELLS // max(texts, 1), 1)
    return (slice(a, min(a + step, count)) for a in range(0, count, step))


@dataclass(frozen=True)
class _Asked:
    """The distinct tokens of a chunk of left texts."""

    owner: Array  # (t,) rising
    place: Array  # (t,) in the catalogue
    token: Array  # (t,)
    size: Array  # (m,) how many each text has


def _said(ask: _Asked, of: Array, right: Letters, right_rows: Array, known: Catalogue) -> Array:
    """(n,) int64 BM25 of each pair."""
    some, which = np.unique(right_rows, return_inverse=True)
    owner, token, times, length = tallied(right, some)
    key = owner * (1 << 32) + token  # rising
    first = np.cumsum(ask.size) - ask.size
    at, pair = spans(first[of], first[of] + ask.size[of])
    wanted = which[pair] * (1 << 32) + ask.token[at]
    place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    held = key[place] == wanted if len(key) else np.zeros(len(wanted), bool)
    at, pair, place = at[held], pair[held], place[held]
    total = np.zeros(len(of), np.int64)
    np.add.at(total, pair, known.weighed(ask.place[at], times[place], length[owner[place]]))
    return total


def _figures(ask: _Asked, of: Array, said: Array, known: Catalogue) -> Array:
    n = known.texts
    at, entry = spans(known.start[np.minimum(ask.place, len(known.token))], known.start[np.minimum(ask.place + 1, len(known.token))])
    cell = ask.owner[entry] * n + known.text[at]
    shape = len(ask.size), n
    held = np.bincount(cell, minlength=shape[0] * n).reshape(shape)
    scores = np.bincount(cell, weights=known.weight[at], minlength=shape[0] * n)  # whole numbers far below 2^53: exact
    most, best = held.max(1, initial=0), scores.reshape(shape).max(1, initial=0)
    full = np.where(most > 0, (held == most[:, None]).sum(1), n)
    touched = np.flatnonzero(scores)
    apart = float(best.max(initial=0)) + said.max(initial=0) + 1.0
    line = np.sort(touched // max(n, 1) * apart + scores[touched])  # each left text's scores on a stretch of their own
    last = np.cumsum(np.bincount(touched // max(n, 1), minlength=shape[0]))
    above = last[of] - np.searchsorted(line, of * apart + said, side="right")
    best = np.maximum(best[of], said)
    scale = np.log1p(max(n, 1))
    found = [
        said / STEPS / 20,
        said / np.maximum(best, 1),
        np.log1p(above) / scale,
        best / STEPS / 20,
        most[of] / np.maximum(ask.size[of], 1),
        np.log1p(full[of]) / scale,
    ]
    return np.where(ask.size[of, None] > 0, np.stack(found, 1), 0).astype(np.float32)

"""What is searched: items' texts and the names of their categories and tags, as exact tokens; the spelling of their words, and what is asked for alike.

A bundle from before texts were kept as tokens is searched by the hashed n-grams that its network reads, and mends no spelling.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from banyan.features import tokens
from banyan.features.lexis import Lexis
from banyan.features.stock import ITEM
from banyan.features.vocabulary import FIRST
from banyan.retrieval import words
from banyan.retrieval.spelling import Speller
from banyan.retrieval.terms import Terms
from banyan.retrieval.words import Words
from banyan.serving.pasts import Ground
from banyan.serving.shelf import Shelf
from banyan.types import Array

BUCKETS = 1 << 18  # of the names' n-grams, where there are no tokens
NAMES = 0.6  # how much the name of a category counts beside a title
SYNONYM = 0.5  # how much a word counts that is asked for like the one that was typed, times how alike they are


class Texts:
    """The words of a catalogue."""

    def __init__(self, ground: Ground, shelf: Shelf, alike: Sequence[Sequence[str]] = ()) -> None:
        """`alike`: groups of words that the shop itself calls the same."""
        self.rows = shelf.rows
        lexis: Lexis | None = ground.stock.lexis
        self.terms = _terms(lexis, shelf) if lexis is not None else None
        self.fields = [] if lexis is not None else _ngrams(ground, shelf)
        self.speller = Speller(lexis.words, lexis.counts) if lexis is not None else None
        self.alike = _alike(lexis, alike)

    def scores(self, query: str) -> Array:
        """(rows,) float32 BM25 of n-grams, summed over the texts; 0 where nothing is shared."""
        found = np.zeros(self.rows, np.float32)
        for field in self.fields:
            found += field.scores(query)
        return found


def _alike(lexis: Lexis | None, given: Sequence[Sequence[str]]) -> dict[str, list[tuple[str, float]]]:
    """Word (or two) -> what is asked for alike, and how much it counts."""
    found: dict[str, list[tuple[str, float]]] = {}
    for each in lexis.synonyms if lexis is not None else ():
        found.setdefault(each.word, []).append((each.other, SYNONYM * each.weight))
    for group in given:
        said = [" ".join(tokens.fold(piece.text) for piece in tokens.pieces(word)) for word in group]
        for word in said:
            found[word] = [*((other, SYNONYM) for other in said if other != word), *found.get(word, [])]
    return found


def _terms(lexis: Lexis, shelf: Shelf) -> Terms:
    fields = [(offsets, found, 1.0) for offsets, found in lexis.bags.values()]
    if (named := _named(shelf)) is not None:
        names, codes = named
        fields.append((*words.spread(*tokens.bag(pl.Series(names, dtype=pl.String)), codes), NAMES))
    return Terms(fields, shelf.rows)


def _ngrams(ground: Ground, shelf: Shelf) -> list[Words]:
    """One index for each text of the items, one for all names together."""
    values = ground.stock.entities[ITEM]
    bags = [(values.bags[key], *place) for key, place in shelf.layout.texts.items()]
    fields = [Words(offsets, grams - first, buckets) for (offsets, grams), first, buckets in bags if len(grams)]
    if (named := _named(shelf)) is not None:
        fields.append(Words(*words.spread(*words.bag(named[0], BUCKETS), named[1]), BUCKETS))
    return fields


def _named(shelf: Shelf) -> tuple[list[str], list[Array]] | None:
    """(The names of all categories, for each category every item's place among them or -1); None where items have none."""
    names: list[str] = []
    codes = []
    for code, values in shelf.categories.values():
        codes.append(np.where(code >= FIRST, code - FIRST + len(names), -1).astype(np.int64))
        names += values
    return (names, codes) if names else None

"""What is searched: items' texts and the names of their categories and tags, as exact tokens; the spelling of their words, and what is asked for alike."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from banyan.features import tokens
from banyan.features.lexis import Lexis
from banyan.features.vocabulary import FIRST
from banyan.retrieval.spelling import Speller
from banyan.retrieval.terms import Terms, spread
from banyan.serving.pasts import Ground
from banyan.serving.shelf import Shelf
from banyan.types import Array

NAMES = 0.6  # how much the name of a category counts beside a title
SYNONYM = 0.5  # how much a word counts that is asked for like the one that was typed, times how alike they are


class Texts:
    """The words of a catalogue."""

    def __init__(self, ground: Ground, shelf: Shelf, alike: Sequence[Sequence[str]] = ()) -> None:
        """`alike`: groups of words that the shop itself calls the same."""
        lexis = ground.stock.lexis or Lexis({})  # none where items have neither texts nor categories
        self.terms = _terms(lexis, shelf)
        self.speller = Speller(lexis.words, lexis.counts)
        self.alike = _alike(lexis, alike)


def _alike(lexis: Lexis, given: Sequence[Sequence[str]]) -> dict[str, list[tuple[str, float]]]:
    """Word (or two) -> what is asked for alike, and how much it counts."""
    found: dict[str, list[tuple[str, float]]] = {}
    for each in lexis.synonyms:
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
        fields.append((*spread(*tokens.bag(pl.Series(names, dtype=pl.String)), codes), NAMES))
    return Terms(fields, shelf.rows)


def _named(shelf: Shelf) -> tuple[list[str], list[Array]] | None:
    """(The names of all categories, for each category every item's place among them or -1); None where items have none."""
    names: list[str] = []
    codes = []
    for code, values in shelf.categories.values():
        codes.append(np.where(code >= FIRST, code - FIRST + len(names), -1).astype(np.int64))
        names += values
    return (names, codes) if names else None

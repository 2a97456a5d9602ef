"""What a query asks for, word by word: as it stands, half typed, misspelt, or asked for in other words. Knows neither users nor the network."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from banyan.features import tokens
from banyan.features.tokens import Piece
from banyan.retrieval.spelling import Speller
from banyan.retrieval.terms import Terms
from banyan.serving.texts import Texts
from banyan.types import Array

WORDS = 16  # of a query that are read
BEGUN = 20  # whole words that a half-typed one may stand for
SHORT = 2  # letters from which on a word may be half typed
ALONE = 0.3  # how much a single Chinese character counts beside a pair


@dataclass(frozen=True)
class Part:
    """One word of a query."""

    text: str  # as it is shown
    ways: list[list[int]]  # tokens, all of which an item holds that holds the word; one of the ways is enough
    scored: list[tuple[int, float]]  # tokens and their weights
    known: bool  # whether any item holds it


@dataclass(frozen=True)
class Wording:
    """A query, read."""

    text: str
    parts: list[Part]
    wider: list[tuple[int, float]] = field(default_factory=list)  # tokens of what is asked for alike, with lower weights
    alike: list[str] = field(default_factory=list)  # those words

    @property
    def scored(self) -> list[tuple[int, float]]:
        """All tokens of the words themselves; of one that stands twice, the larger weight."""
        found: dict[int, float] = {}
        for part in self.parts:
            for token, weight in part.scored:
                found[token] = max(weight, found.get(token, 0.0))
        return list(found.items())


def read(query: str, texts: Texts) -> Wording:
    """The words of a query, each as the catalogue knows it."""
    assert texts.speller is not None
    pieces = tokens.pieces(query)[:WORDS]
    parts = [_part(piece, texts.terms, texts.speller) for piece in pieces]
    return Wording(query.strip(), parts, *_wider(pieces, texts))


def _part(piece: Piece, terms: Terms, speller: Speller) -> Part:
    whole = _tokens(tokens.of_piece(piece))
    if piece.han:
        single = [(token, ALONE) for token in _tokens(list(dict.fromkeys(piece.text)))] if len(piece.text) > 1 else []
        return Part(piece.text, [whole], [*((token, 1.0) for token in whole), *single], bool(len(terms.held(whole))))
    if terms.often(whole[0]):
        return Part(piece.text, [whole], [(whole[0], 1.0)], True)
    begun = speller.beginning(piece.text, BEGUN) if len(piece.text) >= SHORT else []
    each = list(dict.fromkeys(_tokens([tokens.fold(word) for word in begun])))
    return Part(piece.text, [[token] for token in each], [(token, 1.0) for token in each], bool(each))


def _tokens(texts: Sequence[str]) -> list[int]:
    return [int(each) for each in tokens.hashes(texts)]


def _wider(pieces: Sequence[Piece], texts: Texts) -> tuple[list[tuple[int, float]], list[str]]:
    """What is asked for like the words of a query, and like two of them side by side."""
    said = [tokens.fold(piece.text) for piece in pieces]
    found: dict[str, float] = {}
    for word in [*said, *(f"{a} {b}" for a, b in pairwise(said))]:
        for other, weight in texts.alike.get(word, ()):
            if other not in said:
                found[other] = max(weight, found.get(other, 0.0))
    wider: dict[int, float] = {}
    for other, weight in found.items():
        for piece in tokens.pieces(other):
            for token in _tokens(tokens.of_piece(piece)):
                wider[token] = max(weight, wider.get(token, 0.0))
    return list(wider.items()), list(found)


def mended(wording: Wording, texts: Texts) -> str:
    """The query with its unknown words as they were meant; "" where none of them can be mended. What an item holds is never touched."""
    if all(part.known for part in wording.parts):
        return ""
    meant = ["" if part.known else _meant(part, texts.speller, texts.terms) for part in wording.parts]
    return " ".join(new or part.text for new, part in zip(meant, wording.parts, strict=True)) if any(meant) else ""


def _meant(part: Part, speller: Speller, terms: Terms) -> str:
    if not tokens.han(part.text[0]):
        return speller.meant(part.text)
    return speller.meant_run(part.text, [not terms.often(token) for token in _tokens(list(part.text))])


def holding(part: Part, terms: Terms) -> Array:
    """Items that hold a word, in rising order."""
    found = [terms.held(way) for way in part.ways]
    return found[0] if len(found) == 1 else np.unique(np.concatenate([np.zeros(0, np.int32), *found]))


def holding_all(wording: Wording, terms: Terms) -> Array:
    """Items that hold every word, in rising order."""
    found = sorted((holding(part, terms) for part in wording.parts), key=len)
    whole = found[0] if found else np.zeros(0, np.int32)
    for each in found[1:]:
        whole = np.intersect1d(whole, each, assume_unique=True)
    return whole

"""What the texts of a row's things say of its item: terms in common, words that match, its place in the catalogue, what judgements teach, nearness."""

from collections.abc import Mapping

import numpy as np

from banyan.features import catalogue, taught, word_match, word_pairs
from banyan.features.columns import lettered
from banyan.features.lexicon import Letters
from banyan.features.stock import ITEM, Stock
from banyan.types import Array

COMPARED = 512  # pairs of sentence vectors looked at together


def words(stock: Stock, entities: Mapping[str, Array], rows: int) -> Array:
    """(n, W) float32: what the texts of each row's things say of its item; 0 where the row has no such thing."""
    plan, found = stock.plan, []
    for entity, text, title in plan.words:
        there = entity in entities and ITEM in entities
        found.append(_shared(stock, entity, text, title, entities) if there else np.zeros((rows, len(word_pairs.FIGURES)), np.float32))
        if title in plan.lexicons:
            found.append(_matched(stock, entity, text, title, entities) if there else np.zeros((rows, len(word_match.FIGURES)), np.float32))
        if title in plan.catalogues:
            found.append(_standing(stock, entity, text, title, entities) if there else np.zeros((rows, len(catalogue.FIGURES)), np.float32))
        if taught.key(entity, text, title) in plan.taught:
            found.append(_taught(stock, entity, text, title, entities) if there else np.zeros((rows, len(taught.FIGURES)), np.float32))
    for entity, text, title in plan.near:
        there = entity in entities and ITEM in entities
        found.append(_nearness(stock, entity, text, title, entities) if there else np.zeros((rows, 1), np.float32))
    return np.concatenate([np.zeros((rows, 0), np.float32), *found], 1)


def _shared(stock: Stock, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
    left, right = _grams(stock, entity, text), _grams(stock, ITEM, title)
    return word_pairs.compare(left, entities[entity], right, entities[ITEM], np.asarray(stock.plan.idf[title]))


def _matched(stock: Stock, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
    return word_match.match(*_lettered(stock, entity, text, title, entities), stock.lexicon(title))


def _standing(stock: Stock, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
    return catalogue.stands(*_lettered(stock, entity, text, title, entities), stock.catalogue(title))


def _taught(stock: Stock, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
    return taught.guess(*_lettered(stock, entity, text, title, entities), stock.lessons(taught.key(entity, text, title)))


def _lettered(stock: Stock, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> tuple[Letters, Array, Letters, Array]:
    """The letters of both sides, and the rows of each."""
    left, right = (Letters(*stock.entities[name].bags[lettered(key)]) for name, key in ((entity, text), (ITEM, title)))
    rows = np.broadcast_arrays(entities[entity], entities[ITEM])
    return left, rows[0].astype(np.int64), right, rows[1].astype(np.int64)


def _nearness(stock: Stock, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
    """(n, 1) the cosine of two sentence vectors; 0 where one is missing."""
    left, right = stock.entities[entity].dense[text], stock.entities[ITEM].dense[title]
    rows = np.broadcast_arrays(entities[entity], entities[ITEM])
    found = [np.einsum("ne,ne->n", left[rows[0][a : a + COMPARED]], right[rows[1][a : a + COMPARED]]) for a in range(0, len(rows[0]), COMPARED)]
    return np.concatenate([np.zeros(0, np.float32), *found])[:, None].astype(np.float32)


def _grams(stock: Stock, entity: str, text: str) -> word_pairs.Bag:
    offsets, ids = stock.entities[entity].bags[text]
    return offsets, ids, stock.plan.entities[entity].texts[text][0]

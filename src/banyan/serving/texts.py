"""What is searched: items' texts as the bundle holds them, and the names of their categories and tags."""

import numpy as np

from banyan.features.stock import ITEM
from banyan.features.vocabulary import FIRST
from banyan.retrieval import words
from banyan.retrieval.words import Words
from banyan.serving.pasts import Ground
from banyan.serving.shelf import Shelf
from banyan.types import Array

BUCKETS = 1 << 18  # of the names' n-grams


class Texts:
    """One index for each text of the items, one for all names together."""

    def __init__(self, ground: Ground, shelf: Shelf) -> None:
        values = ground.stock.entities[ITEM]
        self.rows = len(values)
        bags = [(values.bags[key], *place) for key, place in shelf.layout.texts.items()]
        self.fields = [Words(offsets, grams - first, buckets) for (offsets, grams), first, buckets in bags if len(grams)]
        if named := _named(shelf):
            self.fields.append(Words(*named, BUCKETS))

    def scores(self, query: str) -> Array:
        """(rows,) float32 BM25, summed over the texts; 0 where nothing is shared."""
        found = np.zeros(self.rows, np.float32)
        for field in self.fields:
            found += field.scores(query)
        return found


def _named(shelf: Shelf) -> tuple[Array, Array] | None:
    """The n-grams of the names of each item's categories; None where items have none."""
    if not shelf.categories:
        return None
    names: list[str] = []
    codes = []
    for code, values in shelf.categories.values():
        codes.append(np.where(code >= FIRST, code - FIRST + len(names), -1).astype(np.int64))
        names += values
    return words.spread(*words.bag(names, BUCKETS), codes) if names else None

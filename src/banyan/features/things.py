"""Things that training may see, by themselves: no events, no rows, no labels. What auxiliary tasks that compare features of one thing are asked about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from banyan.features.columns import Layout, Values
from banyan.features.pairs import spans
from banyan.features.vocabulary import Vocabulary
from banyan.types import Array, Things

CHUNK = 16_384  # things of which vectors or pictures are looked at together


@runtime_checkable
class Chooser(Protocol):
    """What the feeder asks an auxiliary task for."""

    entity: str
    features: tuple[str, ...]

    def choose(self, things: Array, rng: np.random.Generator) -> Array:
        """Which of the things (n,) a step asks about; all that is random comes from `rng`."""
        ...


class Catalogue:
    """The things that training may see, and what their features say."""

    def __init__(self, seen: Mapping[str, Array], values: Mapping[str, Values], layouts: Mapping[str, Layout], books: Mapping[str, Vocabulary]) -> None:
        """`seen`: entity -> row numbers of its things that training may see."""
        self.seen, self.values, self.layouts, self.books = seen, values, layouts, books
        self._pairs: dict[tuple[str, tuple[str, ...]], Array] = {}

    def pairs(self, entity: str, features: tuple[str, ...]) -> Array:
        """(n,) row numbers of the things that training may see and that have two of the features or more; looked for once."""
        key = entity, features
        if key not in self._pairs:
            rows = self.seen.get(entity, np.zeros(0, np.int64))
            count = np.zeros(len(rows), np.int8)
            for feature in features:
                count += self.has(entity, feature, rows)
            self._pairs[key] = rows[count > 1]
        return self._pairs[key]

    def lacking(self, chooser: Chooser) -> str | None:
        """Why there is nothing to compare; None where there is."""
        found, there = len(self.pairs(chooser.entity, chooser.features)), len(self.seen.get(chooser.entity, ()))
        if found > 1:
            return None
        some = f"{found:,} of the {there:,} {chooser.entity} rows that training may see have two of {', '.join(chooser.features)}"
        return f"{some}, so there is nothing to compare. Look at `banyan check`, or name other features."

    def has(self, entity: str, feature: str, rows: Array) -> Array:
        """(n,) bool: which of the things (n,) have the feature; a category that training did not know says nothing."""
        layout, values = self.layouts[entity], self.values[entity]
        if feature in layout.categories:
            book = self.books[layout.categories[feature]]
            return ~np.isin(values.ids[rows, list(layout.categories).index(feature)], [book.missing, book.unseen])
        if feature in values.bags:
            offsets, _ = values.bags[feature]
            return np.asarray(offsets[rows + 1] > offsets[rows])
        pieces = [(values.dense[feature][rows[at : at + CHUNK]] != 0).any(1) for at in range(0, len(rows), CHUNK)]
        return np.concatenate(pieces) if pieces else np.zeros(0, bool)

    def told(self, entity: str, features: Sequence[str], rows: Array) -> Array:
        """(n, F) int64: what each of a step's things (n,) says in each feature, alike where two say the same; 0 where one says nothing."""
        found = np.zeros((len(rows), len(features)), np.int64)
        for column, feature in enumerate(features):
            known = self.has(entity, feature, rows)
            found[known, column] = 1 + self._codes(entity, feature, rows[known])
        return found

    def _codes(self, entity: str, feature: str, rows: Array) -> Array:
        """(n,) numbers from 0 of things that all have the feature: alike where it is."""
        layout, values = self.layouts[entity], self.values[entity]
        if feature in layout.categories:
            said = values.ids[rows, list(layout.categories).index(feature)]
        elif feature in values.bags:
            offsets, ids = values.bags[feature]
            at, _ = spans(offsets[rows], offsets[rows + 1])
            sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_scrambled(ids[at]), dtype=np.uint64)])  # wraps; differences hold
            ends = np.cumsum(offsets[rows + 1] - offsets[rows])
            said = np.diff(sums[np.concatenate([np.zeros(1, np.int64), ends])])
        else:
            dense = np.ascontiguousarray(values.dense[feature][rows])
            said = dense.view(f"V{dense.dtype.itemsize * dense.shape[1]}").reshape(-1)
        return np.asarray(np.unique(said, return_inverse=True)[1]).reshape(-1)


def _scrambled(ids: Array) -> Array:
    """A 64-bit hash of each id (the finaliser of splitmix64; Steele, Lea and Flood, OOPSLA 2014): sums of them tell bags of ids apart."""
    x = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


@dataclass
class Chosen:
    """The things of one auxiliary task before the entities of the step are known."""

    entity: str
    at: slice  # among those asked for
    told: Array

    def things(self, found: Mapping[str, Tensor]) -> Things:
        """`found`: entity -> the place in the step's block of every thing asked for."""
        return Things(self.entity, found[self.entity][self.at], torch.from_numpy(self.told))


def chosen(choosers: Mapping[str, Chooser], catalogue: Catalogue, ask: Callable[[str, Array], slice], rng: np.random.Generator) -> dict[str, Chosen]:
    """What each auxiliary task asks in a step. `ask` takes an entity and row numbers and says where they will lie among those asked for."""
    found = {}
    for (name, chooser), own in zip(choosers.items(), rng.spawn(len(choosers)), strict=True):  # the step's own numbers stay what they are without them
        rows = chooser.choose(catalogue.pairs(chooser.entity, chooser.features), own)
        found[name] = Chosen(chooser.entity, ask(chooser.entity, rows), catalogue.told(chooser.entity, chooser.features, rows))
    return found

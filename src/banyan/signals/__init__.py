"""WHAT EVERYBODY DID -> SCORES OF ITEMS: one file a way to say what goes with somebody's past. Knows no table and no network.

A signal is fitted on events and scores all items for a past. Where the past's own user is among those fitted, that user's contribution
can be taken out exactly (`own`): a row that trains then reads what everybody else did, and nothing of its label.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from banyan.errors import ConfigError
from banyan.types import Array


@dataclass(frozen=True)
class Flat:
    """Events of `rows` owners (users, or pasts of rows), flat, each owner's oldest first."""

    rows: int
    owner: Array  # (m,) int64 in [0, rows); rises
    item: Array  # (m,) int64 row numbers
    behaviour: Array  # (m,) codes

    def only(self, keep: Array) -> "Flat":
        """Some of the events of the same owners."""
        return Flat(self.rows, self.owner[keep], self.item[keep], self.behaviour[keep])

    @property
    def age(self) -> Array:
        """(m,) how many events of the owner are newer."""
        end = np.cumsum(np.bincount(self.owner, minlength=self.rows))
        return np.asarray(end[self.owner] - 1 - np.arange(len(self.owner)))

    def matrix(self, weight: Array, items: int) -> sparse.csr_array:
        """(rows, items) sums of the events' weights."""
        return sparse.csr_array((weight.astype(np.float32), (self.owner, self.item)), shape=(self.rows, items))


@dataclass(frozen=True)
class Own:
    """Which fitted events are the rows' own."""

    events: Flat  # of the distinct users among the rows
    of: Array  # (n,) the owner in `events` of each row, -1 where nothing is to be taken out


@dataclass(frozen=True)
class World:
    """What a signal is told about the log."""

    items: int  # row numbers lie in [0, items)
    behaviours: tuple[str, ...]
    ordered: bool  # whether a user's events have an order
    told: sparse.csr_array | None = None  # (items, terms) 1 where an item's features say a term; only fitting reads it


class Signal(ABC):
    """Scores of items given a past, from what everybody did."""

    dense: ClassVar[bool] = False  # whether `scores` are dense; else they are sparse, and 0 where nothing is stored
    learns: ClassVar[bool] = True  # whether events move what is fitted; else there is no own contribution
    apart: ClassVar[bool] = True  # whether `scores` can take an own contribution out; else rows that train read a fit without their fold of users

    def __init__(self, world: World, *, behaviours: Mapping[str, float] | None = None) -> None:
        """`behaviours`: those that are read, each with its weight; all with weight 1 unless given."""
        self.world = world
        self.weights = np.array([1.0 if behaviours is None else float(behaviours.get(b, 0.0)) for b in world.behaviours], np.float32)
        if unknown := [b for b in behaviours or () if b not in world.behaviours]:
            raise ConfigError(f"signals: no event has the behaviour {unknown[0]!r}; behaviours: {', '.join(world.behaviours)}.")

    @abstractmethod
    def fit(self, events: Flat) -> None:
        """Learn from everybody's events."""

    @abstractmethod
    def scores(self, pasts: Flat, own: Own | None = None) -> sparse.csr_array | Array:
        """(rows of `pasts`, items) float32; with `own` those users' contribution is taken out of what was fitted."""

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What was fitted, for a bundle."""

    @abstractmethod
    def load(self, arrays: Mapping[str, Array]) -> None:
        """Go on from what `arrays` gave."""

    def read(self, events: Flat) -> Flat:
        """The events that count here."""
        keep = (self.weights[events.behaviour] > 0) & (events.item > 0)
        return events if keep.all() else events.only(keep)


def csr_arrays(name: str, matrix: sparse.csr_array) -> dict[str, Array]:
    """A sparse matrix as named arrays."""
    return {f"{name}/data": matrix.data, f"{name}/indices": matrix.indices.astype(np.int32), f"{name}/indptr": matrix.indptr.astype(np.int64)}


def to_csr(name: str, arrays: Mapping[str, Array], shape: tuple[int, int]) -> sparse.csr_array:
    """What `csr_arrays` named."""
    return sparse.csr_array((arrays[f"{name}/data"], arrays[f"{name}/indices"], arrays[f"{name}/indptr"]), shape=shape)

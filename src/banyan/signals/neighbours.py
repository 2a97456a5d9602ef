"""Items that follow each other: co-occurrence in a window of a user's events, as a cosine, summed over the newest events."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from banyan.parts import Positive, Share, Size
from banyan.signals import Flat, Own, Signal, World, csr_arrays, to_csr
from banyan.types import Array

EVENTS = 1_000_000  # whose pairs are held at once
LEAST = 1e-3  # weight of an old event below which it is not read


class Neighbours(Signal):
    """Item-kNN over sequences (Sarwar et al., WWW 2001; shrinkage as Bell and Koren, ICDM 2007).

    c(i, j) = sum over users, over pairs of their events at distance d <= window, of d^-1/2 where j comes after i, backward x d^-1/2 before
    likeness(i, j) = c(i, j) / (sqrt(n_i n_j) + shrink),  score(j) = ln(1 + sum over events of decay^age likeness(i, j) / floor)

    The logarithm makes a score that is added to the log-probabilities of a softmax; what never stood near the past has 0.
    Where events have no order every two of a user's events are a pair of weight 1, and no event is older than another.
    An own contribution is taken out of c; n is left as it is.
    """

    def __init__(
        self, world: World, *, behaviours: dict[str, float] | None = None, window: Size = 20, backward: float = 0.5, shrink: Positive = 10.0,
        decay: Share = 0.7, nearest: Size = 500, longest: Size = 200, floor: Positive = 0.003,
    ) -> None:  # fmt: skip
        """`nearest`: items kept for each item. `longest`: newest events of a user that make pairs where there is no order."""
        super().__init__(world, behaviours=behaviours)
        self.window, self.backward, self.shrink = window if world.ordered else longest, backward if world.ordered else 1.0, shrink
        self.decay, self.nearest, self.longest, self.floor = decay if world.ordered else 1.0, nearest, longest, floor
        self.likeness = sparse.csr_array((world.items, world.items), dtype=np.float32)
        self.often = np.zeros(world.items, np.float32)

    def fit(self, events: Flat) -> None:
        """Time and memory of the pairs, a million events at a time."""
        events, items = self.read(events), self.world.items
        if not self.world.ordered:
            events = events.only(events.age < self.longest)
        self.often = np.bincount(events.item, minlength=items).astype(np.float32)
        self.fit_pairs(events)

    def fit_pairs(self, events: Flat) -> None:
        """The likenesses alone, with items as often as they are known to be."""
        items = self.world.items
        total = sparse.csr_array((items, items), dtype=np.float32)
        for start in range(0, len(events.item), EVENTS):
            part = slice(start, start + EVENTS)  # a user cut in two by the border of a block loses the pairs across it
            left, right, value = self._pairs(events.owner[part], events.item[part])
            total = total + sparse.csr_array((value, (events.item[part][left], events.item[part][right])), shape=(items, items))
        row = np.repeat(np.arange(items), np.diff(total.indptr))
        self.likeness = _nearest(sparse.csr_array((total.data / self._norm(row, total.indices), total.indices, total.indptr), shape=total.shape), self.nearest)

    def _norm(self, left: Array, right: Array) -> Array:
        return np.asarray(np.sqrt(self.often[left] * self.often[right]) + np.float32(self.shrink))

    def _pairs(self, owner: Array, item: Array) -> tuple[Array, Array, Array]:
        """(places of the first, places of the second, weight) of all pairs, both ways."""
        lefts, rights, values = [], [], []
        at = np.arange(len(owner))
        for distance in range(1, self.window + 1):
            a = at[: len(at) - distance]
            a = a[(owner[a] == owner[a + distance]) & (item[a] != item[a + distance])]
            if not len(a) and not (owner[:-distance] == owner[distance:]).any():
                break
            weight = distance**-0.5 if self.world.ordered else 1.0
            lefts += [a, a + distance]
            rights += [a + distance, a]
            values += [np.full(len(a), weight, np.float32), np.full(len(a), weight * self.backward, np.float32)]
        if not lefts:
            return at[:0], at[:0], np.zeros(0, np.float32)
        return np.concatenate(lefts), np.concatenate(rights), np.concatenate(values)

    def scores(self, pasts: Flat, own: Own | None = None) -> sparse.csr_array:
        """Sparse: of the order of events read times `nearest`."""
        pasts = self.read(pasts)
        weight = self.weights[pasts.behaviour] * np.float32(self.decay) ** pasts.age.astype(np.float32)
        keep = weight > LEAST
        pasts, weight = pasts.only(keep), weight[keep]
        found = pasts.matrix(weight, self.world.items) @ self.likeness
        if own is not None:
            found = found - self._own(pasts, weight, own)
        found = sparse.csr_array(found)
        found.data = np.log1p(np.maximum(found.data, 0) / np.float32(self.floor)).astype(np.float32)
        return found

    def _own(self, pasts: Flat, weight: Array, own: Own) -> sparse.csr_array:
        """(n, items) what the rows' own users added to the scores."""
        events, items = self.read(own.events), self.world.items
        if not self.world.ordered:
            events = events.only(events.age < self.longest)
        left, right, value = self._pairs(events.owner, events.item)
        key = events.owner * items + events.item
        slots, slot = np.unique(key, return_inverse=True)
        value = value / self._norm(events.item[left], events.item[right])
        given = sparse.csr_array((value, (slot.reshape(-1)[left], events.item[right])), shape=(max(len(slots), 1), items))
        wanted = np.where(own.of[pasts.owner] >= 0, own.of[pasts.owner] * items + pasts.item, -1)
        place = np.minimum(np.searchsorted(slots, wanted), max(len(slots) - 1, 0))
        hit = slots[place] == wanted if len(slots) else np.zeros(len(wanted), bool)
        taken = sparse.csr_array((weight[hit], (pasts.owner[hit], place[hit])), shape=(pasts.rows, max(len(slots), 1)))
        return sparse.csr_array((taken @ given).multiply(1.0))

    def arrays(self) -> dict[str, Array]:
        """The likenesses."""
        return {**csr_arrays("likeness", self.likeness), "often": self.often}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """What `arrays` gave."""
        self.likeness, self.often = to_csr("likeness", arrays, (self.world.items, self.world.items)), arrays["often"]


def _nearest(matrix: sparse.csr_array, most: int) -> sparse.csr_array:
    """Each row cut to its largest entries."""
    count = np.diff(matrix.indptr)
    if count.max(initial=0) <= most:
        return matrix
    row = np.repeat(np.arange(matrix.shape[0]), count)
    order = np.lexsort((-matrix.data, row))
    kept = np.sort(order[np.arange(len(order)) - matrix.indptr[row] < most])
    return sparse.csr_array((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)

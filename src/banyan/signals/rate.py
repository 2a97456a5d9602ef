"""How often those who did one thing with an item also did another: of the viewers of this item, how many bought it."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from banyan.parts import Positive
from banyan.signals import Flat, Own, Signal, World
from banyan.types import Array


class Rate(Signal):
    """Smoothed conversion of an item, for the items that the past touched by `per`.

    score(j) = ln((users with both + prior mean) / (users with `per` + prior) / mean) where the past holds `per` with j, else 0

    A row's own user is taken out of both counts. Counts are of users, so that one busy user weighs no more than another.
    """

    def __init__(self, world: World, *, of: str, per: str, prior: Positive = 10.0) -> None:
        """`prior`: users added, who convert as all items do."""
        super().__init__(world, behaviours={of: 1.0, per: 1.0})
        self.of, self.per, self.prior = world.behaviours.index(of), world.behaviours.index(per), prior
        self.both, self.with_per = np.zeros(world.items), np.zeros(world.items)

    def fit(self, events: Flat) -> None:
        """Two counts an item."""
        self.both, self.with_per = (np.asarray(each.sum(0)).reshape(-1) for each in self._counts(events))

    def _counts(self, events: Flat) -> tuple[sparse.csr_array, sparse.csr_array]:
        """(rows, items) whether both happened, and whether `per` did."""
        had = [self._had(events, code) for code in (self.of, self.per)]
        return sparse.csr_array(had[0].multiply(had[1])), had[1]

    def _had(self, events: Flat, code: int) -> sparse.csr_array:
        mine = events.only((events.behaviour == code) & (events.item > 0))
        found = mine.matrix(np.ones(len(mine.item)), self.world.items)
        found.data[:] = 1.0
        return found

    def scores(self, pasts: Flat, own: Own | None = None) -> sparse.csr_array:
        """Sparse: one entry an item touched."""
        found = self._had(pasts, self.per)
        row = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        both, per = self.both[found.indices], self.with_per[found.indices]
        mean = max(self.both.sum(), 1.0) / max(self.with_per.sum(), 1.0)
        if own is not None and len(own.events.item):
            taken = [np.asarray(each[np.maximum(own.of[row], 0), found.indices]).reshape(-1) for each in self._counts(own.events)]
            mine = own.of[row] >= 0
            both, per = both - np.where(mine, taken[0], 0), per - np.where(mine, taken[1], 0)
        found.data = np.log((both + self.prior * mean) / (per + self.prior) / mean).astype(np.float32)
        return found

    def arrays(self) -> dict[str, Array]:
        """The counts."""
        return {"both": self.both, "per": self.with_per}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """What `arrays` gave."""
        self.both, self.with_per = arrays["both"], arrays["per"]

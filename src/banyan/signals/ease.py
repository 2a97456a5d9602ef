"""A linear model of every item given all others, in closed form."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy import sparse

from banyan.errors import ConfigError
from banyan.parts import Positive, Size
from banyan.signals import Flat, Own, Signal, World
from banyan.types import Array


class Ease(Signal):
    """EASE (Steck, WWW 2019, eq. 8) on a weighted sum of behaviours.

    P = (X'X + l2 I)^-1,  score(j) = sum over the past's items i != j of x_i B_ij,  B_ij = -P_ij / P_jj

    X holds, for each user and item, the weights of the behaviours that happened, each counted once. A row's own user is taken out exactly:
    without x the inverse is P + P x x'P / (1 - x'P x) (Sherman and Morrison, 1950), so one inverse serves all users.

    The inverse takes time of items^3 and memory of items^2 (20,000 items: 1.6 GB, some minutes on one core); the `most` frequent
    items are read, and the others have score 0.
    """

    dense = True

    def __init__(self, world: World, *, behaviours: dict[str, float] | None = None, l2: Positive = 100.0, most: Size = 20_000) -> None:
        super().__init__(world, behaviours=behaviours)
        self.l2, self.most = l2, most
        self.kept = np.zeros(0, np.int64)  # (M,) item row numbers that have a column
        self.inverse = np.zeros((0, 0), np.float32)  # (M, M)
        self.spread = np.zeros(0, np.float32)  # (M,) its diagonal

    def fit(self, events: Flat) -> None:
        """Raises ConfigError where the inverse does not exist in single precision."""
        x = self._matrix(events)
        often = np.bincount(x.indices, minlength=self.world.items)
        kept = np.flatnonzero(often > 0)
        if len(kept) > self.most:
            kept = np.sort(kept[np.argsort(-often[kept], kind="stable")[: self.most]])
        self.kept = kept
        x = x[:, kept]
        gram = np.asarray((x.T @ x).todense(), np.float32)
        gram[np.diag_indices(len(kept))] += np.float32(self.l2)
        try:
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(torch.from_numpy(gram)))
        except RuntimeError as error:  # no Cholesky factor
            raise ConfigError(f"signals 'ease': the items' products have no inverse with l2 = {self.l2:g}; take a larger one.") from error
        self.inverse = np.ascontiguousarray(inverse.numpy())  # by rows: else every product with a few pasts would copy it whole
        self.spread = self.inverse.diagonal().copy()

    def _matrix(self, events: Flat) -> sparse.csr_array:
        """(rows, items): the weights of the behaviours that happened."""
        events = self.read(events)
        kinds = len(self.world.behaviours)
        pairs = np.unique((events.owner * self.world.items + events.item) * kinds + events.behaviour)
        pair, behaviour = np.divmod(pairs, kinds)
        weight = self.weights[behaviour]
        return sparse.csr_array((weight, (pair // self.world.items, pair % self.world.items)), shape=(events.rows, self.world.items))

    def scores(self, pasts: Flat, own: Own | None = None) -> Array:
        """(n, items) dense."""
        h = sparse.csr_array(self._matrix(pasts)[:, self.kept])
        above, below = np.asarray(h @ self.inverse), self.spread
        if own is not None and (own.of >= 0).any():
            above, below = self._without(h, above, own)
        found = -above / below
        row = np.repeat(np.arange(h.shape[0]), np.diff(h.indptr))
        found[row, h.indices] += h.data  # an item does not speak for itself
        out = np.zeros((pasts.rows, self.world.items), np.float32)
        out[:, self.kept] = found
        return out

    def _without(self, h: sparse.csr_array, above: Array, own: Own) -> tuple[Array, Array]:
        """Products of the pasts with the inverse, and its diagonal, each row without its own user's events."""
        x = sparse.csr_array(self._matrix(own.events)[:, self.kept])
        v = np.asarray(x @ self.inverse)
        owner = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        seen = np.bincount(owner, x.data * v[owner, x.indices], minlength=x.shape[0])  # x'Px < 1
        share = (1 / np.maximum(1 - seen, 1e-6)).astype(np.float32)
        of = np.maximum(own.of, 0)
        row = np.repeat(np.arange(h.shape[0]), np.diff(h.indptr))
        met = np.bincount(row, h.data * v[of[row], h.indices], minlength=h.shape[0])
        mine = np.where(own.of >= 0, share[of], 0).astype(np.float32)
        taken = v[of]
        return above + (mine * met).astype(np.float32)[:, None] * taken, self.spread + mine[:, None] * taken**2

    def arrays(self) -> dict[str, Array]:
        """The inverse."""
        return {"kept": self.kept, "inverse": self.inverse}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """What `arrays` gave."""
        self.kept, self.inverse = arrays["kept"].astype(np.int64), arrays["inverse"]
        self.spread = self.inverse.diagonal().copy()

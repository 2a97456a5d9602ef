"""Propagation over the graph of users and items: neighbours at two steps, and the smooth part of what lies further."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from banyan.parts import Share, Size
from banyan.signals import Flat, Own, Signal, World, csr_arrays, to_csr
from banyan.types import Array

POWERS = 3  # passes of the randomised decomposition
SPARE = 10  # directions beyond those asked for, which make those exact


class Graph(Signal):
    """The linear filter and the ideal low pass that LightGCN comes down to (Shen et al., CIKM 2021, eq. 12).

    N = U^-1/2 X I^-1/2 with the degrees U of users and I of items,  score = x I^-1/2 (N'N + share V V') I^1/2

    X holds the weights of the behaviours that happened, V the first `rank` right singular vectors of N (Halko et al., SIAM Review 2011).
    An own contribution cannot be taken out of V, so training rows read a fit without their fold of users.
    """

    dense = True
    apart = False

    def __init__(self, world: World, *, behaviours: dict[str, float] | None = None, rank: Size = 64, share: Share = 0.3) -> None:
        super().__init__(world, behaviours=behaviours)
        self.rank, self.share = rank, share
        self.near = sparse.csr_array((world.items, world.items), dtype=np.float32)  # N'N
        self.smooth = np.zeros((world.items, 0), np.float32)  # V
        self.root = np.ones(world.items, np.float32)  # I^1/2

    def fit(self, events: Flat) -> None:
        """Time of `rank` passes over the events, and of the pairs of items that a user links."""
        x = self._matrix(events)
        users, items = (np.asarray(x.sum(axis)).reshape(-1) for axis in (1, 0))
        self.root = np.sqrt(np.maximum(items, 1e-6)).astype(np.float32)
        rows, columns = (sparse.diags_array((np.maximum(each, 1e-6) ** -0.5).astype(np.float32)) for each in (users, items))
        linked = sparse.csr_array(rows @ x @ columns)
        self.near = sparse.csr_array(linked.T @ linked)
        self.smooth = _smooth(linked, min(self.rank, min(linked.shape) - 1)) if linked.nnz else self.smooth

    def _matrix(self, events: Flat) -> sparse.csr_array:
        events = self.read(events)
        kinds = len(self.world.behaviours)
        pair, behaviour = np.divmod(np.unique((events.owner * self.world.items + events.item) * kinds + events.behaviour), kinds)
        return sparse.csr_array((self.weights[behaviour], (pair // self.world.items, pair % self.world.items)), shape=(events.rows, self.world.items))

    def scores(self, pasts: Flat, own: Own | None = None) -> Array:
        """(n, items) dense; `own` is not read."""
        x = self._matrix(pasts)
        scaled = sparse.csr_array(x.multiply(1 / self.root))
        found = np.asarray((scaled @ self.near).todense(), np.float32) + np.float32(self.share) * ((scaled @ self.smooth) @ self.smooth.T)
        return np.asarray(found * self.root, np.float32)

    def arrays(self) -> dict[str, Array]:
        """The filter."""
        return {**csr_arrays("near", self.near), "smooth": self.smooth, "root": self.root}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """What `arrays` gave."""
        self.near, self.smooth, self.root = to_csr("near", arrays, (self.world.items, self.world.items)), arrays["smooth"], arrays["root"]


def _smooth(linked: sparse.csr_array, rank: int) -> Array:
    """(items, rank) right singular vectors of the largest singular values, by subspace iteration from a fixed start."""
    start = np.random.default_rng(0).standard_normal((linked.shape[1], min(rank + SPARE, min(linked.shape)))).astype(np.float32)
    basis = np.linalg.qr(start)[0]
    for _ in range(POWERS):
        basis = np.linalg.qr(linked.T @ (linked @ basis))[0]
    _, _, turned = np.linalg.svd(linked @ basis, full_matrices=False)
    return np.asarray(basis @ turned[:rank].T, np.float32)

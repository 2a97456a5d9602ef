"""Items whose features say what those of the past say: same brand, same tags, same words."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from banyan.errors import ConfigError
from banyan.parts import Positive, Share
from banyan.signals import Flat, Own, Signal, World, csr_arrays, to_csr
from banyan.types import Array

LEAST = 1e-3  # weight of an old event below which it is not read


class Alike(Signal):
    """Cosine of the items' terms, each weighed by ln(items / items with it) (Salton and Buckley, Information Processing and Management 1988).

    score(j) = ln(1 + sum over events of decay^age cosine(i, j) / floor)

    By itself it ranks poorly; beside what users did it tells apart the many items that nobody has met together with the past, among them new ones.
    It is fitted on the catalogue alone, so nothing of a row's own label is in it.
    """

    learns = False

    def __init__(
        self, world: World, *, behaviours: dict[str, float] | None = None, decay: Share = 0.7, floor: Positive = 0.1, common: Share = 0.2
    ) -> None:  # fmt: skip
        """`common`: terms that more than this share of the items have are not read."""
        super().__init__(world, behaviours=behaviours)
        self.decay, self.floor, self.common = decay if world.ordered else 1.0, floor, common
        self.terms = sparse.csr_array((world.items, 1), dtype=np.float32)  # rows of length 1

    def fit(self, events: Flat) -> None:
        """Raises ConfigError where items have no feature with words or values."""
        told = self.world.told
        if told is None or not told.nnz:
            raise ConfigError("signals: `alike` compares items by their categories, tags and words, and the entity item has none of these.")
        often = np.bincount(told.indices, minlength=told.shape[1])
        rare = np.where(often <= self.common * told.shape[0], np.log(told.shape[0] / np.maximum(often, 1)), 0.0)
        row, weight = np.repeat(np.arange(told.shape[0]), np.diff(told.indptr)), rare[told.indices]
        length = np.sqrt(np.bincount(row, np.square(weight), minlength=told.shape[0]))
        keep = weight > 0
        row, column = row[keep], told.indices[keep]
        self.terms = sparse.csr_array(((weight[keep] / length[row]).astype(np.float32), (row, column)), shape=told.shape)

    def scores(self, pasts: Flat, own: Own | None = None) -> sparse.csr_array:
        """Sparse: of the items that share a term with the past. `own` is not read: nothing of anybody's events was fitted."""
        pasts = self.read(pasts)
        weight = self.weights[pasts.behaviour] * np.float32(self.decay) ** pasts.age.astype(np.float32)
        keep = weight > LEAST
        said = pasts.only(keep).matrix(weight[keep], self.world.items) @ self.terms
        found = sparse.csr_array(said @ self.terms.T)
        found.data = np.log1p(found.data / np.float32(self.floor)).astype(np.float32)
        return found

    def arrays(self) -> dict[str, Array]:
        """The items' terms."""
        return {**csr_arrays("terms", self.terms), "count": np.array([self.terms.shape[1]], np.int64)}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """What `arrays` gave."""
        self.terms = to_csr("terms", arrays, (self.world.items, int(arrays["count"][0])))

"""Items whose vectors point the same way as a question's: a look at short vectors, then at whole ones. Knows neither network nor store.

For vectors of some hundred entries that lie in memory anyway, as 32 or 16 bits: of a million items a question reads 64 entries each, and all entries of a few.
"""

from dataclasses import dataclass

import numpy as np

from banyan.types import Array

SHORT = 64  # entries of a short vector: 4 bytes each, an item
SEEN = 10_000  # items that the directions are fitted to
WIDER = 10  # items looked at whole for each one asked for
SMALL = 4_096  # items that are all looked at whole
BLOCK = 16_384


@dataclass(frozen=True)
class Near:
    """Items near to a question, nearest first."""

    rows: Array  # (k,) int64
    cosines: Array  # (k,) float32
    mean: float  # of all items' cosines, as the short vectors say
    spread: float  # their standard deviation


class Sketch:
    """Cosines with (n, E) vectors; a row of zeros is no vector and never found.

    Short vectors are the first principal directions of SEEN rows (Pearson, 1901): cosines of short ones choose, cosines of whole ones order.
    """

    def __init__(self, vectors: Array, width: int | None = None) -> None:
        """`vectors` (n, E) are kept as they are; of each row the first `width` entries count."""
        self.vectors, self.width = vectors, width or vectors.shape[1]
        norm = [np.linalg.norm(self._whole(slice(a, a + BLOCK)), axis=1) for a in range(0, len(vectors), BLOCK)]
        self.norm = np.concatenate([np.zeros(0, np.float32), *norm]).astype(np.float32)
        self.there = np.flatnonzero(self.norm > 0)
        self.short = self._shortened() if len(self.there) > SMALL and self.width > SHORT else None

    def _whole(self, rows: Array | slice) -> Array:
        return np.asarray(self.vectors[rows, : self.width], np.float32)

    def _shortened(self) -> tuple[Array, Array]:
        """((E, SHORT) directions, (there, SHORT) float32 short vectors of length at most 1)."""
        some = self.there[np.linspace(0, len(self.there) - 1, min(SEEN, len(self.there))).astype(np.int64)]
        seen = self._whole(some) / self.norm[some, None]
        directions = np.ascontiguousarray(np.linalg.eigh(seen.T @ seen)[1][:, ::-1][:, :SHORT]).astype(np.float32)
        found = np.empty((len(self.there), directions.shape[1]), np.float32)
        for a in range(0, len(self.there), BLOCK):
            rows = self.there[a : a + BLOCK]
            found[a : a + BLOCK] = self._whole(rows) @ directions / self.norm[rows, None]
        return directions, found

    def near(self, vector: Array, k: int, allowed: Array | None = None) -> Near:
        """The k nearest of the allowed rows ((n,) bool) to (E,)."""
        length = float(np.linalg.norm(vector[: self.width]))
        if not length or not len(self.there):
            return Near(np.zeros(0, np.int64), np.zeros(0, np.float32), 0.0, 0.0)
        asked = np.asarray(vector[: self.width], np.float32) / np.float32(length)
        guess = self.short[1] @ (asked @ self.short[0]) if self.short is not None else self.cosines(self.there, asked)
        keep = np.arange(len(guess)) if allowed is None else np.flatnonzero(allowed[self.there])
        some = guess[keep]
        wide = k if self.short is None else k * WIDER
        if len(some) > wide:
            keep = keep[np.argpartition(-some, wide - 1)[:wide]]
        rows = self.there[keep]
        cosines = guess[keep] if self.short is None else self.cosines(rows, asked)
        best = np.lexsort((rows, -cosines))[:k]
        return Near(rows[best].astype(np.int64), cosines[best].astype(np.float32), float(guess.mean()), float(guess.std()))

    def cosines(self, rows: Array, vector: Array) -> Array:
        """(K,) float32 cosines of rows with a vector; 0 for a row of zeros."""
        asked = np.asarray(vector[: self.width], np.float32)
        long = np.maximum(self.norm[rows] * np.float32(np.linalg.norm(asked)), np.float32(1e-20))
        return np.asarray(self._whole(rows) @ asked / long)

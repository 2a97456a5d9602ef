"""VECTORS -> NEAREST ITEMS. Knows neither network nor store."""

from abc import ABC, abstractmethod

from banyan.types import Array


class Index(ABC):
    """Finds the items whose vectors have the largest products with those asked about."""

    @abstractmethod
    def nearest(self, vectors: Array, k: int, among: Array | None = None) -> tuple[Array, Array]:
        """((B, k) int64 places of items in the index, (B, k) float32 products), best first, of (B, H) vectors.

        `among` (items,) bool: only these count. With fewer than k items: as many columns as there are items.
        """

    @abstractmethod
    def __len__(self) -> int:
        """How many items."""

"""What the loop asks of whoever keeps parts of a network where they are."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Held(Protocol):
    """What of a network that was trained before does not move, or not far."""

    def hold(self, number: int, rows: Tensor, leaf: Tensor) -> None:
        """Before step `number` moves anything; `leaf` are the `rows` of the embeddings."""

    def put_back(self, number: int, rows: Tensor, rates: tuple[float, float]) -> None:
        """After it did, the dense part at the first of the `rates`, the `rows` of the embeddings at the second."""

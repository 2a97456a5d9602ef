"""What the loop asks of whoever keeps parts of a network where they are."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Held(Protocol):
    """What does not move, or not yet."""

    def hold(self, number: int, rows: Tensor, leaf: Tensor) -> None:
        """Before step `number` moves anything; `leaf` are the `rows` of the embeddings."""

    def put_back(self, number: int) -> None:
        """After it did."""

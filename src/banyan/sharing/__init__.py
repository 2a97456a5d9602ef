"""TOKENS -> VIEWS: one file a sharing architecture. Knows neither tables nor losses."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.types import Sizes


class Sharing(nn.Module, ABC):
    """Turns a row's tokens into one view for each answer."""

    width: int  # H of the views handed out; set by the part's __init__

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes

    @classmethod
    def copies(cls, views: int) -> int:
        """How many copies of the embedding tables the part wants for so many views; 1 unless it says so. See `Sizes.copies`."""
        return 1

    @abstractmethod
    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The views asked for, in the order asked. In evaluation mode a row does not depend on its neighbours."""

    def penalty(self) -> Tensor:
        """A term added to the total loss outside the balancer (nats, scalar); 0 unless the part has one."""
        return next(self.parameters()).new_zeros(())

    def owned(self, view: int) -> list[nn.Parameter]:
        """Parameters that only this view's loss may move; none unless the part says so."""
        return []

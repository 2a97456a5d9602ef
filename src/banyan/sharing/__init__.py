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

    def entry(self, views: Sequence[int]) -> tuple[Float[Tensor, "R I"], Float[Tensor, " R"]] | None:
        """Weights and biases of the linear layer through which alone these views read `x.flatten(1)`; None for a part that reads it in another way.

        With them a question about many items multiplies once what its rows have in common (`banyan.about`).
        """
        return None

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """`forward` in evaluation mode from what the layer of `entry` made of the rows, without gradients; `out` may be written over."""
        raise TypeError(f"{type(self).__name__} has no entry.")

    def penalty(self) -> Tensor:
        """A term added to the total loss outside the balancer (nats, scalar); 0 unless the part has one."""
        return next(self.parameters()).new_zeros(())

    def owned(self, view: int) -> list[nn.Parameter]:
        """Parameters that only this view's loss may move; none unless the part says so."""
        return []

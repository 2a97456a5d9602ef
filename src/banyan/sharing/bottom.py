"""Hard parameter sharing: one network, and every view is the same."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from banyan.sharing import Sharing
from banyan.sharing._blocks import layer, mlp, refuse
from banyan.types import Sizes


class Bottom(Sharing):
    """All tasks read the output of one shared network (Caruana, Machine Learning 28, 1997).

    view_v = mlp(x), the same memory for every v.
    """

    def __init__(self, sizes: Sizes, *, layers: tuple[int, ...] = (128, 64), dropout: float = 0.0) -> None:
        """`layers`: sizes of the hidden layers, the last is H. `dropout`: share of hidden values dropped in training."""
        super().__init__(sizes)
        refuse("bottom", layers=layers, dropout=dropout)
        self.width = layers[-1]
        self.network = mlp(sizes.flat, layers, dropout)

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """One shared output, seen once for each view asked for."""
        shared: Tensor = self.network(x.flatten(1))
        return shared.expand(len(views), -1, -1)

    def entry(self, views: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first layer."""
        return layer(self.network[0])

    def entered(self, out: Float[Tensor, "B R"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The other layers."""
        shared: Tensor = self.network[1:](out.relu_())
        return shared.expand(len(views), -1, -1)

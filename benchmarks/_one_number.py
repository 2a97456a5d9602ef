"""A sharing architecture that lets one number through, so that two tasks which want different things of it must fight."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.sharing import Sharing
from banyan.sharing._blocks import linear, mlp
from banyan.types import Sizes


class OneNumber(Sharing):
    """view_v = w . mlp(x) + b, one signed number, the same for every v. Not a ReLU: a dead one would let nothing through."""

    def __init__(self, sizes: Sizes, *, layers: tuple[int, ...] = (64,)) -> None:
        """`layers`: sizes of the hidden layers before it."""
        super().__init__(sizes)
        self.width = 1
        self.network = nn.Sequential(mlp(sizes.flat, layers), linear(layers[-1], 1))

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """One shared number a row, seen once for each view asked for."""
        shared: Tensor = self.network(x.flatten(1))
        return shared.expand(len(views), -1, -1)

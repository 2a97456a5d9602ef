"""What has not happened by the cut is taken for what never will: for comparison only."""

from jaxtyping import Float
from torch import Tensor

from banyan.delayed import Delayed


class Naive(Delayed):
    """Every label as it stood at the cut. Answers come out too low, most of all for what is new."""

    def corrected(
        self, chance: Float[Tensor, "B V"], label: Float[Tensor, "B V"], maturity: Float[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """The labels, all with weight 1."""
        return label, label.new_ones(label.shape)

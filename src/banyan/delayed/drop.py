"""Rows whose window is open are left out: the labels are right, and the newest rows are lost."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from banyan.delayed import Delayed


class Drop(Delayed):
    """Training ends one window before the cut. What began since then, a new item or a new season, is not learned."""

    keeps: ClassVar[bool] = False

    def corrected(
        self, chance: Float[Tensor, "B V"], label: Float[Tensor, "B V"], maturity: Float[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """Labels whose window is open weigh nothing."""
        return label, (maturity >= 1).to(label.dtype)

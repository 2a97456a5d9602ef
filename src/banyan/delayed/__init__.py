"""LABELS THAT MAY STILL COME: one file a way to learn from training rows whose window is still open at the cut."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor


class Delayed(ABC):
    """A purchase that may still come is not a negative. What a row's label counts for when only part of its window was seen.

    The maturity F of a label in a row is the share of those that happen within the window which have happened by the row's age at the cut: 1 once
    the window is closed, nearly 0 for a row just before the cut. It comes from the delays of training rows (`store/samples/maturity.py`).
    """

    keeps: ClassVar[bool] = True  # whether training rows whose window is open are kept

    @abstractmethod
    def corrected(
        self, chance: Float[Tensor, "B V"], label: Float[Tensor, "B V"], maturity: Float[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """(Labels in [0, 1] to train towards, a weight of at least 0 for each), given the model's own chances (detached) and what was seen by the cut.

        Where the maturity is 1, the label as it is, with weight 1.
        """

"""Importance weights: what happened early stands for what will happen late, and a row that has not happened counts for its chance of never happening."""

import torch
from jaxtyping import Float
from torch import Tensor

from banyan.delayed import Delayed
from banyan.parts import Share


class Importance(Delayed):
    """Weights of the distribution at the cut towards that of settled rows (FSIW: Yasui et al., WWW 2020), the chances in them the model's
    own (as in Ktena et al., RecSys 2019).

    What was seen weighs 1 / F, what was not (1 - p) / (1 - p F), with p the model's chance, held fixed. Labels whose maturity is below `least`
    weigh nothing: few of them would stand for very many. Unlike `waiting` it trains towards labels of 0 and 1 only; its steps are noisier.
    """

    def __init__(self, *, least: Share = 0.05) -> None:
        self.least = least

    def corrected(
        self, chance: Float[Tensor, "B V"], label: Float[Tensor, "B V"], maturity: Float[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """The labels, weighed."""
        known = maturity.clamp(min=max(self.least, 1e-3))
        never = (1 - chance) / (1 - chance * known).clamp(min=1e-6)
        weight = (label / known + (1 - label) * never) * (maturity >= self.least)
        return label, torch.where(maturity >= 1, torch.ones_like(weight), weight)

"""A waiting-time model: what has not happened yet may still, as likely as the delays of others say."""

from jaxtyping import Float
from torch import Tensor

from banyan.delayed import Delayed


class Waiting(Delayed):
    """The likelihood of what was seen by the cut (Chapelle, KDD 2014, eq. 8 to 12, with the empirical distribution of delays in place of an exponential).

    A row that will happen with chance p has happened by its age with chance p F, so what was seen costs -ln(p F) and what was not -ln(1 - p F). The
    gradient of the latter is that of a cross entropy towards the chance that it will happen although it has not yet,
    p (1 - F) / (1 - p F) (Fisher's identity; the expectation step of EM), and that is the label given here.
    Right where the delay of what happens does not hang on the row's features.
    """

    def corrected(
        self, chance: Float[Tensor, "B V"], label: Float[Tensor, "B V"], maturity: Float[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "B V"], Float[Tensor, "B V"]]:
        """What has happened is 1; what has not, the chance that it will."""
        still = chance * (1 - maturity) / (1 - chance * maturity).clamp(min=1e-6)
        return label + (1 - label) * still, label.new_ones(label.shape)

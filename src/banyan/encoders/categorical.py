"""One category to a token: its row of the embedding table."""

from jaxtyping import Float
from torch import Tensor, nn

from banyan.encoders import Encoder
from banyan.encoders._needs import needed
from banyan.parts import Share
from banyan.types import Column


class Categorical(Encoder):
    """The embedding row of the value; missing and never-seen values have rows of their own in the vocabulary.

    dropout: share of the token's entries zeroed in training, the others scaled up.
    """

    def __init__(self, width: int, inputs: int, *, dropout: Share = 0.0) -> None:
        super().__init__(width, inputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Embedded (n, 1, D) -> (n, D)."""
        embedded = needed(column.embedded, "categorical", "embedded ids")
        token: Tensor = self.dropout(embedded.squeeze(1))
        return token

"""Which item was it? What the questions share that have one right item out of many."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from banyan.types import Choice


class Named(nn.Module):
    """(.., H) -> a cross entropy (nats) over sampled items, each score less the log probability of having been sampled.

    score = q . W item - log q_item (Bengio and Senecal, 2008)
    """

    def __init__(self, inputs: int, items: int, width: int) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(inputs, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * width))
        self.item = nn.Linear(items, 2 * width)

    def forward(self, asked: Float[Tensor, "N I"], candidates: Float[Tensor, "K items"], choice: Choice, places: Int[Tensor, " N"]) -> Float[Tensor, ""]:
        """`places` (N,) of the right items among the candidates. The mean over the N questions."""
        scores = (self.query(asked) @ self.item(candidates).T).float() - choice.log_q
        loss: Tensor = torch.nn.functional.cross_entropy(scores, places)
        return loss

"""Numbers less their mean, over their deviation, as training met them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

SETTLED = 100_000  # rows after which the figures stand still


class Standard(nn.Module):
    """Entry by entry (x - mean) / deviation, clipped to +-`limit`; mean and deviation are those of the first 100,000 known rows of training.

    The same in training and in answers, so that no row sees its neighbours (Welford, Technometrics 1962, for the running figures).
    """

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, inputs: int, limit: float = 5.0) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("squares", torch.zeros(inputs))

    def forward(self, numbers: Float[Tensor, "n E"], known: Tensor) -> Float[Tensor, "n E"]:
        """Numbers (n, E), which rows are known (n, 1) -> (n, E), 0 in the others."""
        numbers = torch.where(known, numbers, 0).clamp(-1e6, 1e6).float()
        if self.training and float(self.count) < SETTLED:
            self._learn(numbers[known[:, 0]].detach())
        deviation = (self.squares / self.count.clamp(min=1)).sqrt() + 1e-3 if float(self.count) > 1 else torch.ones_like(self.mean)
        return torch.where(known, ((numbers - self.mean) / deviation).clamp(-self.limit, self.limit), 0)

    def _learn(self, rows: Tensor) -> None:
        if not len(rows):
            return
        total, gap = self.count + len(rows), rows.mean(0) - self.mean
        self.squares += (rows - rows.mean(0)).square().sum(0) + gap.square() * self.count * len(rows) / total
        self.mean += gap * len(rows) / total
        self.count.copy_(total)

"""What every task is built from: a head whose last bias is the prior, and the mean loss over seen labels."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Straight(nn.Module):
    """A head with a linear path beside its layers, which starts at 0: an answer on a log scale is nearly linear in the logs of its inputs."""

    def __init__(self, layers: nn.Sequential, width: int, answers: int) -> None:
        super().__init__()
        self.layers, self.line = layers, nn.Linear(width, answers, bias=False)
        nn.init.zeros_(self.line.weight)

    def forward(self, view: Tensor) -> Tensor:
        """(.., width) -> (.., answers)."""
        total: Tensor = self.layers(view) + self.line(view)
        return total


def head(width: int, hidden: Sequence[int], bias: Sequence[float], dropout: float) -> nn.Sequential:
    """(.., width) -> (.., len(bias)): ReLU layers of the `hidden` widths, then a linear one that starts at `bias`."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
        width = size
    last = nn.Linear(width, len(bias))
    with torch.no_grad():
        last.bias.copy_(torch.tensor(tuple(bias)))
    return nn.Sequential(*layers, last)


def logit(share: float) -> float:
    """Log odds of a share, held inside [1e-6, 1 - 1e-6] so that a label never seen in training can still be learned."""
    share = min(max(share, 1e-6), 1 - 1e-6)
    return math.log(share / (1 - share))


def clean(label: Tensor, seen: Bool[Tensor, "B N"]) -> Tensor:
    """The label as floats, 0 wherever it is not seen: whatever stood there, nan included, has no way into a gradient."""
    seen = seen if label.ndim == 2 else seen[:, 0]
    return torch.where(seen, label.float(), torch.zeros((), device=label.device))


def seen_mean(losses: Float[Tensor, "B N"], seen: Bool[Tensor, "B N2"], weight: Float[Tensor, " B"]) -> Float[Tensor, " N"]:
    """Weighted mean of each column over its seen rows (N2 is N or 1); 0, with gradient 0, where nothing is seen."""
    share = weight[:, None] * seen
    total = share.sum(0)
    share = share / torch.where(total > 0, total, torch.ones_like(total))
    return (torch.where(seen, losses, torch.zeros_like(losses)) * share).sum(0)

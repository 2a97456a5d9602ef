"""The tokens of the newest event of a past."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.trunk.gathered import gathered
from banyan.types import Past, Windows

TOKENS = 2


class Newest(nn.Module):
    """Tokens of the newest event: its item, and how long ago it was. What somebody looks at next hangs on it (Rendle et al., WWW 2010)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.item, self.gap = nn.Linear(inputs, TOKENS * width), nn.Linear(2, TOKENS * width)
        self.none = nn.Parameter(torch.zeros(TOKENS, width))

    def forward(self, past: Past | Windows | None, items: Tensor | None, rows: int) -> Float[Tensor, "B K D"]:
        """`items` (n, S, D): the tokens of the step's items. One row without a past or without items, for as many as there are."""
        if past is None or items is None:
            return self.none.expand(rows, -1, -1)
        if isinstance(past, Windows):
            newest, gap, known = past.items, past.gaps[:, None], past.at >= 0
        else:
            newest, gap, known = past.items[:, -1], past.gaps[:, -1:], past.mask[:, -1]
        found = gathered(self.item(items.flatten(1)), newest) + self.gap(torch.cat([gap, (-8 * gap).exp()], 1))  # days and hours are told apart
        return torch.where(known[:, None, None], found.view(rows, TOKENS, self.width), self.none)

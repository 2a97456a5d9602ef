"""A history read event by event by an LSTM."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.history import History
from banyan.history._gaps import between
from banyan.history._order import back, forth, last, moved
from banyan.parts import Size


class LSTM(History):
    """The state after the newest event (Hochreiter and Schmidhuber, 1997), fed each event and the time since the one before.

    A row without events gives a learned vector.

    hidden: width of the state. layers: LSTMs on top of each other.
    """

    causal = True

    def __init__(self, width: int, *, hidden: Size = 32, layers: Size = 1) -> None:
        super().__init__(width)
        self.reader = nn.LSTM(width + 1, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, width)
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(
        self,
        tokens: Float[Tensor, "B L D"],
        gaps: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
        target: Float[Tensor, "B D"] | None,
    ) -> Float[Tensor, "B D"]:
        """What `positions` knows after the newest event. The target is not read."""
        if tokens.shape[1] == 0:
            return self.empty.expand(len(tokens), -1)
        states = self._states(tokens, gaps, mask, forth(mask))
        return torch.where(mask.any(1, keepdim=True), self.out(last(states, mask)), self.empty)

    def positions(self, tokens: Float[Tensor, "B L D"], gaps: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
        """What is known after each event; the learned vector of no events at padding."""
        if tokens.shape[1] == 0:
            return tokens
        places = forth(mask)
        states = moved(self._states(tokens, gaps, mask, places), back(places))
        return torch.where(mask.unsqueeze(-1), self.out(states), self.empty)

    def _states(self, tokens: Tensor, gaps: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """(B, L, hidden), padding behind."""
        events = torch.cat([tokens, between(gaps, mask).unsqueeze(-1)], dim=-1)
        states: Tensor = self.reader(moved(events, places))[0]
        return states

"""A history read event by event by an LSTM."""

import torch
from torch import Tensor, nn

from banyan.history._causal import Causal
from banyan.history._gaps import between
from banyan.history._order import moved
from banyan.parts import Size


class LSTM(Causal):
    """The state after the newest event (Hochreiter and Schmidhuber, 1997), fed each event and the time since the one before.

    A row without events gives a learned vector.

    hidden: width of the state. layers: LSTMs on top of each other.
    """

    def __init__(self, width: int, *, hidden: Size = 32, layers: Size = 1) -> None:
        super().__init__(width)
        self.reader = nn.LSTM(width + 1, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, width)
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def _states(self, tokens: Tensor, gaps: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """(B, L, hidden), padding behind."""
        events = torch.cat([tokens, between(gaps, mask).unsqueeze(-1)], dim=-1)
        states: Tensor = self.reader(moved(events, places))[0]
        return states

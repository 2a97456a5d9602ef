"""What the parts that read a history event by event share: the newest state as the token, every state as a position."""

from abc import abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.history import History
from banyan.history._order import back, forth, last, moved


class Causal(History):
    """A state after each event, from it and the earlier ones; a row without events gives a learned vector."""

    causal = True
    out: nn.Module  # state -> D
    empty: nn.Parameter  # (D,)

    @abstractmethod
    def _states(self, tokens: Tensor, gaps: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """(B, L, width of a state), padding behind; `places` moves the events there."""

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

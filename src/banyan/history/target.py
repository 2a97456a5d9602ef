"""A history as the target sees it: events weigh by what they have to do with the item in question."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from banyan.history import History
from banyan.parts import Size


class Target(History):
    """Attention of the target to the events (DIN; Zhou et al., KDD 2018, eq. 3), scored by a small network.

    score = w . relu(A e + B t + C (e * t) + g gap + b),  token = sum softmax(score) e

    Without a target a learned query asks; a row without events gives a learned vector.

    hidden: width of the scoring network. softmax: whether weights sum to 1; without it, as in the paper, their sum says how much of
    the history speaks to the target.
    """

    aimed = True

    def __init__(self, width: int, *, hidden: Size = 32, softmax: bool = True) -> None:
        super().__init__(width)
        self.softmax = softmax
        self.event = nn.Linear(width, hidden)
        self.asked = nn.Linear(width, hidden, bias=False)
        self.product = nn.Parameter(torch.randn(width, hidden) * width**-0.5)
        self.gap = nn.Parameter(torch.randn(hidden) * 0.1)
        self.score = nn.Linear(hidden, 1, bias=not softmax)  # a softmax does not see a constant
        self.query = nn.Parameter(torch.randn(width) * width**-0.5)
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(
        self,
        tokens: Float[Tensor, "B L D"],
        gaps: Float[Tensor, "B L"],
        mask: Bool[Tensor, "B L"],
        target: Float[Tensor, "B D"] | None,
    ) -> Float[Tensor, "B D"]:
        """(B, L, D) -> (B, D)."""
        if tokens.shape[1] == 0:
            return self.empty.expand(len(tokens), -1)
        query = self.query.expand(len(tokens), -1) if target is None else target
        scores = self._scores(tokens, gaps, query)
        if self.softmax:
            weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(1)
        else:
            weights = torch.where(mask, scores, 0)
        token = weights @ tokens[0] if len(tokens) > 1 and not tokens.stride(0) else (weights.unsqueeze(1) @ tokens).squeeze(1)
        return torch.where(mask.any(1, keepdim=True), token, self.empty)

    def _scores(self, tokens: Tensor, gaps: Tensor, query: Tensor) -> Tensor:
        """(B, L). A e + C (e * t) is one product of the events with the row's own matrix A + t C: nothing of size (B, L, 3D) is made."""
        if len(tokens) > 1 and not tokens.stride(0) and not gaps.stride(0):
            return self._shared(tokens[0], gaps[0], query)
        own = self.event.weight.t() + query.unsqueeze(-1) * self.product  # (B, D, hidden)
        inner = tokens @ own + (self.asked(query) + self.event.bias).unsqueeze(1) + gaps.unsqueeze(-1) * self.gap
        scores: Tensor = self.score(torch.relu(inner)).squeeze(-1)
        return scores

    def _shared(self, tokens: Float[Tensor, "L D"], gaps: Float[Tensor, " L"], query: Float[Tensor, "B D"]) -> Float[Tensor, "B L"]:
        """The same where all rows have one past: what the target does not change is computed once."""
        events = self.event(tokens) + gaps.unsqueeze(-1) * self.gap  # (L, hidden)
        met = torch.addcmul(self.asked.weight.t(), tokens.unsqueeze(-1), self.product)  # (L, D, hidden)
        inner = torch.addmm(events.flatten(), query, met.transpose(0, 1).flatten(1)).relu_()  # (B, L * hidden)
        scores: Tensor = self.score(inner.view(len(query), len(tokens), -1)).squeeze(-1)
        return scores

"""A history read by causal self-attention."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from banyan.errors import ConfigError
from banyan.history import History
from banyan.history._gaps import EDGES, between, buckets
from banyan.history._order import back, forth, last, moved


class Transformer(History):
    """The newest event after blocks in which each event attends to itself and the earlier ones (SASRec; Kang and McAuley, ICDM 2018).

    Order enters by rotating queries and keys (RoPE; Su et al., 2021, eq. 16), time by an embedded bucket of the days since the event before.
    Norms come first in a block (Xiong et al., ICML 2020). A row without events gives a learned vector.

    blocks, heads: how many. inner: width inside, a multiple of 2 * heads; the width of a token, raised to such a multiple, unless given.
    dropout: share zeroed at the input and after each half block in training.
    """

    causal = True

    def __init__(self, width: int, *, blocks: int = 2, heads: int = 2, inner: int | None = None, dropout: float = 0.1) -> None:
        super().__init__(width)
        inner = -(-width // (2 * heads)) * 2 * heads if inner is None else inner
        if inner % (2 * heads) or inner < 1:
            raise ConfigError(f"history 'transformer': inner is {inner}; it takes a multiple of 2 * heads = {2 * heads}.")
        self.into = nn.Linear(width, inner)
        self.since = nn.Embedding(len(EDGES) + 1, inner)
        nn.init.normal_(self.since.weight, std=0.1 * inner**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(inner, heads, dropout) for _ in range(blocks))
        self.out = nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, width))
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
        """(B, L, inner), padding behind."""
        x: Tensor = self.dropout(moved(self.into(tokens) + self.since(buckets(between(gaps, mask))), places))
        for block in self.blocks:
            x = block(x)
        return x


class _Block(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, W) -> (B, L, W)."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, L, W / heads) each
        seen = F.scaled_dot_product_attention(_rotated(q), _rotated(k), v, is_causal=True)  # no dropout in here: on a CPU it costs the fast kernel
        x = x + self.dropout(self.merge(seen.transpose(1, 2).flatten(2)))
        done: Tensor = x + self.dropout(self.network(self.norm2(x)))
        return done


def _rotated(x: Tensor) -> Tensor:
    """Each pair of entries turned by place * 10000^(-pair / pairs): products then depend on the distance of two places only."""
    half = x.shape[-1] // 2
    place = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)
    angle = place.unsqueeze(-1) * 10000 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

"""A history read by causal self-attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from banyan.errors import ConfigError
from banyan.history._causal import Causal
from banyan.history._gaps import EDGES, between, buckets
from banyan.history._order import moved
from banyan.parts import Share, Size


class Transformer(Causal):
    """The newest event after blocks in which each event attends to itself and the earlier ones (SASRec; Kang and McAuley, ICDM 2018).

    Order enters by rotating queries and keys (RoPE; Su et al., 2021, eq. 16), time by an embedded bucket of the days since the event before.
    Norms come first in a block (Xiong et al., ICML 2020). A row without events gives a learned vector.

    blocks, heads: how many. inner: width inside, a multiple of 2 * heads; the width of a token, raised to such a multiple, unless given.
    dropout: share zeroed at the input and after each half block in training.
    """

    def __init__(self, width: int, *, blocks: Size = 2, heads: Size = 1, inner: Size | None = None, dropout: Share = 0.1) -> None:
        super().__init__(width)
        inner = -(-width // (2 * heads)) * 2 * heads if inner is None else inner
        if inner % (2 * heads) or inner < 1:
            raise ConfigError(f"history 'transformer': inner is {inner}; it takes a multiple of 2 * heads = {2 * heads}.")
        self.into = nn.Linear(width, inner)
        self.since = nn.Embedding(len(EDGES) + 1, inner)
        nn.init.normal_(self.since.weight, std=0.1 * inner**-0.5)
        self.norm = nn.LayerNorm(inner)  # embeddings begin small: unscaled, what a block adds would drown the event itself
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(inner, heads, dropout) for _ in range(blocks))
        self.out = nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, width))
        self.empty = nn.Parameter(torch.randn(width) * width**-0.5)

    def _states(self, tokens: Tensor, gaps: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """(B, L, inner), padding behind."""
        x: Tensor = self.dropout(moved(self.norm(self.into(tokens) + self.since(buckets(between(gaps, mask)))), places))
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
        q, k, v = self._heads(self.qkv(self.norm1(x)))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # no dropout in here: on a CPU it costs the fast kernel
        x = x + self.dropout(self.merge(seen.transpose(1, 2).flatten(2)))
        done: Tensor = x + self.dropout(self.network(self.norm2(x)))
        return done

    def _heads(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, L, 3W) -> three of (B, heads, L, W / heads), queries and keys rotated.

        The first W columns hold the first entry of every pair, the next W the second: rotating them is arithmetic on long runs.
        """
        first, second, v = qkv.chunk(3, dim=-1)
        pairs = qkv.shape[-1] // 3 // self.heads // 2
        cos, sin = _turns(qkv.shape[1], pairs, qkv)
        cos, sin = cos.repeat(1, 2 * self.heads), sin.repeat(1, 2 * self.heads)  # (L, W): queries, then keys, of all heads
        turned = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-2)  # (B, L, 2, W)
        q, k = turned.view(*turned.shape[:3], 2, self.heads, pairs).permute(3, 0, 4, 1, 2, 5).flatten(-2)
        return q, k, v.view(*v.shape[:2], self.heads, 2 * pairs).transpose(1, 2)


def _turns(length: int, pairs: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine (L, pairs) of place * 10000^(-pair / pairs): products then depend on the distance of two places only."""
    place = torch.arange(length, device=like.device, dtype=torch.float32)
    angle = place.unsqueeze(-1) * 10000 ** (-torch.arange(pairs, device=like.device, dtype=torch.float32) / pairs)
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)

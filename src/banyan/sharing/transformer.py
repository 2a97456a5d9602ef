"""Transformer: one learned token a view attends to the row's tokens, which attend to each other."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from banyan.errors import ConfigError
from banyan.sharing import Sharing
from banyan.sharing._blocks import linear, mlp, refuse
from banyan.types import Sizes


class Transformer(Sharing):
    """Encoder blocks, normed before each step (Vaswani et al., NeurIPS 2017; Xiong et al., ICML 2020), with one learned query token a view.

    t <- t + attention(norm(t), norm(row));  t <- t + feed(norm(t))  for t the row's tokens and the view tokens;  view_v = norm(view token v)

    Keys and values come from the row's tokens alone. So a view does not depend on which others are asked for, and the last block
    runs for the view tokens only: with few views asked it costs little.
    """

    def __init__(self, sizes: Sizes, *, hidden: int = 32, heads: int = 2, blocks: int = 2, dropout: float = 0.0) -> None:
        """`hidden`: width of a token inside, and H. `heads`: of the attention; divides `hidden`. `blocks`: how many. `dropout`: share dropped in training.

        Raises ConfigError when `heads` does not divide `hidden`.
        """
        super().__init__(sizes)
        refuse("transformer", dropout=dropout, hidden=hidden, heads=heads, blocks=blocks)
        if hidden % heads:
            raise ConfigError(f"sharing 'transformer': option 'heads' is {heads} and 'hidden' is {hidden}; 'heads' must divide 'hidden'.")
        self.width = hidden
        self.enter = linear(sizes.width, hidden)
        self.place = nn.Parameter(torch.empty(sizes.tokens, hidden).normal_(0.0, 0.02))  # which feature a token is
        self.asking = nn.ParameterList([nn.Parameter(torch.empty(hidden).normal_(0.0, 1.0)) for _ in range(sizes.views)])
        self.blocks = nn.ModuleList([_Block(hidden, heads, dropout) for _ in range(blocks)])
        self.leave = nn.LayerNorm(hidden)

    def forward(self, x: Float[Tensor, "B S D"], scenario: Int[Tensor, " B"], views: Sequence[int]) -> Float[Tensor, "V B H"]:
        """The row's tokens once; the tokens of the views asked for beside them."""
        row = self.enter(x) + self.place
        asked = torch.stack([self.asking[view] for view in views]).expand(x.shape[0], -1, -1)
        for block in self.blocks[:-1]:
            both = block(torch.cat([row, asked], 1), row)
            row, asked = both.split([row.shape[1], asked.shape[1]], 1)
        out: Tensor = self.leave(self.blocks[-1](asked, row))
        return out.transpose(0, 1)

    def owned(self, view: int) -> list[nn.Parameter]:
        """The view's token."""
        return [self.asking[view]]


class _Block(nn.Module):
    """Attention of some tokens to the row's, then a feed-forward step; each adds to what it read."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before, self.between = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.query, self.keys, self.values, self.out = (linear(hidden, hidden) for _ in range(4))
        self.feed = nn.Sequential(mlp(hidden, [2 * hidden], dropout), linear(2 * hidden, hidden))

    def forward(self, tokens: Float[Tensor, "B T H"], row: Float[Tensor, "B S H"]) -> Float[Tensor, "B T H"]:
        tokens = tokens + self._drop(self._attend(self.before(tokens), self.before(row)))
        return tokens + self._drop(self.feed(self.between(tokens)))

    def _attend(self, tokens: Tensor, row: Tensor) -> Tensor:
        # Written out: the fused kernel has no second derivative and no batched one, which gradient balancers need.
        query, key, value = (self._split(each) for each in (self.query(tokens), self.keys(row), self.values(row)))
        weight = (query / math.sqrt(query.shape[-1]) @ key.mT).softmax(-1).to(value.dtype)
        out: Tensor = self.out((weight @ value).transpose(1, 2).flatten(2))
        return out

    def _split(self, each: Tensor) -> Tensor:
        return each.view(*each.shape[:2], self.heads, -1).transpose(1, 2)  # (B, heads, T, H / heads)

    def _drop(self, each: Tensor) -> Tensor:
        return functional.dropout(each, self.dropout, self.training)

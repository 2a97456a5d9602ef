"""Time between neighbouring events, which unlike the time to the row says the same at every position of a history."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# Days, off every grid of days, hours and seconds: a rhythm must not flip between buckets by a rounding error.
EDGES = (0.0005, 0.007, 0.0401, 0.2601, 0.6001, *(days + 0.02001 for days in (1.5, 2.5, 4.5, 6.5, 7.5, 13.5, 20.5, 27.5, 45.5, 90.5, 182.5, 364.5)))


def between(gaps: Float[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """log1p of the days since the event before, from log1p of the days to the row; 0 for the first event and for padding."""
    days = torch.where(mask, torch.expm1(gaps), 0)
    since = torch.log1p((days[:, :-1] - days[:, 1:]).clamp(min=0))
    since = torch.where(mask[:, :-1] & mask[:, 1:], since, 0)
    return torch.cat([torch.zeros_like(gaps[:, :1]), since], dim=1)


def buckets(since: Float[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """Which of len(EDGES) + 1 buckets each log1p of days falls into."""
    edges = torch.log1p(torch.tensor(EDGES, dtype=since.dtype, device=since.device))
    return torch.bucketize(since, edges)

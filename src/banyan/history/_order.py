"""Moves padding from the front of a history to its end and back.

With padding behind, no real event ever comes after a padded one: a causal reader then needs no mask, and padding cannot reach an answer.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def forth(mask: Bool[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """For each place with padding behind, the place that it is read from; events keep their order."""
    return torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)


def back(places: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """The inverse of `forth`'s answer."""
    return torch.argsort(places, dim=1)


def moved(values: Float[Tensor, "B L D"], places: Int[Tensor, "B L"]) -> Float[Tensor, "B L D"]:
    """The values at the places, row by row."""
    rows = torch.arange(len(places), device=places.device).unsqueeze(1) * places.shape[1]
    return values.flatten(0, 1).index_select(0, (rows + places).flatten()).view(*places.shape, values.shape[-1])


def last(values: Float[Tensor, "B L D"], mask: Bool[Tensor, "B L"]) -> Float[Tensor, "B D"]:
    """The value of the newest event when padding lies behind; the first place's for a row without events."""
    newest = (mask.sum(1) - 1).clamp(min=0)
    return values[torch.arange(len(values), device=values.device), newest]

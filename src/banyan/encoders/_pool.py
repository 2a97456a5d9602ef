"""The masked mean of embedding rows."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_mean(embedded: Float[Tensor, "n K D"], mask: Bool[Tensor, "n K"] | None) -> Float[Tensor, "n D"]:
    """Mean of the rows that count; zeros where none does. One batched product, so that no masked copy of `embedded` is made."""
    if embedded.shape[1] == 0:
        return embedded.sum(1)
    if mask is None:
        return embedded.mean(1)
    share = mask.to(embedded.dtype)
    share = share / share.sum(1, keepdim=True).clamp(min=1)
    return (share.unsqueeze(1) @ embedded).squeeze(1)


def given(embedded: Float[Tensor, "n K D"], mask: Bool[Tensor, "n K"] | None) -> Bool[Tensor, "n 1"]:
    """Which values have at least one row that counts."""
    if mask is None:
        return embedded.new_full((len(embedded), 1), embedded.shape[1] > 0).bool()
    return mask.any(1, keepdim=True)

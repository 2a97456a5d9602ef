"""Each loss's own gradient on the shared tensors, in one backward pass a loss."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def rows(losses: Float[Tensor, " P"], shared: Sequence[Tensor]) -> Iterator[list[Tensor | None]]:
    """For each loss in turn, its gradient on each of `shared`; None where it does not reach.

    All other parameters gather their plain gradients in `.grad` on the way, so P passes do the work of P + 1.
    `.grad` of the shared tensors is left as it was; the graph is freed after the last row.
    """
    prior = [tensor.grad for tensor in shared]
    for place in range(len(losses)):
        for tensor in shared:
            tensor.grad = None
        torch.autograd.backward(losses[place], retain_graph=place + 1 < len(losses))
        row = [tensor.grad for tensor in shared]
        if place + 1 == len(losses):
            for tensor, grad in zip(shared, prior, strict=True):
                tensor.grad = grad
        yield row


def leave(tensor: Tensor, grad: Tensor) -> None:
    """Add `grad` to what `tensor.grad` holds."""
    tensor.grad = grad if tensor.grad is None else tensor.grad + grad


def in_common(norms: Float[Tensor, "P T"]) -> Bool[Tensor, " T"]:
    """Of which tensors two or more losses have a gradient, given each loss's norm on each tensor.

    What reaches a tensor in the graph may still have a gradient of exactly 0 there (the gate of another view): such a tensor is the
    business of one loss in this step.
    """
    return torch.count_nonzero(norms, 0) > 1

"""Parts that do not move in training: what began as the bundle's, for all epochs or for the first ones."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from banyan.graft.carry import EMBEDDINGS
from banyan.model import Network

ENCODERS, TRUNK, HEADS, ALL = "encoders", "trunk", "heads", "all-but-new"
PARTS_FROZEN = (ENCODERS, TRUNK, HEADS, ALL)


def kind(key: str) -> str:
    """Of which of the parts a weight is one."""
    words = key.split(".")
    if words[0] == "embeddings" or words[2:3] == ["sources"]:
        return ENCODERS
    return TRUNK if words[0] == "trunks" else HEADS


class Still:
    """Holds what was carried where it is: its gradient is 0, and what weight decay moved is put back.

    Only entries that began as the bundle's are held; a new id's row, or a new feature's column of a held layer, learns.
    """

    def __init__(self, network: Network, masks: Mapping[str, Tensor], frozen: Sequence[str], steps: int | None = None) -> None:
        """`frozen`: some of `PARTS_FROZEN`. `steps`: of training, after which all is free; None for never."""
        chosen = {key: mask for key, mask in masks.items() if ALL in frozen or kind(key) in frozen}
        self.steps = steps
        self.rows = chosen[EMBEDDINGS].any(1).to(network.embeddings.weight.device) if EMBEDDINGS in chosen else None
        parameters = dict(network.named_parameters())
        self.held: list[tuple[nn.Parameter, Tensor, Tensor]] = [
            (parameters[key], mask.to(parameters[key].device), parameters[key].detach().clone())
            for key, mask in chosen.items()
            if key in parameters and mask.any()
        ]

    def hold(self, number: int, rows: Tensor, leaf: Tensor) -> None:
        """Before step `number` moves anything: take the gradients away. `rows` of the embeddings are `leaf`."""
        if self._free(number):
            return
        for parameter, mask, _ in self.held:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(mask, 0.0)
        if self.rows is not None and leaf.grad is not None:
            leaf.grad[self.rows[rows]] = 0.0

    @torch.no_grad()
    def put_back(self, number: int) -> None:
        """After it moved: what weight decay did to held entries is undone."""
        if not self._free(number):
            for parameter, mask, kept in self.held:
                parameter.copy_(torch.where(mask, kept, parameter))

    def _free(self, number: int) -> bool:
        return self.steps is not None and number >= self.steps

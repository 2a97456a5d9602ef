"""What keeps a network near where it started: parts that do not move, for all epochs or for the first ones, and a pull on the others."""

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
    """Holds what was carried where it is, or draws it back there. Only entries that began as the bundle's; new ids, columns and heads learn freely.

    Held: the gradient is 0, and what weight decay moved is put back.
    Drawn: w <- w + rate * pull * (w_0 - w) after each step: the weight decay of training, towards the start instead of 0 (Li, Grandvalet and Davoine,
    ICML 2018, eq. 1, decoupled from Adam's moments as in Loshchilov and Hutter, ICLR 2019).
    """

    def __init__(self, network: Network, masks: Mapping[str, Tensor], frozen: Sequence[str], steps: int | None = None, pull: float = 0.0) -> None:
        """`frozen`: some of `PARTS_FROZEN`. `steps`: of training, after which all is free of that; None for never. `pull`: of what is not frozen."""
        parameters, table = dict(network.named_parameters()), network.embeddings.weight
        chosen = {key for key in masks if ALL in frozen or kind(key) in frozen}
        self.steps, self.pull, self.table = steps, pull, table
        row = masks[EMBEDDINGS].any(1).to(table.device) if EMBEDDINGS in masks else torch.zeros(len(table), dtype=torch.bool, device=table.device)
        self.rows = row if EMBEDDINGS in chosen else None
        self.near = row[:, None] * pull if pull else None
        self.start = table.detach().clone() if pull else None
        each = [(key, parameters[key], mask.to(parameters[key].device)) for key, mask in masks.items() if key in parameters and mask.any()]
        self.held: list[tuple[nn.Parameter, Tensor, Tensor]] = [(p, mask, p.detach().clone()) for key, p, mask in each if key in chosen]
        self.drawn: list[tuple[nn.Parameter, Tensor, Tensor]] = [(p, mask * pull, p.detach().clone()) for key, p, mask in each if pull]

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
    def put_back(self, number: int, rows: Tensor, rates: tuple[float, float]) -> None:
        """After it moved: what weight decay did to held entries is undone, and the others are drawn to where they started."""
        for parameter, pull, start in self.drawn:
            parameter.lerp_(start, (rates[0] * pull).clamp_(max=1.0))
        if self.start is not None and self.near is not None:
            now = self.table.index_select(0, rows)
            self.table.index_copy_(0, rows, now.lerp(self.start.index_select(0, rows), (rates[1] * self.near[rows]).clamp(max=1.0).expand_as(now)))
        if not self._free(number):
            for parameter, mask, kept in self.held:
                parameter.copy_(torch.where(mask, kept, parameter))

    def _free(self, number: int) -> bool:
        return self.steps is not None and number >= self.steps

"""The gradients of a step: of the tasks through the balancer, of auxiliary tasks past it, and of the sharing architecture's penalty. Moves nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan.balancing import Balancer
from banyan.model import Network
from banyan.training.reach import shared_tensors
from banyan.types import Step


@dataclass
class Losses:
    """The losses of a step (nats), which still hang on the graph."""

    leaf: Float[Tensor, "U D"]  # the step's embeddings
    each: Float[Tensor, " P"]  # of the views present
    present: list[int]  # their numbers
    asked: Mapping[str, Tensor]  # of auxiliary tasks


class Gradients:
    """Computes losses, and leaves their gradients on the dense parameters and on the leaf of the step's embeddings."""

    def __init__(self, network: Network, balancer: Balancer, dense: Sequence[nn.Parameter], device: torch.device, *, bf16: bool) -> None:
        self.network, self.balancer, self.dense = network, balancer, dense
        self.device, self.bf16 = device, bf16
        self._reached: dict[tuple[int, ...], list[int]] = {}  # views present -> which tensors several of them share

    def losses(self, step: Step) -> Losses:
        """The losses of a step; those of auxiliary tasks only where gradients are wanted."""
        leaf = self.network.embeddings.leaf(step.distinct)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            encoded = self.network.encode(step, leaf)
            raw = self.network.answers(step, encoded)
            asked = self.network.asked(step, encoded) if torch.is_grad_enabled() else {}
        losses, present = self.network.losses(step, raw)
        return Losses(leaf, losses, present, asked)

    def leave(self, losses: Losses, weights: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """Leave the gradients of losses that count as much as `weights` say; the weights that the balancer gave beside."""
        beside = self._beside(losses)
        given = self._balanced(losses, weights) if losses.present else losses.each
        penalty = self.network.penalty()
        if penalty.requires_grad:
            torch.autograd.backward(penalty)
        _add(beside)
        return given

    def look_back(self, step: Step, weights: Float[Tensor, " P"], present: Sequence[int]) -> None:
        """After the step: show its effect to a balancer that looks at it."""
        if self.balancer.looks_back and present:
            with torch.no_grad():
                after = self.losses(step).each
            self.balancer.after(after * weights, present)

    def _beside(self, losses: Losses) -> list[tuple[Tensor, Tensor]]:
        """(Tensor, its gradient of the auxiliary losses, each at its own weight): taken before the balancer, which knows nothing of them."""
        if not losses.asked:
            return []
        tensors = [*self.dense, losses.leaf]
        total = torch.stack([self.network.auxiliary_specs[name].weight * loss for name, loss in losses.asked.items()]).sum()
        gradients = torch.autograd.grad(total, tensors, retain_graph=True, allow_unused=True)
        return [(tensor, gradient) for tensor, gradient in zip(tensors, gradients, strict=True) if gradient is not None]

    def _balanced(self, losses: Losses, weights: Tensor) -> Tensor:
        """Have the balancer leave its gradients; the weights that it gave."""
        weighted = losses.each * weights
        found: Tensor = self.balancer.backward(weighted, losses.present, self._shared(weighted, losses))
        return found

    def _shared(self, weighted: Tensor, losses: Losses) -> list[Tensor]:
        if not self.balancer.reads_shared:
            return []
        key, tensors = tuple(losses.present), [*self.dense, losses.leaf]
        if key not in self._reached:
            places = {id(t): i for i, t in enumerate(tensors)}
            self._reached[key] = [places[id(t)] for t in shared_tensors(weighted, tensors)]
        return [tensors[i] for i in self._reached[key]]


def _add(gradients: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Add to what the balancer left."""
    for tensor, gradient in gradients:
        tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient

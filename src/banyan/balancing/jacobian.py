"""Aggregation of the tasks' gradients on what they share, by any aggregator of TorchJD."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchjd.aggregation import Aggregator, WeightedAggregator

from banyan.balancing import Balancer, _lent
from banyan.balancing._rows import in_common, leave, rows
from banyan.errors import ConfigError


class Jacobian(Balancer):
    """Jacobian descent (Quinton and Rey, 2024): shared tensors get aggregator(J), J (P, n) holding one loss's gradient a row.

    Parameters that a single loss reaches get their plain gradient. One backward pass a view present, and P * n numbers of memory.

    The solvers' tolerances are absolute, so an aggregator sees J divided by its Frobenius norm and its result is scaled back by that
    norm to the power of the method's degree (1, but for NashMTL and FairGrad). PCD averages norms over steps and sees J as it is.
    A step with one view present, or fewer than the aggregator can take (Krum, TrimmedMean), is a plain step. So is one whose J is
    not finite: what the loop does with such a gradient does not depend on the balancer.

    GradVac, PCD and NashMTL remember. One aggregator is kept for each set of present views, so a view that is absent changes no
    state in which it takes part; `state_dict` holds each set's state under the set's name, such as `0-2`.
    Aggregators that draw at random (PCGrad, GradVac, GradDrop, Random) draw from torch's global generator.
    """

    least = 2
    reads_shared = True

    def __init__(self, views: int, *, aggregator: str = "UPGrad", options: dict[str, Any] | None = None) -> None:
        """`aggregator`: a class of `torchjd.aggregation`, hyphens and capitals as you like. `options`: its arguments.

        An option that is a list of V numbers (`pref_vector`, `leak`, `weights`) has one for each view.
        Raises ConfigError (unknown aggregator or option, too few views) and MissingExtraError (CAGrad, NashMTL, FairGrad).
        """
        super().__init__(views)
        self.kind = _lent.find(aggregator)
        self.options = dict(options or {})
        self.remembers = _lent.stateful(self.kind)
        self._sets: dict[tuple[int, ...], Aggregator | None] = {}
        self._check()

    def backward(self, losses: Float[Tensor, " P"], present: Sequence[int], shared: Sequence[Tensor]) -> Float[Tensor, " P"]:
        """Leaves the gradients; the weights are those of the rows of J, or 1 where the aggregator has none."""
        aggregator = self._of(tuple(present)) if len(present) > 1 and len(shared) > 0 else None
        if aggregator is None:
            torch.autograd.backward(losses.sum())
            return losses.new_ones(len(present))
        each = list(rows(losses, shared))
        here = [place for place, row in enumerate(each) if any(grad is not None for grad in row)]  # others read what is shared and do not move it
        jacobian = torch.stack([_flat(row, shared) for row in each])
        pieces = torch.split(jacobian, [tensor.numel() for tensor in shared], dim=1)
        common = in_common(torch.stack([torch.linalg.vector_norm(piece, dim=1) for piece in pieces], 1)).tolist()
        for tensor, piece in [(tensor, piece) for tensor, piece, two in zip(shared, pieces, common, strict=True) if not two]:
            leave(tensor, piece.sum(0).view_as(tensor).to(tensor.dtype))
        if not any(common):
            return losses.new_ones(len(present))
        if not all(common):
            jacobian = torch.cat([piece for piece, two in zip(pieces, common, strict=True) if two], 1)
        weights = losses.new_ones(len(present))
        if len(here) < len(present):
            aggregator = self._of(tuple(present[place] for place in here)) if len(here) > 1 else None
        vector = jacobian.sum(0)
        if aggregator is not None:
            vector, some = self._aggregated(aggregator, jacobian[here])
            weights[here] = some.to(weights)
        self._hand_out(vector, [tensor for tensor, two in zip(shared, common, strict=True) if two])
        return weights

    @staticmethod
    def _hand_out(vector: Float[Tensor, " n"], tensors: Sequence[Tensor]) -> None:
        for tensor, piece in zip(tensors, torch.split(vector, [tensor.numel() for tensor in tensors]), strict=True):
            leave(tensor, piece.view_as(tensor).to(tensor.dtype))

    def _aggregated(self, aggregator: Aggregator, jacobian: Float[Tensor, "P n"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " P"]]:
        ones = jacobian.new_ones(len(jacobian))
        size = float(torch.linalg.vector_norm(jacobian))
        if size == 0 or not math.isfinite(size):
            return jacobian.sum(0), ones
        degree = _lent.degree(aggregator)
        matrix, back = (jacobian, 1.0) if degree is None else (jacobian / size, size**degree)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a solver that stops early says so; its last iterate is what there is
            if not isinstance(aggregator, WeightedAggregator):
                return aggregator(matrix) * back, ones
            weights = aggregator.weighting(matrix).to(matrix)
        return (weights @ matrix) * back, weights * (back if degree is None else back / size)

    def _of(self, present: tuple[int, ...]) -> Aggregator | None:
        """The aggregator of a set of present views; None where it cannot take so few."""
        if present not in self._sets:
            try:
                self._sets[present] = self._made(present)
            except ConfigError:
                self._sets[present] = None
        return self._sets[present]

    def _made(self, present: tuple[int, ...]) -> Aggregator:
        given = {key: [value[view] for view in present] if self._each(value) else value for key, value in self.options.items()}
        _tried(_lent.make(self.kind, given, len(present)), len(present))
        return _lent.make(self.kind, given, len(present))

    def _each(self, value: Any) -> bool:
        return isinstance(value, list) and len(value) == self.views

    def _check(self) -> None:
        for key, value in self.options.items():
            if isinstance(value, list) and not self._each(value):
                raise ConfigError(f"balancing 'jacobian': option {key!r} has {len(value)} numbers; it takes one for each of the model's {self.views} losses.")
        self._made(tuple(range(self.views)))

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for present, aggregator in self._sets.items():
            if self.remembers and aggregator is not None:
                destination[prefix + "-".join(map(str, present))] = _lent.read(aggregator)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        self._sets.clear()
        for key in [key for key in state_dict if key.startswith(prefix)] if self.remembers else []:
            present = tuple(int(view) for view in key.removeprefix(prefix).split("-"))
            aggregator = self._made(present)
            _lent.write(aggregator, state_dict[key], len(present))
            self._sets[present] = aggregator


def _flat(row: Sequence[Tensor | None], shared: Sequence[Tensor]) -> Float[Tensor, " n"]:
    return torch.cat([(torch.zeros_like(tensor) if grad is None else grad).flatten().float() for grad, tensor in zip(row, shared, strict=True)])


def _tried(aggregator: Aggregator, rows_: int) -> None:
    """Refuse now what the aggregator would refuse in the first step; leaves torch's generators as they were."""
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            aggregator(torch.eye(rows_))
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"{type(aggregator).__name__} does not work with {rows_} losses and these options: {error}") from error

"""Which tensors two or more losses reach: a walk over the graph that autograd recorded, without arithmetic.

Knows neither model nor tasks.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

Mask = int | list[int]  # bit i: loss i depends on it. A list holds one for each place along the first axis
_MOST = 64  # longer first axes are rows, not losses or views, and are taken as one

_ELEMENTWISE = {
    f"{name}Backward0"
    for name in (
        *("Mul", "Div", "Add", "Sub", "Neg", "Exp", "Log", "Sqrt", "Clamp", "ClampMin", "Where", "ToCopy", "Clone"),
        *("Sigmoid", "Softplus", "LogSigmoid", "Tanh", "Relu", "BinaryCrossEntropyWithLogits"),
    )
}


def shared_tensors(losses: Float[Tensor, " P"], candidates: Sequence[Tensor]) -> list[Tensor]:
    """Those of `candidates` (leaf tensors) on which two or more of the losses depend, in the order given.

    Losses that were stacked, concatenated or scaled, and views that were stacked and picked apart again, are told apart; where an
    operation mixes its first axis every loss counts that reaches it. So a tensor may be named whose second gradient is exactly 0,
    but none is left out. Costs some microseconds an operation of the forward pass, whatever the number of losses.
    """
    found = reach(losses)
    return [tensor for tensor in candidates if found.get(id(tensor), 0).bit_count() > 1]


def reach(losses: Float[Tensor, " P"]) -> dict[int, int]:
    """For every leaf (by `id`) the losses that depend on it: bit i is set for loss i."""
    found: dict[int, int] = {}
    if losses.grad_fn is None:
        return found
    waiting: dict[Any, dict[int, Mask]] = {losses.grad_fn: {losses.output_nr: [1 << place for place in range(len(losses))]}}
    heap = [(-_number(losses.grad_fn), 0, losses.grad_fn)]  # later operations first, so that a node is met once, with all it hands down
    pushed = 0
    while heap:
        _, _, node = heapq.heappop(heap)
        for (before, output), mask in zip(node.next_functions, _handed(node, waiting.pop(node)), strict=True):
            if before is None:
                continue
            if hasattr(before, "variable"):
                found[id(before.variable)] = found.get(id(before.variable), 0) | _union(mask)
                continue
            if before not in waiting:
                pushed += 1
                waiting[before] = {}
                heapq.heappush(heap, (-_number(before), pushed, before))
            waiting[before][output] = _both(waiting[before].get(output, 0), mask)
    return found


def _number(node: Any) -> int:
    return int(node._sequence_nr())


def _union(mask: Mask) -> int:
    if isinstance(mask, int):
        return mask
    total = 0
    for each in mask:
        total |= each
    return total


def _both(one: Mask, other: Mask) -> Mask:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [a | b for a, b in zip(one, other, strict=True)]
    if one == 0:
        return other
    if isinstance(other, int) and isinstance(one, list):
        return [a | other for a in one]
    if isinstance(one, int) and isinstance(other, list):
        return [one | b for b in other]
    return _union(one) | _union(other)


def _handed(node: Any, outputs: dict[int, Mask]) -> list[Mask]:
    """What a node hands to each of its inputs."""
    rule = _RULES.get(node.name()) or (_same if node.name() in _ELEMENTWISE else None)
    masks = rule(node, outputs) if rule else None
    if masks is not None:
        return masks
    total = 0
    for mask in outputs.values():
        total |= _union(mask)
    return [total] * len(node.next_functions)


def _shapes(node: Any) -> Iterator[tuple[int, ...]]:
    for before, output in node.next_functions:
        meta = getattr(before, "_input_metadata", None)
        yield tuple(before.variable.shape) if hasattr(before, "variable") else tuple(meta[output].shape) if meta else ()


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _along_first(node: Any, axes: int) -> bool:
    return _signed(node._saved_dim) in (0, -axes)


def _same(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    shape = tuple(node._input_metadata[0].shape)
    return [outputs[0] if each == shape else _union(outputs[0]) for each in _shapes(node)]


def _stack(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    mask = outputs[0]
    if isinstance(mask, int) or not _along_first(node, len(node._input_metadata[0].shape)):
        return None
    return list(mask)


def _cat(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    mask, shapes = outputs[0], list(_shapes(node))
    if isinstance(mask, int) or not _along_first(node, len(node._input_metadata[0].shape)) or () in shapes or sum(s[0] for s in shapes) != len(mask):
        return None
    pieces: list[Mask] = []
    start = 0
    for shape in shapes:
        pieces.append(mask[start : start + shape[0]])
        start += shape[0]
    return pieces


def _placed(node: Any, places: list[int], mask: Mask) -> list[Mask] | None:
    """The masks of an input of which only `places` along the first axis were read."""
    length = int(node._saved_self_sym_sizes[0])
    if length > _MOST:
        return None
    full = [0] * length
    for number, place in enumerate(places):
        full[place] |= mask if isinstance(mask, int) else mask[number]
    return [full] + [0] * (len(node.next_functions) - 1)


def _select(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    if not _along_first(node, len(node._saved_self_sym_sizes)):
        return None
    return _placed(node, [_signed(node._saved_index)], _union(outputs[0]))


def _slice(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    if not _along_first(node, len(node._saved_self_sym_sizes)):
        return None
    length = int(node._saved_self_sym_sizes[0])
    return _placed(node, list(range(length))[_signed(node._saved_start) : _signed(node._saved_end) : node._saved_step], outputs[0])


def _index_select(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    if not _along_first(node, len(node._saved_self_sym_sizes)) or len(node._saved_index) > _MOST:
        return None
    return _placed(node, node._saved_index.tolist(), outputs[0])


def _index(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    first = node._saved_indices[0]
    if first is None or first.dtype.is_floating_point or first.dtype.itemsize == 1 or first.ndim != 1 or len(first) > _MOST or len(node._saved_indices) > 1:
        return None
    return _placed(node, first.tolist(), outputs[0])


def _unbind(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    pieces = node._input_metadata
    if not _along_first(node, len(pieces[0].shape) + 1) or len(pieces) > _MOST:
        return None
    return [[_union(outputs.get(place, 0)) for place in range(len(pieces))]]


def _reduced(node: Any, outputs: dict[int, Mask]) -> list[Mask] | None:
    """A sum or mean over other axes than the first keeps its places."""
    axes = len(node._saved_self_sym_sizes)
    gone = {_signed(each) % axes for each in node._saved_dim} if axes else {0}
    return None if 0 in gone or not gone else [outputs[0]]


_RULES: dict[str, Callable[[Any, dict[int, Mask]], list[Mask] | None]] = {
    "StackBackward0": _stack,
    "CatBackward0": _cat,
    "SelectBackward0": _select,
    "SliceBackward0": _slice,
    "IndexSelectBackward0": _index_select,
    "IndexBackward0": _index,
    "UnbindBackward0": _unbind,
    "SumBackward1": _reduced,
    "MeanBackward1": _reduced,
}

"""The optimiser of the dense part, and its state as named tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def adamw(dense: Sequence[nn.Parameter], own: Sequence[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, ICLR 2019) in one kernel; `own` are the balancer's parameters, which do not decay."""
    groups: list[dict[str, Any]] = [{"params": list(dense)}]
    if own:
        groups.append({"params": list(own), "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, fused=True)


def state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`number of the parameter/name` -> tensor."""
    return {f"{i}/{key}": value for i, each in optimiser.state_dict()["state"].items() for key, value in each.items()}


def load(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Go on from what `state` gave."""
    whole = optimiser.state_dict()
    whole["state"] = {}
    for key, value in tensors.items():
        number, name = key.split("/")
        whole["state"].setdefault(int(number), {})[name] = value
    optimiser.load_state_dict(whole)

"""What a fit tells: its record, and those who look on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

Figures = dict[str, dict[str, float]]  # task -> metric -> value


@dataclass
class Record:
    """What a fit did; the best epoch's weights are in the network when it ends."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: float = -math.inf
    first: dict[str, float] = field(default_factory=dict)  # each task's figure after the first epoch: the score's zero
    stale: int = 0
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rows: int = 0
    stopped: str = ""
    pseudo_labels: dict[str, dict[str, float]] = field(default_factory=dict)  # task -> what its last labels by the model were


@runtime_checkable
class Watch(Protocol):
    """Who looks on: a progress bar, a test, nobody."""

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float], pace: float) -> None:
        """Every few steps: losses by view (nats), rows a second."""

    def epoch(self, epoch: int, figures: Figures, score: float, best: bool) -> None:
        """After each validation."""

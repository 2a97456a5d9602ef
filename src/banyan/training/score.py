"""One number for how good an epoch's network is on validation, over all tasks."""

import math
from collections.abc import Mapping

import numpy as np

from banyan.tasks import Task


def signed(part: Task, figures: Mapping[str, float]) -> float:
    """A task's first metric, its sign turned where less is better; nan where it is undefined."""
    value = figures.get(part.best, math.nan)
    return value if part.rising else -value


def score(values: Mapping[str, float], weights: Mapping[str, float], first: dict[str, float]) -> float | None:
    """Weighted mean over tasks of the relative gain of each one's value (see `signed`) over its `first`; None where no task has one.

    A gain counts for at most 1 either way, so that no task's explosion decides for all. Tasks that have no first value yet get one.
    """
    known = {task: value for task, value in values.items() if math.isfinite(value)}
    if not known:
        return None
    gains = []
    for task, value in known.items():
        begun = first.setdefault(task, value)
        gains.append(max(-1.0, min(1.0, (value - begun) / max(abs(begun), 1e-6))))
    return float(np.average(gains, weights=[weights[task] for task in known]))

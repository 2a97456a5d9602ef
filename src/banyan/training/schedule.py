"""What changes over the steps: the learning rate, the rows that each table gives, the weight of each task.

Knows neither model nor data: it sees numbers of steps, sizes of tables and names of tasks.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from banyan.errors import ConfigError
from banyan.types import Array

Decay = Literal["constant", "linear", "cosine"]
Mix = Literal["sqrt", "equal", "rows"]
Weights = Literal["constant", "linear", "progress"]

_POWER: dict[Mix, float] = {"equal": 0.0, "sqrt": 0.5, "rows": 1.0}
_BETTER = 1e-6  # a metric has improved when it rose by more than this


def rate(step: int, steps: int, *, warmup: float = 0.05, decay: Decay = "cosine", least: float = 0.0) -> float:
    """The factor of the learning rate at `step` (from 0) of `steps`, in (0, 1].

    It rises linearly to 1 over the first `warmup` of the steps, then stays, falls linearly, or falls along half a cosine, towards
    `least` at `steps`. Steps past the end have the factor of the last one.
    """
    step = min(max(step, 0), max(steps - 1, 0))
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if decay == "constant":
        return 1.0
    gone = (step - rising) / max(steps - rising, 1)  # in [0, 1): the last step still moves
    fallen = gone if decay == "linear" else (1 - math.cos(math.pi * gone)) / 2
    return least + (1 - least) * (1 - fallen)


class TableMix:
    """How many rows each samples table gives to a step.

    A table's share of the batch is rows^0.5, 1 or rows, normalised. The total is the batch size in every step, by largest remainders,
    and a remainder is carried: what one step's rounding withholds from a table, a later step pays, so its sum over steps is exact
    to within a row or so. While the largest table is read once, no other is read more than `passes` times (its own number, where it has one).
    So a table whose share is less than one row is absent from most steps and gives one row in some. No table gives more rows to a
    step than it has; what that frees goes to the others. Nothing is drawn at random.
    """

    def __init__(self, rows: Mapping[str, int], batch: int, mix: Mix = "sqrt", passes: float | Mapping[str, float] = math.inf) -> None:
        """`rows`: rows of each table, `batch`: rows of a step, `passes`: most readings of a table while the largest is read once.

        Raises ConfigError for a table without rows or a batch below 1.
        """
        empty = [name for name, count in rows.items() if count < 1]
        if empty or not rows:
            raise ConfigError(f"samples {', '.join(empty) or '(none)'}: a table that trains needs at least one training row.")
        if batch < 1:
            raise ConfigError(f"training.batch is {batch}; a step needs at least one row.")
        self.names = list(rows)
        self.rows: Array = np.array([rows[name] for name in self.names], np.int64)
        wanted = self.rows.astype(np.float64) ** _POWER[mix]
        largest = int(np.argmax(self.rows))
        most = np.array([passes.get(name, math.inf) for name in self.names]) if isinstance(passes, Mapping) else np.full(len(self.names), passes)
        most[largest] = max(most[largest], 1.0)
        wanted = np.minimum(wanted, most * self.rows * (wanted[largest] / self.rows[largest]))
        self.shares = _capped(wanted, self.rows, batch)
        self.total = round(float(self.shares.sum()))  # of a step: the batch, or all rows where there are fewer
        self._due: Array = np.zeros(len(self.names))  # rows earned and not given yet

    def step(self) -> dict[str, int]:
        """Rows of each table in the next step; a table that gives none is left out."""
        self._due += self.shares
        given = np.clip(np.floor(self._due), 0, self.rows)
        gap = self.total - int(given.sum())  # fewer than there are tables
        while gap:
            sign = 1 if gap > 0 else -1
            room = given < self.rows if gap > 0 else given > 0
            given[np.argmax(np.where(room, sign * (self._due - given), -np.inf))] += sign
            gap -= sign
        self._due -= given
        return {name: int(count) for name, count in zip(self.names, given, strict=True) if count}

    def steps(self, name: str) -> int:
        """Steps until a table has given as many rows as it has: one pass of it."""
        place = self.names.index(name)
        return max(1, math.ceil(float(self.rows[place] / self.shares[place]) - 1e-9))

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; JSON-able."""
        return {"due": dict(zip(self.names, self._due.tolist(), strict=True))}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of the same tables."""
        self._due = np.array([float(state["due"][name]) for name in self.names])


def _capped(wanted: Array, rows: Array, batch: int) -> Array:
    """Shares of the batch in proportion to `wanted`, none above its rows; what is cut off is shared out among the rest."""
    full = np.zeros(len(rows), bool)
    shares: Array = np.zeros(len(rows))
    while not full.all():
        free = max(batch - float(rows[full].sum()), 0.0)
        shares = np.where(full, rows, wanted * free / wanted[~full].sum())
        over = ~full & (shares > rows)
        if not over.any():
            break
        full |= over
    return np.minimum(shares, rows)


class TaskWeights:
    """The weight of each task at a step.

    constant: as given. linear: from the given weight to the final one, evenly over the steps. progress: a task whose validation score
    has not improved for `patience` epochs is halved, again after each further `patience` without a better score, down to `floor` of
    its given weight; it is never raised again, since a task that is let go and fetched back makes the others oscillate.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        *,
        over_time: Weights = "constant",
        final: Mapping[str, float] | None = None,
        patience: int = 2,
        floor: float = 0.125,
    ) -> None:
        """`floor`: smallest share of its given weight that `progress` leaves a task. Raises ConfigError."""
        final = dict(final or {})
        unknown = sorted(set(final) - set(weights))
        if unknown:
            raise ConfigError(f"training.final_weights names {', '.join(unknown)}, which is no task. Tasks: {', '.join(weights)}.")
        if final and over_time != "linear":
            raise ConfigError(f"training.final_weights are only read with `weights: linear`; found `weights: {over_time}`.")
        if over_time == "linear" and not final:
            raise ConfigError("training.weights is 'linear' and training.final_weights is empty: give each task that shall change its weight at the end.")
        wrong = {name: value for name, value in {**weights, **final}.items() if not (math.isfinite(value) and value >= 0)}
        if wrong:
            raise ConfigError(f"The weight of a task is a finite number, not negative; found {wrong}.")
        self.start = dict(weights)
        self.final = {**weights, **final}
        self.over_time, self.patience, self.floor = over_time, patience, floor
        self._share = dict.fromkeys(weights, 1.0)
        self._best: dict[str, float] = {}
        self._stale = dict.fromkeys(weights, 0)

    def at(self, step: int, steps: int) -> dict[str, float]:
        """Each task's weight at `step` (from 0) of `steps`."""
        gone = min(step / max(steps - 1, 1), 1.0) if self.over_time == "linear" else 0.0
        return {name: ((1 - gone) * start + gone * self.final[name]) * self._share[name] for name, start in self.start.items()}

    def epoch(self, scores: Mapping[str, float]) -> list[str]:
        """Take an epoch's validation scores, higher is better; returns the tasks that were weighted down.

        A score that is nan, or a task without one, says nothing and changes nothing.
        """
        if self.over_time != "progress":
            return []
        return [name for name in self.start if name in scores and not math.isnan(scores[name]) and self._halved(name, scores[name])]

    def _halved(self, name: str, score: float) -> bool:
        if name not in self._best or score > self._best[name] + _BETTER:
            self._best[name], self._stale[name] = score, 0
            return False
        self._stale[name] += 1
        if self._stale[name] < self.patience or self._share[name] <= self.floor:
            return False
        self._stale[name] = 0
        self._share[name] = max(self._share[name] / 2, self.floor)
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; JSON-able."""
        return {"share": dict(self._share), "best": dict(self._best), "stale": dict(self._stale)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of the same tasks."""
        self._share = {name: float(state["share"][name]) for name in self.start}
        self._best = {name: float(value) for name, value in state["best"].items()}
        self._stale = {name: int(state["stale"][name]) for name in self.start}

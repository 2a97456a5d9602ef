"""Which tasks to train together: partitions that the measured affinities favour. Knows neither networks nor trials."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from banyan.training.affinity import Affinities
from banyan.types import Array

BEAM = 4_000  # partitions carried from task to task; exact up to nine tasks in three groups
LOSES = 0.005  # relative gain of a task alone from which on it is proposed to go by itself
MOST_ALONE = 3


@dataclass(frozen=True)
class Proposal:
    """Groups of tasks, of which one is all of them where nothing is parted, and the tasks that only read."""

    groups: tuple[tuple[str, ...], ...]
    stopped: tuple[str, ...] = ()
    why: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """How the table calls it."""
        parted = " | ".join(" ".join(group) for group in self.groups) if len(self.groups) > 1 else "together"
        return f"{parted}, stop {' '.join(self.stopped)}" if self.stopped else parted


def share(affinities: Affinities) -> Array:
    """[i, j] how far a step on i lowers j's loss, as a share of what j's own step does; within one standard error of 0 it counts as 0."""
    ahead, error = np.nan_to_num(affinities.ahead), np.nan_to_num(affinities.ahead_error)
    sure = np.sign(ahead) * np.maximum(np.abs(ahead) - error, 0)
    own = np.diag(affinities.ahead)
    usual = np.abs(ahead).max(0)
    unit = np.where(np.isfinite(own) & (own > 0), own, usual)
    found: Array = np.clip(sure / np.where(unit > 0, unit, 1), -2, 2)
    return found


def partition(value: Array, units: Sequence[Sequence[int]], most: int) -> list[list[int]]:
    """The partition of tasks into at most `most` groups with the highest sum over tasks of the mean help of the others in their group.

        sum over j of w_j,  w_j = mean over i in j's group, i != j, of value[i, j]; 0 for a task by itself

    as Fifty et al. (NeurIPS 2021, section 3.2) score groups. `units` are tasks that stay together. A beam over assignments, exact while it holds them all.
    """
    states: list[tuple[float, tuple[tuple[int, ...], ...]]] = [(0.0, ())]
    known: dict[tuple[int, ...], float] = {(): 0.0}
    for unit in units:
        grown = []
        for total, groups in states:
            for place in range(min(len(groups) + 1, most)):
                before = groups[place] if place < len(groups) else ()
                after = (*before, *unit)
                if after not in known:
                    known[after] = _score(value, after)
                grown.append((total - known[before] + known[after], (*groups[:place], after, *groups[place + 1 :])))
        states = sorted(grown, key=lambda state: (-state[0], len(state[1])))[:BEAM]
    return [sorted(group) for group in states[0][1]]


def _score(value: Array, group: Sequence[int]) -> float:
    if len(group) < 2:
        return 0.0
    block = value[np.ix_(group, group)]
    return float((block.sum() - np.trace(block)) / (len(group) - 1))


def proposals(affinities: Affinities, alone: dict[str, float], tied: Sequence[str] = (), most: int = 3) -> list[Proposal]:
    """All together first, then what the measurements speak for, the strongest first.

    `alone`: relative gain of each task trained alone over all together. `tied`: tasks that stay in one group, such as rankings.
    """
    tasks, value = affinities.tasks, share(affinities)
    units = [[tasks.index(t) for t in tied if t in tasks]] * bool(tied) + [[i] for i, t in enumerate(tasks) if t not in tied]
    found = [Proposal((tuple(tasks),), (), "all tasks share one trunk")]
    losing = sorted((t for t, gain in alone.items() if gain > LOSES and t not in tied), key=lambda t: -alone[t])[:MOST_ALONE]
    if losing and len(losing) < len(tasks):
        rest = tuple(t for t in tasks if t not in losing)
        found.append(Proposal((rest, *((t,) for t in losing)), (), f"{', '.join(losing)} did better alone at the first rung"))
    for count in range(2, most + 1):
        groups = tuple(tuple(tasks[i] for i in group) for group in partition(value, units, count))
        found.append(Proposal(tuple(sorted(groups, key=len, reverse=True)), (), f"lookahead affinity, at most {count} groups"))
    harmful = [t for i, t in enumerate(tasks) if (out := _others(value, i)) < 0 and math.isfinite(out) and len(tasks) > 2]
    worst = sorted(harmful, key=lambda t: _others(value, tasks.index(t)))[: max(1, len(tasks) // 3)]
    if worst and len(worst) < len(tasks):
        found.append(Proposal((tuple(tasks),), tuple(worst), "their steps add to the others' losses"))
    return list({(frozenset(map(frozenset, p.groups)), frozenset(p.stopped)): p for p in reversed(found)}.values())[::-1]


def _others(value: Array, i: int) -> float:
    return float(np.delete(value[i], i).mean()) if len(value) > 1 else 0.0

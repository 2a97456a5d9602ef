"""How sure a difference is when many are looked at: paired bootstrap, p values, and Holm's correction. Knows no model."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from banyan.evaluation import judge
from banyan.evaluation.questions import Question
from banyan.metrics import NAN, Interval, interval
from banyan.tasks import Task
from banyan.types import Array

LEVEL = 0.05  # chance of one false word in a whole family of comparisons


@dataclass(frozen=True)
class Gain:
    """How much better one side is than the other by a task's first metric, above 0 for better."""

    task: str
    scenario: str  # "" for all
    metric: str
    ours: float
    theirs: float
    interval: Interval  # 95 %, of this comparison alone
    p: float  # two-sided, of this comparison alone
    adjusted: float = NAN  # by Holm, over the family
    verdict: str = "undefined"  # better, worse, no difference: of the adjusted p

    def plain(self) -> dict[str, Any]:
        """JSON-able, nan included (`journal.as_json` makes it null)."""
        return {**vars(self), "interval": self.interval._asdict()}


def gain(task: str, part: Task, question: Question, ours: Sequence[Array], theirs: Sequence[Array], *, draws: int = 200, scenario: str = "") -> Gain:
    """One comparison on the same rows, owners drawn together for both sides; each side holds one answer a seed."""
    value, drawn = judge.gains(part, question, ours, theirs, draws=draws)
    at = [float(np.mean([judge.figures(part, question, each).get(part.best, NAN) for each in side])) for side in (ours, theirs)]
    return Gain(task, scenario, part.best, at[0], at[1], interval(value, drawn), chance(value, drawn))


def gains(
    panel: Mapping[str, Task],
    questions: Mapping[str, Question],
    ours: Mapping[str, Sequence[Array]],
    theirs: Mapping[str, Sequence[Array]],
    *,
    draws: int = 200,
    scenarios: Sequence[str] = (),
) -> list[Gain]:
    """A comparison a task, or, with the names of `scenarios`, one a task and scenario with at least 30 rows. Not corrected yet; see `corrected`."""
    found = []
    for task in (name for name in panel if name in ours and name in theirs and len(questions[name])):
        if not scenarios:
            found.append(gain(task, panel[task], questions[task], ours[task], theirs[task], draws=draws))
            continue
        codes = [code for code in np.unique(questions[task].scenario) if np.count_nonzero(questions[task].scenario == code) >= judge.SMALLEST]
        for code in codes if len(codes) > 1 else []:
            places = np.flatnonzero(questions[task].scenario == code)
            here = [[each[places] for each in side[task]] for side in (ours, theirs)]
            found.append(gain(task, panel[task], questions[task].take(places), *here, draws=draws, scenario=scenarios[int(code)] or "unknown"))
    return found


def chance(value: float, drawn: Sequence[float]) -> float:
    """Two-sided p of "no difference": the normal law with the bootstrap's standard error; nan where fewer than half of the draws are known.

    Counting draws would need thousands of them before a correction for many comparisons could leave anything.
    """
    known = np.asarray(drawn, float)
    known = known[~np.isnan(known)]
    if math.isnan(value) or len(known) < 2 or 2 * len(known) < len(drawn):
        return NAN
    error = float(known.std(ddof=1))
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / error / math.sqrt(2))


def holm(chances: Sequence[float]) -> list[float]:
    """Adjusted p values of a family (Holm, Scandinavian Journal of Statistics 6, 1979); nan stays and counts for nothing."""
    known = sorted((p, i) for i, p in enumerate(chances) if not math.isnan(p))
    found, highest = [NAN] * len(chances), 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        found[i] = highest
    return found


def corrected(family: Sequence[Gain], level: float = LEVEL) -> list[Gain]:
    """The same with adjusted p values, and verdicts of which at most `level` of all families hold a false one."""
    adjusted = holm([each.p for each in family])
    return [replace(each, adjusted=p, verdict=_verdict(each.interval.value, p, level)) for each, p in zip(family, adjusted, strict=True)]


def _verdict(value: float, p: float, level: float) -> str:
    if math.isnan(p):
        return "undefined"
    return "no difference" if p >= level else "better" if value > 0 else "worse"

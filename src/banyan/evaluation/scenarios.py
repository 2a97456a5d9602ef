"""Which scenario gains from which: the joint model beside one that trains without a scenario's rows, and beside one that trains on a scenario's alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from banyan.evaluation import judge
from banyan.evaluation.certainty import Gain, corrected, gain
from banyan.evaluation.questions import Question
from banyan.evaluation.trial import Bench, relative
from banyan.metrics import NAN
from banyan.types import TRAIN, Array

OTHERS = "all others"  # the source that is left out where a scenario trains alone
Answers = Mapping[str, Array]  # task -> answers on the test rows


@dataclass(frozen=True)
class Cell:
    """What the rows of one scenario give the answers in another: mean over tasks of the relative gain of having them, on test rows, over seeds."""

    source: str  # whose rows; `OTHERS` for those of all but the target's own
    target: str
    value: float
    low: float  # 95 % t interval over seeds, of this cell alone; nan with one seed
    high: float


@dataclass
class Between:
    """The whole reading. The cell of a scenario with itself says what its own rows give it."""

    names: list[str]
    left: list[str]  # scenarios that are not read
    cells: list[Cell]
    gains: list[tuple[str, Gain]]  # (source, gain in the target's test rows), a task each; one family, without a scenario's own rows

    def values(self, source: str) -> list[float]:
        """The cells of a source, in the order of `names`."""
        found = {cell.target: cell.value for cell in self.cells if cell.source == source}
        return [found.get(name, NAN) for name in self.names]


@dataclass(frozen=True)
class Cut:
    """A trial on some scenarios' training rows."""

    code: int
    alone: bool  # on this scenario's rows alone, or without them
    weight: float  # share of the joint run's rows that it reads

    @property
    def key(self) -> str:
        """A short name that no other cut has."""
        return f"scenario {self.code} {'alone' if self.alone else 'left out'}"

    def of(self, bench: Bench) -> Bench:
        """The bench with these rows. Tables that have one scenario keep all of theirs."""
        split = _split(bench)
        return bench.among({name: (bench.data.tables[name].scenario == self.code) == self.alone for name in split})


def chosen(bench: Bench, most: int) -> tuple[list[int], list[str]]:
    """(Codes of the `most` scenarios with the most training rows, names of the others).

    A scenario with fewer than 30 labelled training rows of a task whose table has several scenarios cannot train alone and is among the others.
    """
    names, counts = bench.data.plan.scenarios, _counts(bench)
    order = np.argsort(-counts.sum(0), kind="stable")
    able = [int(code) for code in order if (counts[:, code] >= judge.SMALLEST).all()] if len(counts) else []
    return able[:most], [names[code] or "unknown" for code in order if code not in able[:most] and counts[:, code].any()]


def cuts(bench: Bench, codes: Sequence[int]) -> list[Cut]:
    """Each scenario left out, and each alone."""
    return [Cut(code, alone, _weight(bench, code, alone)) for alone in (False, True) for code in codes]


def _weight(bench: Bench, code: int, alone: bool) -> float:
    split, shares = _split(bench), bench.budget.shares
    kept = {name: float(np.mean((bench.data.tables[name].scenario[bench.data.tables[name].rows(TRAIN)] == code) == alone)) for name in split}
    return sum(share * kept.get(name, 1.0) for name, share in shares.items()) / sum(shares.values())


def read(
    bench: Bench,
    questions: Mapping[str, Question],
    codes: Sequence[int],
    left: list[str],
    joint: Sequence[Answers],
    tried: Mapping[Cut, Sequence[Answers]],
    draws: int,
) -> Between:
    """The reading from answers to the same questions, one a seed: of the joint runs, and of each cut's."""
    names = {code: bench.data.plan.scenarios[code] or "unknown" for code in codes}
    split = _split(bench)
    asked = {task: each for task, each in questions.items() if each.table in split and len(each)}
    cells, gains = list[Cell](), list[tuple[str, Gain]]()
    for cut, answers in tried.items():
        source = OTHERS if cut.alone else names[cut.code]
        for target in [cut.code] if cut.alone else codes:
            here = {task: np.flatnonzero(each.scenario == target) for task, each in asked.items()}
            here = {task: places for task, places in here.items() if len(places) >= judge.SMALLEST}
            ours, theirs = ([{task: each[task][places] for task, places in here.items()} for each in side] for side in (joint, answers))
            parts = {task: asked[task].take(places) for task, places in here.items()}
            cells.append(Cell(source, names[target], *_over_seeds(bench, parts, ours, theirs)))
            if cut.alone or target != cut.code:
                gains += [(source, each) for each in _gains(bench, parts, ours, theirs, names[target], draws)]
    return Between(list(names.values()), left, cells, list(zip([s for s, _ in gains], corrected([g for _, g in gains]), strict=True)))


def _gains(bench: Bench, parts: Mapping[str, Question], ours: Sequence[Answers], theirs: Sequence[Answers], target: str, draws: int) -> Iterator[Gain]:
    for task, part in parts.items():
        yield gain(task, bench.panel[task], part, [each[task] for each in ours], [each[task] for each in theirs], draws=draws, scenario=target)


def _over_seeds(bench: Bench, parts: Mapping[str, Question], ours: Sequence[Answers], theirs: Sequence[Answers]) -> tuple[float, float, float]:
    """Mean and t interval, over seeds, of the mean over tasks of the relative gain; nan without any."""
    each = np.array([[_relative(bench, part, a[task], b[task]) for task, part in parts.items()] for a, b in zip(ours, theirs, strict=True)])
    weights = [bench.store.tasks[task].weight for task in parts]
    known = np.isfinite(each).all(0) if each.size else np.zeros(0, bool)
    if not known.any():
        return NAN, NAN, NAN
    seeds = np.average(np.clip(each[:, known], -1, 1), axis=1, weights=np.array(weights)[known])
    wide = stdtrit(len(seeds) - 1, 0.975) * seeds.std(ddof=1) / np.sqrt(len(seeds)) if len(seeds) > 1 else NAN
    return float(seeds.mean()), float(seeds.mean() - wide), float(seeds.mean() + wide)


def _relative(bench: Bench, part: Question, ours: Array, theirs: Array) -> float:
    judged = bench.panel[part.task]
    return relative(*(judge.signed(judged, judge.figures(judged, part, each)) for each in (ours, theirs)))


def _split(bench: Bench) -> list[str]:
    """Tables of tasks whose training rows are of several scenarios."""
    tables = dict.fromkeys(task.samples for task in bench.store.tasks.values())
    return [name for name in tables if len(np.unique(bench.data.tables[name].scenario[bench.data.tables[name].rows(TRAIN)])) > 1]


def _counts(bench: Bench) -> Array:
    """(Tasks of split tables, scenarios): training rows that show the task's label."""
    split, size = _split(bench), len(bench.data.plan.scenarios)
    found = []
    for name, task in bench.store.tasks.items():
        if task.samples in split:
            table = bench.data.tables[task.samples]
            rows = (table.part == TRAIN) & table.labels[name].seen.any(1)
            found.append(np.bincount(table.scenario[rows], minlength=size))
    return np.array(found).reshape(len(found), size)

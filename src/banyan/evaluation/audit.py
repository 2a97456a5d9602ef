"""The audit: which tasks help each other, and which grouping, sharing and balancing to take. Chooses on validation rows; test rows say how sure it is."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.special import stdtrit

from banyan.errors import ConfigError
from banyan.evaluation import arms as trying
from banyan.evaluation import race
from banyan.evaluation import scenarios as by_scenarios
from banyan.evaluation.arms import Arm
from banyan.evaluation.certainty import Gain, corrected, gains
from banyan.evaluation.course import COSTS, EARLY, Course, gain
from banyan.evaluation.grouping import Proposal, proposals
from banyan.evaluation.race import Heat
from banyan.evaluation.trial import Bench, Outcome, Variant
from banyan.store.schema import Store
from banyan.training.affinity import Affinities
from banyan.types import Array


@dataclass
class Help:
    """What an auxiliary task, or the pseudo-labels of a task, gave one task: relative gain with it over without it, on validation, over seeds."""

    name: str
    task: str
    gain: float
    low: float  # 95 % interval over seeds; nan with one
    high: float


@dataclass
class Audit:
    """What the audit found."""

    folder: Path
    store: Store
    share: float  # of the store's own budget that a full trial had
    seeds: int
    affinities: Affinities
    heats: list[Heat]
    chosen: Arm
    best: Arm  # the arm that won the race, which is `chosen` unless all together did better at full length
    validation: dict[str, float]  # together, alone, best: mean relative gain on validation over all together, over seeds
    alone_valid: dict[str, float]  # task -> relative gain alone over all together, on validation, over seeds
    gains: dict[str, list[Gain]]  # comparison -> a gain a task, on test rows; one family
    by_scenario: dict[str, list[Gain]]
    seconds: float
    notes: list[str] = field(default_factory=list)
    helps: list[Help] = field(default_factory=list)
    between: by_scenarios.Between | None = None  # which scenario gains from which, where it was asked for

    @property
    def recommended(self) -> Store:
        """The store with what is recommended."""
        return self.chosen.variant.of(self.store)


def audit(
    store: Store | str | Path,
    folder: str | Path,
    *,
    seeds: int = 3,
    minutes: float | None = None,
    arms: int = 8,
    sharing: Sequence[str] = (),
    balancing: Sequence[str] = (),
    most: int | None = 20_000,
    draws: int = 200,
    scenarios: int = 0,
    console: Console | None = None,
    device: str | None = None,
) -> Audit:
    """Measure which tasks help each other, race groupings x sharing x balancing, and say what to take and how sure that is.

    `seeds` of the last comparison. `minutes`: wall time that the trials are cut to; None gives each the store's own budget. `arms` that begin the
    race. `sharing`, `balancing`: parts tried beside the store's own (unless given: ple or mmoe, uncertainty or fixed). `most` rows a task is judged on.
    `scenarios`: of how many, those with the most training rows, to measure which gains from which; none for 0.
    A stopped audit goes on when the same call is made again. Raises ConfigError for a store of one task.
    """
    began, folder = time.perf_counter(), Path(folder)
    bench = Bench.read(store, folder, device=device, most=most)
    if len(bench.store.tasks) < 2:
        raise ConfigError(f"{bench.store.store} has one task; an audit compares tasks trained together with tasks trained apart.")
    sharings = trying.beside(bench.store, "sharing", sharing, ("ple", "mmoe"))
    balancings = trying.beside(bench.store, "balancing", balancing, ("uncertainty", "fixed"))
    settings = {"seeds": seeds, "arms": arms, "sharing": sharings, "balancing": balancings, "most": most}
    course = Course(bench, folder, settings | ({"scenarios": scenarios} if scenarios else {}), _teller(console))
    cuts, left = _cuts(bench, scenarios)
    together = Arm(Proposal((tuple(bench.store.tasks),)))
    less = trying.less(bench.store, together)
    share = course.plan(_work(seeds, arms, len(less)) + _cut_work(cuts, seeds), minutes)
    affinities = course.affinities(together, share)
    reference = course.arm(together, 0, EARLY * share, weight=COSTS["together"])
    alone = {task: course.alone(task, 0, EARLY * share) for task in bench.store.tasks}
    lost = {task: gain(bench, task, found, reference) for task, found in alone.items()}
    proposed = [together.proposal, *trying.described(bench.store), *proposals(affinities, lost, bench.ranked)]
    raced = [*trying.crossing(list(dict.fromkeys(proposed)), sharings, balancings, arms), *less]
    best, heats = race.race(course, raced, together, share)
    helps = [each for arm in less for each in _helped(course, arm, together, EARLY * share, seeds)]
    between = _between(course, together, cuts, left, EARLY * share, seeds, draws) if cuts else None
    found = _judged(course, together, best, heats, affinities, share, seeds, draws, time.perf_counter() - began)
    found.helps, found.between = helps, between
    return found


def _cuts(bench: Bench, scenarios: int) -> tuple[list[by_scenarios.Cut], list[str]]:
    """The trials on some scenarios' rows, and the names of scenarios that are not read. Raises ConfigError where fewer than two can be."""
    if not scenarios:
        return [], []
    codes, left = by_scenarios.chosen(bench, scenarios)
    if len(codes) < 2:
        raise ConfigError(
            f"{bench.store.store} has {len(codes)} scenario(s) to compare: two are needed, each with 30 labelled training rows of every task whose table has "
            "several. Name the scenario's column in events or samples, or leave `--scenarios` out."
        )
    return by_scenarios.cuts(bench, codes), left


def _cut_work(cuts: Sequence[by_scenarios.Cut], seeds: int) -> float:
    """Joint runs of work."""
    return EARLY * seeds * (COSTS["together"] + COSTS["arm"] * sum(each.weight for each in cuts)) if cuts else 0.0


def _between(course: Course, together: Arm, cuts: Sequence[by_scenarios.Cut], left: list[str], share: float, seeds: int, draws: int) -> by_scenarios.Between:
    """Which scenario gains from which, at one share of the budget."""
    joint = [course.arm(together, seed, share, answers=True, weight=COSTS["together"]) for seed in range(seeds)]
    tried = {cut: [_cut(course, cut, seed, share).answers for seed in range(seeds)] for cut in cuts}
    codes = [cut.code for cut in cuts if not cut.alone]
    return by_scenarios.read(course.bench, course.questions, codes, left, [each.answers for each in joint], tried, draws)


def _cut(course: Course, cut: by_scenarios.Cut, seed: int, share: float) -> Outcome:
    def trial() -> Outcome:
        return cut.of(course.bench).trial(Variant(), seed, share, questions=course.questions)

    name = course.bench.data.plan.scenarios[cut.code] or "unknown"
    said = f"{name} {'alone' if cut.alone else 'left out'}, seed {seed}, {share:.0%}"
    return course.run(f"{cut.key} seed {seed} share {share:.4f}", said, share, trial, weight=COSTS["arm"] * cut.weight)


def _work(seeds: int, arms: int, less: int) -> float:
    """Joint runs of work, at most; `less` arms leave something out."""
    helpers = EARLY * seeds * (COSTS["together"] + less * COSTS["arm"]) if less else 0.0
    final = seeds * (COSTS["together"] + COSTS["arm"] + COSTS["alone"])
    return helpers + race.work(arms + less) + final + COSTS["affinity"] + EARLY * COSTS["alone"]


def _helped(course: Course, arm: Arm, together: Arm, share: float, seeds: int) -> Iterator[Help]:
    """What is left out in `arm` gave each task, on validation rows, seed by seed at one share of the budget."""
    pairs = [(course.arm(together, seed, share, weight=COSTS["together"]), course.arm(arm, seed, share)) for seed in range(seeds)]
    for task in course.bench.store.tasks:
        each = np.array([gain(course.bench, task, ours, theirs) for ours, theirs in pairs])
        wide = stdtrit(seeds - 1, 0.975) * each.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
        yield Help(" and ".join(arm.without), task, float(each.mean()), float(each.mean() - wide), float(each.mean() + wide))


def _judged(course: Course, together: Arm, best: Arm, heats: list[Heat], affinities: Affinities, share: float, seeds: int, draws: int, seconds: float) -> Audit:
    """The last comparison, at full length and on every seed."""
    bench, began = course.bench, time.perf_counter()
    joint = [course.arm(together, seed, share, answers=True, weight=COSTS["together"]) for seed in range(seeds)]
    ours = joint if best == together else [course.arm(best, seed, share, answers=True) for seed in range(seeds)]
    alone = {task: [course.alone(task, seed, share) for seed in range(seeds)] for task in bench.store.tasks}
    score = float(np.nanmean([bench.score(a.valid, b.valid) for a, b in zip(ours, joint, strict=True)]))
    alone_valid = {task: float(np.mean([gain(bench, task, a, b) for a, b in zip(each, joint, strict=True)])) for task, each in alone.items()}
    chosen = best if score > 0 else together
    sides = {"together": _answers(joint), "best": _answers(ours), "alone": {task: [each.answers[task] for each in found] for task, found in alone.items()}}
    pairs = dict(_pairs(best != together))
    family, scenarios = ({name: compared(bench, course, sides[a], sides[b], draws, by) for name, (a, b) in pairs.items()} for by in (False, True))
    weights = [bench.store.tasks[task].weight for task in alone_valid]
    validation = {"best": score, "alone": float(np.average(np.clip(list(alone_valid.values()), -1, 1), weights=weights))}
    seconds += time.perf_counter() - began
    measured = (_family(family), _family(scenarios))
    return Audit(course.folder, bench.store, share, seeds, affinities, heats, chosen, best, validation, alone_valid, *measured, seconds, bench.notes)


def _pairs(raced: bool) -> Iterator[tuple[str, tuple[str, str]]]:
    if raced:
        yield "best of the race over together", ("best", "together")
    yield "together over alone", ("together", "alone")
    if raced:
        yield "best of the race over alone", ("best", "alone")


def _answers(outcomes: Sequence[Outcome]) -> dict[str, list[Array]]:
    return {task: [each.answers[task] for each in outcomes] for task in outcomes[0].answers}


def compared(bench: Bench, course: Course, ours: dict[str, list[Array]], theirs: dict[str, list[Array]], draws: int, by_scenario: bool) -> list[Gain]:
    """Paired gains on the test rows, of each task or of each task and scenario."""
    scenarios = bench.data.plan.scenarios if by_scenario else ()
    if by_scenario and len(scenarios) < 2:
        return []
    return gains(bench.panel, course.questions, ours, theirs, draws=draws, scenarios=scenarios)


def _family(found: dict[str, list[Gain]]) -> dict[str, list[Gain]]:
    """Corrected over all comparisons at once."""
    every = iter(corrected([each for family in found.values() for each in family]))
    return {name: [next(every) for _ in family] for name, family in found.items()}


def _teller(console: Console | None) -> Callable[[str], None]:
    return (lambda text: None) if console is None else lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)

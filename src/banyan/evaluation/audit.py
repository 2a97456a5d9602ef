"""The audit: which tasks help each other, and which grouping, sharing and balancing to take. Chooses on validation rows; test rows say how sure it is."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.special import stdtrit

from banyan import parts
from banyan.errors import ConfigError
from banyan.evaluation import scenarios as by_scenarios
from banyan.evaluation.certainty import Gain, corrected, gains
from banyan.evaluation.grouping import Proposal, proposals
from banyan.evaluation.judge import Figures
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.trial import Bench, Outcome, Variant, keep_answers, read_answers, relative, switches
from banyan.store.schema import Store
from banyan.training.affinity import Affinities, Affinity
from banyan.training.loop import Probe
from banyan.types import Array

LEDGER, ANSWERS, FULL = "audit.jsonl", "answers", 1.0
RUNGS = (0.25, 0.5)  # shares of the budget at which arms are compared; the last one standing gets all of it
KEPT = 3  # one arm in so many goes on to the next rung
MEASUREMENTS = 24  # of affinity, in the joint run
COSTS = {"together": 1.0, "affinity": 0.5, "arm": 1.2, "alone": 1.4}  # of a joint run, before anything is known of the store's own
SPARE = 0.85  # share of the minutes that is planned with
LEAST = 0.02  # of the budget, below which trials would say nothing


@dataclass(frozen=True)
class Arm:
    """A proposal with a sharing architecture and a balancer, "" being the store's own, and what of the description is left out."""

    proposal: Proposal
    sharing: str = ""
    balancing: str = ""
    without: tuple[str, ...] = ()

    @property
    def variant(self) -> Variant:
        """What it changes."""
        groups = self.proposal.groups if len(self.proposal.groups) > 1 else ()
        return Variant(groups, self.proposal.stopped, self.sharing, self.balancing, self.without)

    @property
    def label(self) -> str:
        """How the table calls it."""
        less = f"without {' '.join(self.without)}" if self.without else ""
        return ", ".join(each for each in (self.proposal.label, self.sharing, self.balancing, less) if each)


@dataclass
class Heat:
    """One arm at one rung."""

    arm: Arm
    share: float
    score: float  # mean relative gain on validation over all tasks together at the same share and seed
    valid: dict[str, Figures]
    seconds: float


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


class Course:
    """The trials of an audit in their order, those that are done taken from the ledger."""

    def __init__(self, bench: Bench, folder: Path, settings: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        self.bench, self.folder, self.tell = bench, folder, tell
        self.ledger = Ledger(folder / LEDGER, {**bench.description, **settings})
        self.questions = bench.questions()
        self.done, self.planned, self.spent = 0.0, 0.0, 0.0  # joint runs of work, and the seconds that they took
        self.seen: set[str] = set()

    def plan(self, work: float, minutes: float | None) -> float:
        """The share of the store's budget that fits into the minutes; says how long it will take."""
        if "pace" not in self.ledger:
            step, validation = self.bench.pace()
            epochs = self.bench.store.training.epochs
            steps = self.bench.budget.steps * epochs + self.bench.store.training.pretrain
            self.ledger.add("pace", {"joint": step * steps + validation * epochs, "step": step, "minutes": minutes or 0.0})
        pace = self.ledger["pace"]
        joint, share = pace["joint"], 1.0
        if pace["minutes"]:
            share = min(1.0, SPARE * 60 * pace["minutes"] / (joint * work))
        if share < LEAST:
            least = joint * work * LEAST / 60 / SPARE
            raise ConfigError(f"{pace['minutes']:g} minutes hold {share:.1%} of the trials' budget, too little to say anything; give at least {least:.0f}.")
        self.planned = work * share
        about = f"about {joint * work * share / 60:.0f} minutes at most, for {work:.1f} joint runs of {share:.0%} of the store's budget"
        self.tell(f"A step of all tasks takes {pace['step']:.2f} s: {about}.")
        return share

    def run(self, kind: str, name: str, share: float, trial: Callable[[], Outcome], *, weight: float) -> Outcome:
        """An outcome, from the ledger or from the trial; `weight` is its work in joint runs."""
        path = self.folder / ANSWERS / f"{kind}.npz"
        if kind in self.ledger:
            found = Outcome(**self.ledger[kind], answers=read_answers(path) if path.exists() else {})
        else:
            found = trial()
            if found.answers:
                keep_answers(path, found.answers)
            self.ledger.add(kind, found.plain())
        if kind in self.seen:
            return found
        self.seen.add(kind)
        self.done, self.spent = self.done + weight * share, self.spent + found.seconds
        left = max(self.planned - self.done, 0) * self.spent / max(self.done, 1e-9)
        self.tell(f"{name}: {found.seconds:.0f} s; about {left / 60:.1f} minutes left")
        return found

    def arm(self, arm: Arm, seed: int, share: float, *, answers: bool = False, probe: Probe | None = None, weight: float = COSTS["arm"]) -> Outcome:
        """A trial of an arm."""
        kind = f"arm {arm.variant.key} seed {seed} share {share:.4f}{' answers' if answers else ''}"
        asked = self.questions if answers else None
        name = f"{arm.label}, seed {seed}, {share:.0%}"
        return self.run(kind, name, share, lambda: self.bench.trial(arm.variant, seed, share, questions=asked, probe=probe), weight=weight)

    def alone(self, task: str, seed: int, share: float) -> Outcome:
        """A trial of a task by itself."""
        weight = COSTS["alone"] / len(self.bench.store.tasks)
        number = list(self.bench.store.tasks).index(task)
        kind, name = f"alone {number} seed {seed} share {share:.4f}", f"{task} alone, seed {seed}, {share:.0%}"
        return self.run(kind, name, share, lambda: self.bench.alone(task, seed, share, questions=self.questions), weight=weight)

    def affinities(self, arm: Arm, share: float) -> Affinities:
        """Measured in the joint run of the first seed, which counts as any other."""
        steps = self.bench.budget.steps * self.bench.store.training.epochs * share
        probe = Affinity(max(1, round(steps / MEASUREMENTS)), COSTS["affinity"])
        self.arm(arm, 0, share, answers=True, probe=probe, weight=COSTS["together"] + COSTS["affinity"])
        if probe.tasks:
            self.ledger.add("affinities", probe.result().plain())
        elif "affinities" not in self.ledger:  # killed between the two lines: the run is there, what it measured is not
            again = Affinity(max(1, round(steps * RUNGS[0] / MEASUREMENTS)), COSTS["affinity"])
            self.bench.trial(arm.variant, 0, share * RUNGS[0], probe=again)
            self.ledger.add("affinities", again.result().plain())
        return Affinities.read(self.ledger["affinities"])


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
    sharings, balancings = _beside(bench.store, "sharing", sharing, ("ple", "mmoe")), _beside(bench.store, "balancing", balancing, ("uncertainty", "fixed"))
    settings = {"seeds": seeds, "arms": arms, "sharing": sharings, "balancing": balancings, "most": most}
    course = Course(bench, folder, settings | ({"scenarios": scenarios} if scenarios else {}), _teller(console))
    cuts, left = _cuts(bench, scenarios)
    together = Arm(Proposal((tuple(bench.store.tasks),)))
    less = _less(bench.store, together)
    share = course.plan(_work(seeds, arms, len(less)) + _cut_work(cuts, seeds), minutes)
    affinities = course.affinities(together, share)
    reference = course.arm(together, 0, RUNGS[0] * share, weight=COSTS["together"])
    alone = {task: course.alone(task, 0, RUNGS[0] * share) for task in bench.store.tasks}
    lost = {task: _gain(bench, task, found, reference) for task, found in alone.items()}
    proposed = [together.proposal, *_described(bench.store), *proposals(affinities, lost, bench.ranked)]
    raced = [*_arms(list(dict.fromkeys(proposed)), sharings, balancings, arms), *less]
    best, heats = _race(course, raced, together, share)
    helps = [each for arm in less for each in _helped(course, arm, together, RUNGS[0] * share, seeds)]
    between = _between(course, together, cuts, left, RUNGS[0] * share, seeds, draws) if cuts else None
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
    return RUNGS[0] * seeds * (COSTS["together"] + COSTS["arm"] * sum(each.weight for each in cuts)) if cuts else 0.0


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


def _less(store: Store, together: Arm) -> list[Arm]:
    """All together without one of what can be left out, then without all of it."""
    names = switches(store)
    return [Arm(together.proposal, without=each) for each in dict.fromkeys([*((name,) for name in names), tuple(names)]) if each]


def _helped(course: Course, arm: Arm, together: Arm, share: float, seeds: int) -> Iterator[Help]:
    """What is left out in `arm` gave each task, on validation rows, seed by seed at one share of the budget."""
    pairs = [(course.arm(together, seed, share, weight=COSTS["together"]), course.arm(arm, seed, share)) for seed in range(seeds)]
    for task in course.bench.store.tasks:
        each = np.array([_gain(course.bench, task, ours, theirs) for ours, theirs in pairs])
        wide = stdtrit(seeds - 1, 0.975) * each.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
        yield Help(" and ".join(arm.without), task, float(each.mean()), float(each.mean() - wide), float(each.mean() + wide))


def _work(seeds: int, arms: int, less: int) -> float:
    """Joint runs of work, at most; `less` arms leave something out."""
    race, left = RUNGS[0] * seeds * (COSTS["together"] + less * COSTS["arm"]) if less else 0.0, float(arms + less)
    for rung in RUNGS:
        race += rung * (COSTS["together"] + left * COSTS["arm"])
        left = np.ceil(left / KEPT) + 1
    final = seeds * (COSTS["together"] + COSTS["arm"] + COSTS["alone"])
    return float(race + final + COSTS["affinity"] + RUNGS[0] * COSTS["alone"])


def _beside(store: Store, family: str, asked: Sequence[str], usual: tuple[str, str]) -> list[str]:
    """The parts tried beside the store's own."""
    own = parts.spec(getattr(store.model, family))[0]
    for name in asked:
        parts.check(family, name)
    return [name for name in dict.fromkeys(asked or (usual[0] if own != usual[0] else usual[1],)) if name != own]


def _described(store: Store) -> list[Proposal]:
    """The groups and stops of the description itself, if it has any."""
    stopped = tuple(name for name, task in store.tasks.items() if task.stop_gradient)
    groups = tuple(tuple(group) for group in store.model.groups) or (tuple(store.tasks),)
    return [Proposal(groups, stopped, "as the description has it")] if stopped or len(groups) > 1 else []


def _arms(found: Sequence[Proposal], sharings: Sequence[str], balancings: Sequence[str], most: int) -> list[Arm]:
    """Groupings x sharing x balancing: those that change least first, since a change has to earn its place."""
    every = [Arm(p, s, b) for p in found for s in ("", *sharings) for b in ("", *balancings)]
    return sorted(every, key=lambda arm: arm.variant.changes())[:most]


def _race(course: Course, arms: Sequence[Arm], together: Arm, share: float) -> tuple[Arm, list[Heat]]:
    """Successive halving (Jamieson and Talwalkar, AISTATS 2016) by the validation score; (the winner, all heats)."""
    heats: list[Heat] = []
    standing = list(arms)
    for rung in RUNGS:
        reference = course.arm(together, 0, rung * share, weight=COSTS["together"])
        here = []
        for arm in standing:
            found = reference if arm == together else course.arm(arm, 0, rung * share)
            here.append(Heat(arm, rung, course.bench.score(found.valid, reference.valid), found.valid, found.seconds))
        here.sort(key=lambda heat: -np.nan_to_num(heat.score, nan=-2.0))
        heats += here
        standing = list(dict.fromkeys([*(heat.arm for heat in here[: int(np.ceil(len(here) / KEPT))]), _crossed(here)]))
    return next(heat for heat in heats if heat.share == RUNGS[-1]).arm, heats


def _crossed(heats: Sequence[Heat]) -> Arm:
    """The best grouping, sharing and balancing of the arms that change one of them, where they gained, in one arm. `heats` are sorted."""
    single = [heat.arm for heat in heats if heat.score > 0 and heat.arm.variant.changes() == 1]
    proposal = next((arm.proposal for arm in single if not (arm.sharing or arm.balancing or arm.without)), None)
    less = next((arm.without for arm in single if arm.without), ())
    plain = next((heat.arm.proposal for heat in heats if not (heat.arm.variant.groups or heat.arm.variant.stopped)), heats[0].arm.proposal)
    return Arm(proposal or plain, next((arm.sharing for arm in single if arm.sharing), ""), next((arm.balancing for arm in single if arm.balancing), ""), less)


def _gain(bench: Bench, task: str, ours: Outcome, theirs: Outcome) -> float:
    """Relative gain of a task on validation."""
    return relative(bench.signed(task, ours.valid), bench.signed(task, theirs.valid))


def _judged(course: Course, together: Arm, best: Arm, heats: list[Heat], affinities: Affinities, share: float, seeds: int, draws: int, seconds: float) -> Audit:
    """The last comparison, at full length and on every seed."""
    bench, began = course.bench, time.perf_counter()
    joint = [course.arm(together, seed, share, answers=True, weight=COSTS["together"]) for seed in range(seeds)]
    ours = joint if best == together else [course.arm(best, seed, share, answers=True) for seed in range(seeds)]
    alone = {task: [course.alone(task, seed, share) for seed in range(seeds)] for task in bench.store.tasks}
    score = float(np.nanmean([bench.score(a.valid, b.valid) for a, b in zip(ours, joint, strict=True)]))
    alone_valid = {task: float(np.mean([_gain(bench, task, a, b) for a, b in zip(each, joint, strict=True)])) for task, each in alone.items()}
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

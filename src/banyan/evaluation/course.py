"""The trials of an audit in their order: how much of the store's budget each gets, and those that are done taken from the ledger."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from banyan.errors import ConfigError
from banyan.evaluation.arms import Arm
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.trial import Bench, Outcome, keep_answers, read_answers, relative
from banyan.training.affinity import Affinities, Affinity
from banyan.training.loop import Probe

LEDGER, ANSWERS = "audit.jsonl", "answers"
EARLY = 0.25  # share of the budget at which affinities are measured again and tasks are tried alone: the race's first rung
MEASUREMENTS = 24  # of affinity, in the joint run
COSTS = {"together": 1.0, "affinity": 0.5, "arm": 1.2, "alone": 1.4}  # of a joint run, before anything is known of the store's own
SPARE = 0.85  # share of the minutes that is planned with
LEAST = 0.02  # of the budget, below which trials would say nothing


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
            again = Affinity(max(1, round(steps * EARLY / MEASUREMENTS)), COSTS["affinity"])
            self.bench.trial(arm.variant, 0, share * EARLY, probe=again)
            self.ledger.add("affinities", again.result().plain())
        return Affinities.read(self.ledger["affinities"])


def gain(bench: Bench, task: str, ours: Outcome, theirs: Outcome) -> float:
    """Relative gain of a task on validation."""
    return relative(bench.signed(task, ours.valid), bench.signed(task, theirs.valid))

"""Runs of one store with different balancers, each a line of a ledger, and what they say: gains over the plain sum, paired by seed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from banyan import parts
from banyan.balancing import _lent
from banyan.errors import BanyanError, ConfigError
from banyan.evaluation import judge
from banyan.evaluation.evaluate import answer
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.trial import Bench, relative
from banyan.store.schema import Store
from banyan.types import TEST

PLAIN, TUNED = "fixed", "tuned weights"
NEEDED: Mapping[str, Mapping[str, Any]] = {  # options that an aggregator cannot do without
    "CAGrad": {"c": 0.5},
    "FairGrad": {"alpha": 1.0},
    "Krum": {"n_byzantine": 0},
    "TrimmedMean": {"trim_number": 1},
}
APART = ("Constant",)  # fixed weights by another name
FURTHEST = 4.0  # a weight that is tried lies between 1 / 4 and 4
Tell = Callable[[str], None]


def specs() -> dict[str, parts.Spec]:
    """Name -> every balancer: the parts, and of `jacobian` every aggregator that is installed and works with two losses."""
    found: dict[str, parts.Spec] = {name: name for name in parts.names("balancing") if name != "jacobian"}
    for name in _lent.listing():
        spec = {"part": "jacobian", "aggregator": name, "options": dict(NEEDED.get(name, {}))}
        try:
            parts.build("balancing", spec, 2)
        except ConfigError:  # an extra that is not installed, or more losses needed
            continue
        if name not in APART:
            found[name] = spec
    return found


def balanced(store: Store, spec: parts.Spec) -> Store:
    """The store with another balancer."""
    return store.model_copy(update={"model": store.model.model_copy(update={"balancing": spec})})


def weighted(store: Store, weights: Mapping[str, float]) -> Store:
    """The store as a plain sum with these weights."""
    tasks = {name: each.model_copy(update={"weight": weights[name]}) for name, each in store.tasks.items()}
    return balanced(store.model_copy(update={"tasks": tasks}), PLAIN)


@dataclass
class Course:
    """One store on which balancers are tried."""

    name: str
    bench: Bench
    ledger: Ledger
    share: float  # of the store's budget that a run gets
    tell: Tell

    def run(self, name: str, store: Store, seed: int) -> dict[str, Any]:
        """A run's first metrics on validation and test rows (signed, more is better), its CPU seconds and steps. Made once."""
        key = f"{self.name} {name} seed {seed}"
        if key not in self.ledger:
            self.ledger.add(key, self._made(store, seed))
            line = self.ledger[key]
            self.tell(f"{key}: " + (f"{line['cpu_seconds']:.0f} CPU s, {line['steps']} steps" if "test" in line else line["error"]))
        found: dict[str, Any] = self.ledger[key]
        return found

    def _made(self, store: Store, seed: int) -> dict[str, Any]:
        questions = self.bench.questions(TEST)
        began = time.process_time()
        try:
            fit, record = self.bench.fit(store, seed, self.share)
        except BanyanError as error:  # weights that explode
            return {"error": str(error), "cpu_seconds": time.process_time() - began, "steps": 0}
        took = time.process_time() - began
        valid = next((each["valid"] for each in record.epochs if each["epoch"] == record.best_epoch), {})
        said = answer(fit.network, self.bench.feeder, questions)
        test = {task: judge.figures(self.bench.panel[task], questions[task], said[task]) for task in said}
        first = {part: {task: self.bench.signed(task, figures) for task in figures} for part, figures in (("valid", valid), ("test", test))}
        return {**first, "cpu_seconds": took, "steps": record.steps}

    def balancer(self, name: str, spec: parts.Spec, seeds: Sequence[int]) -> list[dict[str, Any]]:
        """The runs of a balancer."""
        return [self.run(name, balanced(self.bench.store, spec), seed) for seed in seeds]

    def tuned(self, trials: int, seeds: Sequence[int]) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """(The weights that are best on validation rows with seed 0, among equal ones and some drawn at random; their runs.)"""
        rng, tasks = np.random.default_rng(0), list(self.bench.store.tasks)
        drawn = [FURTHEST ** rng.uniform(-1, 1, len(tasks)) for _ in range(trials - 1)]
        tried = [dict(zip(tasks, map(float, each), strict=True)) for each in [np.ones(len(tasks)), *drawn]]
        plain = self.run(PLAIN, balanced(self.bench.store, PLAIN), 0)
        scores = []
        for number, weights in enumerate(tried):
            found = plain if number == 0 else self.run(f"weights {number}", weighted(self.bench.store, weights), 0)
            scores.append(gain(found, plain, "valid"))
        best = int(np.nanargmax(scores))
        name = PLAIN if best == 0 else f"weights {best}"
        return tried[best], [self.run(name, weighted(self.bench.store, tried[best]), seed) for seed in seeds]


def gain(found: Mapping[str, Any], plain: Mapping[str, Any], part: str) -> float:
    """Mean over tasks of the relative gain, each within [-1, 1]; nan for a run that failed."""
    gains = list(gains_of(found, plain, part).values())
    return float(np.mean(gains)) if gains else float("nan")


def gains_of(found: Mapping[str, Any], plain: Mapping[str, Any], part: str) -> dict[str, float]:
    """Task -> relative gain over the plain sum with the same seed."""
    mine, other = found.get(part, {}), plain.get(part, {})
    gains = {task: float(np.clip(relative(mine[task], other[task]), -1, 1)) for task in mine if task in other}
    return {task: each for task, each in gains.items() if np.isfinite(each)}


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """(Mean, ends of its 95 % t interval) of one value a seed; the ends are nan with fewer than two."""
    known = np.asarray([each for each in values if np.isfinite(each)])
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    if len(known) < 2:
        return float(known.mean()), float("nan"), float("nan")
    reach = float(scipy.stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return float(known.mean()), float(known.mean()) - reach, float(known.mean()) + reach


def row(runs: Sequence[Mapping[str, Any]], plain: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A balancer's line: mean relative gain on test rows with its interval, on validation rows, the worst task, and what a step costs beside the plain sum."""
    whole = [(mine, other) for mine, other in zip(runs, plain, strict=True) if "test" in mine]
    mean, low, high = spread([gain(mine, other, "test") for mine, other in whole])
    each = [gains_of(mine, other, "test") for mine, other in whole]
    by_task = {task: float(np.mean([gains[task] for gains in each if task in gains])) for task in (each[0] if each else {})}
    worst = min(by_task, key=lambda task: by_task[task], default=None)
    valid = float(np.mean([gain(mine, other, "valid") for mine, other in whole])) if len(whole) == len(runs) else float("nan")
    cost = [mine["cpu_seconds"] / mine["steps"] / (other["cpu_seconds"] / other["steps"]) for mine, other in whole]
    steps = float(np.median([mine["steps"] for mine in runs]))  # fewer where the time was over
    facts = {"valid": valid, "failed": len(runs) - len(whole), "cost": float(np.median(cost)) if cost else float("nan"), "steps": steps}
    return {"gain": mean, "low": low, "high": high, **facts, "worst": worst, "worst_gain": by_task.get(worst or "", float("nan")), "tasks": by_task}

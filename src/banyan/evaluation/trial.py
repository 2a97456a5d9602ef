"""One trial: a store's model, changed in some way, fitted under a share of the budget and validated. Knows no plan of trials."""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from banyan import devices, parts
from banyan.disk import whole
from banyan.errors import ConfigError
from banyan.evaluation import transfer
from banyan.evaluation.evaluate import answer, validator
from banyan.evaluation.judge import Figures
from banyan.evaluation.questions import Question, ask, judges
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.parts import Spec
from banyan.store.load import spelled_out
from banyan.store.open import open_store
from banyan.store.schema import Store, Training
from banyan.store.shop import Shop
from banyan.training.budget import Budget, budget
from banyan.training.loop import Fit, Probe
from banyan.training.record import Record, Watch
from banyan.types import DROPPED, TEST, TRAIN, Array

FREE = {"training": {"seconds", "clock", "threads"}}  # what may change when a course of trials goes on


@dataclass(frozen=True)
class Variant:
    """What of a description a trial changes."""

    groups: tuple[tuple[str, ...], ...] = ()  # () for one trunk
    stopped: tuple[str, ...] = ()
    sharing: str = ""  # "" as it is
    balancing: str = ""
    without: tuple[str, ...] = ()  # auxiliary tasks that are left out, and tasks whose pseudo-labels are

    @classmethod
    def described(cls, store: Store) -> "Variant":
        """The store as it is described: with its own groups, and the tasks that move only their heads."""
        groups = tuple(tuple(group) for group in store.model.groups)
        return cls(groups, tuple(name for name, each in store.tasks.items() if each.stop_gradient))

    @property
    def key(self) -> str:
        """A short name that no other variant has."""
        less = [sorted(self.without)] if self.without else []
        said = json.dumps([sorted(map(sorted, self.groups)), sorted(self.stopped), self.sharing, self.balancing, *less])
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def changes(self) -> int:
        """Of how many kinds."""
        return sum(map(bool, (len(self.groups) > 1, self.stopped, self.sharing, self.balancing, self.without)))

    def of(self, store: Store) -> Store:
        """The store with the changes made, checked again. Raises ConfigError."""
        model = store.model.model_dump(exclude_defaults=True)
        model |= {"groups": [list(group) for group in self.groups] if len(self.groups) > 1 else []}
        model |= {key: value for key, value in (("sharing", self.sharing), ("balancing", self.balancing)) if value}
        tasks = {name: each.model_copy(update={"stop_gradient": name in self.stopped} | self._unlabelled(name)) for name, each in store.tasks.items()}
        auxiliary = {name: each for name, each in store.auxiliary.items() if name not in self.without}
        training = store.training if auxiliary else store.training.model_copy(update={"pretrain": 0})
        try:
            changed = store.model_copy(update={"model": type(store.model)(**model), "tasks": tasks, "auxiliary": auxiliary, "training": training})
            return Store.model_validate({**changed.model_dump(exclude_defaults=True)}).model_copy(update={"folder": store.folder})
        except ValueError as error:
            raise ConfigError(f"A variant of {store.store} cannot be: {error}") from error

    def _unlabelled(self, task: str) -> dict[str, Any]:
        return {"pseudo_labels": None} if task in self.without else {}


def switches(store: Store) -> list[str]:
    """What of a description can be left out to see what it gives: auxiliary tasks, and tasks that the model labels rows for."""
    return [*store.auxiliary, *(name for name, each in store.tasks.items() if each.pseudo_labels is not None)]


@dataclass
class Outcome:
    """What a trial gave."""

    valid: dict[str, Figures]  # task -> metric -> value, of the best epoch
    seconds: float
    cpu_seconds: float
    steps: int
    answers: dict[str, Array] = field(default_factory=dict)  # task -> answers on the test rows, where they were asked for

    def plain(self) -> dict[str, Any]:
        """JSON-able, without the answers."""
        return {key: value for key, value in vars(self).items() if key != "answers"}


class Bench:
    """A store read once, on which trials are made."""

    def __init__(self, shop: Shop, texts: Texts, *, device: str | None = None, most: int | None = 20_000, most_ranked: int | None = 500) -> None:
        """`most`, `most_ranked`: validation and test rows that a task is judged on. Raises ConfigError."""
        self.store, self.device, self.most, self.most_ranked = shop.store, devices.device(device), most, most_ranked
        self.data: Data = build(shop, texts)
        self.feeder = Feeder(self.data, {task: task_options(self.store, task) for task in self.store.tasks}, self.store.model.id_dropout)
        self.validate = validator(self.feeder, self.store.tasks, most=most, most_ranked=most_ranked)
        self.panel = judges(self.data, self.store.tasks)
        self.budget: Budget = budget(self.feeder, self.store.tasks, self.store.training)
        self.notes = list(shop.notes)

    @classmethod
    def read(cls, store: Store | str | Path, folder: Path, **options: Any) -> "Bench":
        """A bench of a store's tables; text vectors are kept in the folder. Raises ConfigError, DataError."""
        return cls(open_store(store), Texts(folder / "texts.sqlite"), **options)

    def among(self, kept: Mapping[str, Array]) -> "Bench":
        """The bench with training and validation on some rows of some tables: table -> (n,) bool. Test rows stay.

        What is left is read as often as before. Statistics, histories and vocabularies stay those of all rows.
        """
        tables, shares = dict(self.data.tables), dict(self.budget.shares)
        for name, keep in kept.items():
            part = tables[name].part
            tables[name] = replace(tables[name], part=np.where(keep | (part == TEST), part, DROPPED).astype(np.int8))
            shares[name] *= float(np.mean(keep[part == TRAIN]))
        found = copy.copy(self)
        found.data, found.budget = replace(self.data, tables=tables), Budget(shares, self.budget.steps)
        found.feeder = Feeder(found.data, {task: task_options(self.store, task) for task in self.store.tasks}, self.store.model.id_dropout)
        found.validate = validator(found.feeder, self.store.tasks, most=self.most, most_ranked=self.most_ranked)
        return found

    @property
    def description(self) -> dict[str, Any]:
        """What another bench must have alike for trials to go on."""
        return {"description": hashlib.sha256(json.dumps(spelled_out(self.store, FREE), sort_keys=True, default=str).encode()).hexdigest()}

    @property
    def ranked(self) -> list[str]:
        """Tasks that rank items."""
        return [name for name, spec in self.store.tasks.items() if self.data.plan.tables[spec.samples].ranking]

    def questions(self, part: int = TEST) -> dict[str, Question]:
        """The rows of a part that trials are judged on."""
        return ask(self.data, self.store.tasks, part, most=self.most, most_ranked=self.most_ranked)

    def validated(self, tasks: Sequence[str]) -> Callable[[Network], dict[str, Figures]]:
        """The validation of some tasks."""
        if list(tasks) == list(self.store.tasks):
            return self.validate
        return validator(self.feeder, {name: self.store.tasks[name] for name in tasks}, most=self.most, most_ranked=self.most_ranked)

    def fit(self, store: Store, seed: int, share: float = 1.0, *, probe: Probe | None = None, watch: Watch | None = None) -> tuple[Fit, Record]:
        """Train a variant of the bench's store on `share` of its budget; the fit's network holds the best epoch's weights."""
        training, given = shortened(store.training, self.budget, share, seed)
        torch.manual_seed(seed)
        network = Network(self.data.plan, store.model, store.tasks, store.auxiliary)
        options: dict[str, Any] = {"evaluate": self.validate, "given": given, "watch": watch, "probe": probe, "device": self.device}
        fit = Fit(network, self.feeder, store.tasks, training, _balanced(store, network), **options)
        return fit, fit.run()

    def trial(self, variant: Variant, seed: int, share: float, *, questions: Mapping[str, Question] | None = None, **options: Any) -> Outcome:
        """Train and validate a variant; with `questions`, answer them too."""
        began = time.perf_counter(), time.process_time()
        fit, record = self.fit(variant.of(self.store), seed, share, **options)
        answers = answer(fit.network, self.feeder, questions) if questions else {}
        return Outcome(_best(record), time.perf_counter() - began[0], time.process_time() - began[1], record.steps, answers)

    def alone(self, task: str, seed: int, share: float, *, questions: Mapping[str, Question], watch: Watch | None = None) -> Outcome:
        """Train a task by itself on `share` of what the joint model reads of its rows, and answer its question."""
        began = time.perf_counter(), time.process_time()
        training, given = shortened(self.store.training, self.budget, share, seed)
        options: dict[str, Any] = {"seed": seed, "training": training, "validate": self.validated([task]), "watch": watch, "device": self.device}
        found = transfer.alone(self.store, self.feeder, task, given, questions, TEST, **options)
        return Outcome(_best(found.record), time.perf_counter() - began[0], time.process_time() - began[1], found.record.steps, found.evaluation.answers)

    def pace(self, steps: int = 4) -> tuple[float, float]:
        """(Seconds of a step, seconds of a validation) of all tasks together, measured on a few."""
        training = self.store.training.model_copy(update={"epochs": 1, "seconds": None, "pretrain": 0})
        torch.manual_seed(0)
        network = Network(self.data.plan, self.store.model, self.store.tasks, self.store.auxiliary)
        fit = Fit(network, self.feeder, self.store.tasks, training, _balanced(self.store, network), given=Budget(self.budget.shares, steps), device=self.device)
        seconds = fit.run().seconds
        began = time.perf_counter()
        self.validate(network)
        return seconds / steps, time.perf_counter() - began

    def score(self, valid: Mapping[str, Figures], reference: Mapping[str, Figures]) -> float:
        """Weighted mean over tasks of the relative gain of each one's first metric over `reference`, each within [-1, 1]; nan without any."""
        gains = {task: relative(self.signed(task, valid), self.signed(task, reference)) for task in valid if task in reference}
        known = {task: gain for task, gain in gains.items() if np.isfinite(gain)}
        weights = [self.store.tasks[task].weight for task in known]
        return float(np.average(np.clip(list(known.values()), -1, 1), weights=weights)) if known else float("nan")

    def signed(self, task: str, figures: Mapping[str, Figures]) -> float:
        """A task's first metric, more being better."""
        value = figures.get(task, {}).get(self.panel[task].best, float("nan"))
        return value if self.panel[task].rising else -value


def relative(value: float, reference: float) -> float:
    """How much better a signed figure is than another, as a share of it."""
    return (value - reference) / max(abs(reference), 1e-6)


def shortened(training: Training, joint: Budget, share: float, seed: int) -> tuple[Training, Budget]:
    """`share` of all the steps, in as many fewer epochs as there can be, the schedule fitted to them."""
    total = max(2, round(joint.steps * training.epochs * share))
    epochs = max(1, min(training.epochs, round(training.epochs * share)))
    seconds = training.seconds * share if training.seconds is not None else None
    changed = {"epochs": epochs, "seed": seed, "seconds": seconds, "pretrain": round(training.pretrain * share)}
    return training.model_copy(update=changed), Budget(joint.shares, max(1, round(total / epochs)))


def _balanced(store: Store, network: Network) -> Spec:
    """The store's balancer, or a plain sum where there are too few losses for it."""
    name, _ = parts.spec(store.model.balancing)
    return store.model.balancing if network.sizes.views >= parts.find("balancing", name).least else "fixed"


def _best(record: Record) -> dict[str, Figures]:
    return next((each["valid"] for each in record.epochs if each["epoch"] == record.best_epoch), {})


def keep_answers(path: Path, answers: Mapping[str, Array]) -> None:
    """Write answers so that the file is whole or not there."""
    with whole(path) as aside, aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **{f"task {name}": value for name, value in answers.items()})


def read_answers(path: Path) -> dict[str, Array]:
    """What `keep_answers` wrote; nothing is unpickled."""
    with np.load(path, allow_pickle=False) as found:
        return {name.removeprefix("task "): found[name] for name in found.files}


__all__ = ["Bench", "Outcome", "Variant", "keep_answers", "read_answers", "relative", "shortened", "switches"]

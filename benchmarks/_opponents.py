"""What the joint model of a store is measured against: each task alone, tuned a little; trees; simple rules. Each run is one line of a ledger."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from banyan.errors import BanyanError
from banyan.evaluation import baselines, transfer
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.questions import Question
from banyan.evaluation.space import Space
from banyan.evaluation.trial import Bench, Variant, keep_answers, read_answers
from banyan.store.schema import Store
from banyan.types import TEST, Array

RULES = ("popularity", "own history", "item-kNN")
TREES = "trees"
Point = Mapping[str, Any]
Tell = Callable[[str], None]


def points(store: Store) -> list[Point]:
    """What a task alone may try, the store as it is first: rates, regularisation, another architecture, a larger and a longer one."""
    lr, epochs = store.training.lr, store.training.epochs
    return [
        {},
        {"training.lr": lr / 2, "training.epochs": 2 * epochs},
        {"model.sharing": "bottom", "sharing.bottom.dropout": 0.2},
        {"training.lr": 2 * lr},
        {"model.sharing": "bottom", "training.lr": lr / 2},
        {"training.weight_decay": 0.03},
        {"model.width": 2 * store.model.width},
        {"model.sharing": "linear"},
    ]


class Opponents:
    """The runs of one store: those in the ledger are not made again."""

    def __init__(self, bench: Bench, folder: Path, same: Mapping[str, Any], tell: Tell) -> None:
        """`same`: what a run must have alike to go on."""
        self.bench, self.folder, self.tell = bench, folder, tell
        self.ledger = Ledger(folder / "runs.jsonl", {**bench.description, **same})
        self.questions: dict[str, Question] = bench.questions(TEST)

    def answers(self, key: str) -> dict[str, Array]:
        """Task -> what the run said of the test rows."""
        return read_answers(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / "answers" / f"{key.replace('/', '_').replace(' ', '-')}.npz"

    def _once(self, key: str, make: Callable[[], tuple[dict[str, Array], dict[str, Any]]]) -> None:
        if key in self.ledger:
            return
        began = time.perf_counter(), time.process_time()
        answers, facts = make()
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        keep_answers(path, answers)
        took = {"seconds": time.perf_counter() - began[0], "cpu_seconds": time.process_time() - began[1]}
        self.ledger.add(key, {**facts, **took})
        self.tell(f"{key}: {took['cpu_seconds']:.0f} CPU s")

    def joint(self, seed: int) -> str:
        """All tasks together; returns the key."""

        def make() -> tuple[dict[str, Array], dict[str, Any]]:
            found = self.bench.trial(Variant.described(self.bench.store), seed, 1.0, questions=self.questions)
            return found.answers, {"valid": found.valid, "steps": found.steps}

        self._once(key := f"joint seed {seed}", make)
        return key

    def tuned(self, task: str, trials: int, seconds: float) -> Point:
        """The point of the task alone that is best on validation rows with seed 0; each is tried once, in at most `seconds`."""
        tried = dict(enumerate(points(self.bench.store)[:trials]))
        for number, point in tried.items():
            self._once(_trial(task, number), partial(self._tried, task, point, seconds))
        values = {number: self.ledger[_trial(task, number)]["score"] for number in tried}
        best = max(values, key=lambda number: (values[number] if values[number] == values[number] else -float("inf"), -number))
        self.tell(f"{task} alone: tried {len(tried)}, taken {dict(tried[best]) or 'as it is'}")
        return tried[best]

    def _tried(self, task: str, point: Point, seconds: float) -> tuple[dict[str, Array], dict[str, Any]]:
        try:
            found = self._alone(task, 0, point, seconds)
        except BanyanError as error:  # a rate at which the loss is no number
            return {}, {"point": dict(point), "score": float("nan"), "error": str(error)}
        valid = next(each["valid"] for each in found.record.epochs if each["epoch"] == found.record.best_epoch)
        return found.evaluation.answers, {"point": dict(point), "score": self.bench.signed(task, valid)}

    def _alone(self, task: str, seed: int, point: Point, seconds: float) -> transfer.Alone:
        store = Space({}).of(self.bench.store, point)
        training = store.training.model_copy(update={"seconds": seconds, "clock": "cpu"})
        validate = self.bench.validated([task])
        return transfer.alone(store, self.bench.feeder, task, self.bench.budget, self.questions, TEST, seed=seed, training=training, validate=validate)

    def alone(self, task: str, seed: int, point: Point, seconds: float) -> str:
        """The task by itself at its point; returns the key. With seed 0 that is the trial itself."""
        tried = [key for key in self.ledger.lines if key.startswith(_trial(task, "")) and self.ledger[key]["point"] == dict(point)]
        if seed == 0 and tried:
            return tried[0]

        def make() -> tuple[dict[str, Array], dict[str, Any]]:
            found = self._alone(task, seed, point, seconds)
            return found.evaluation.answers, {"point": dict(point), "steps": found.record.steps}

        self._once(key := f"alone {task} seed {seed}", make)
        return key

    def simple(self, name: str, seed: int, seconds: float) -> str:
        """One of the package's own baselines on every task that it can answer; returns the key."""

        def make() -> tuple[dict[str, Array], dict[str, Any]]:
            found = baselines.run(self.bench.store, self.bench.data, self.questions, TEST, seconds=seconds, seed=seed, only=[name])
            return found.by_name[name].answers, {"notes": found.notes}

        self._once(key := f"{name} seed {seed}", make)
        return key

    def said(self, keys: Sequence[str], task: str) -> list[Array]:
        """What the runs said of a task, those that said nothing of it left out."""
        return [found[task] for found in map(self.answers, keys) if task in found]


def _trial(task: str, number: int | str) -> str:
    return f"tune {task} {number}"

"""The search of a model's options: one objective a task, on validation rows; the test part is never read. Lends optuna's sampler."""

import hashlib
import importlib.util
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from banyan.errors import BanyanError, ConfigError, MissingExtraError
from banyan.evaluation import space as spaces
from banyan.evaluation.space import Scalar, Space
from banyan.evaluation.trial import Bench
from banyan.store.schema import Store
from banyan.training.record import Figures

JOURNAL = "tune.log"
SEEN = 4  # trials that a later one is measured against before it may be stopped
STARTING = 8  # trials drawn at random before the sampler learns


class LosingTrialError(Exception):
    """A trial that every task would rather see stopped."""


@dataclass(frozen=True)
class Trial:
    """One point that was tried to its end."""

    number: int
    point: dict[str, Scalar]
    values: dict[str, float]  # task -> its first metric on validation rows
    score: float  # mean relative gain over the store as it was
    seconds: float
    front: bool = False  # whether no other trial is at least as good on every task and better on one


@dataclass
class Search:
    """What the search found."""

    folder: Path
    store: Store
    space: Space
    metrics: dict[str, tuple[str, bool]]  # task -> its first metric, and whether more of it is better
    trials: list[Trial]
    pruned: int
    failed: int
    seconds: float
    notes: list[str] = field(default_factory=list)

    @property
    def best(self) -> Trial:
        """The trial of the front with the highest mean relative gain. Raises BanyanError where none ended."""
        if not self.trials:
            raise BanyanError(f"{self.folder}: no trial has ended yet; give it more time.")
        return max(self.trials, key=lambda trial: (trial.front, trial.score))

    @property
    def recommended(self) -> Store:
        """The store at the best point."""
        return self.space.of(self.store, self.best.point)


class Losing:
    """A `Watch` that stops a trial whose every task is worse after an epoch than the median of the trials before it after theirs."""

    def __init__(self, bench: Bench, before: Sequence[Sequence[Mapping[str, float]]]) -> None:
        """`before`: of each ended trial, its tasks' signed figures after each epoch."""
        self.bench, self.before = bench, before
        self.epochs: list[dict[str, float]] = []

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float], pace: float) -> None:
        """Nothing is known between validations."""

    def epoch(self, epoch: int, figures: Figures, score: float, best: bool) -> None:
        """Compare, and raise LosingTrialError where no task is worth going on for."""
        mine = {task: self.bench.signed(task, figures) for task in figures}
        self.epochs.append(mine)
        others = [each[epoch] for each in self.before if len(each) > epoch]
        if len(others) < SEEN:
            return
        known = [task for task, value in mine.items() if not math.isnan(value)]
        middle = {task: float(np.nanmedian([each.get(task, math.nan) for each in others])) for task in known if any(task in each for each in others)}
        if known and all(mine[task] < middle.get(task, -math.inf) for task in known):
            raise LosingTrialError


def tune(
    store: Store,
    folder: str | Path,
    *,
    space: Path | None = None,
    seconds: float | None = None,
    trials: int | None = None,
    share: float = 1.0,
    most: int | None = 20_000,
    seed: int = 0,
    console: Console | None = None,
    device: str | None = None,
) -> Search:
    """Try points of the space until `seconds` of wall time, over all starts, or `trials` are spent; the store as it is comes first.

    Each trial fits the joint model on `share` of the store's budget and gives every task's first metric on validation rows. Trials that lose on every task
    are stopped early. A stopped search goes on when the same call is made again, with more time too. Raises ConfigError, MissingExtraError.
    """
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("The search of options", "tune")
    if seconds is None and trials is None:
        raise ConfigError("A search needs an end: give --hours, --minutes or --trials.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    room = spaces.read(space, store) if space is not None else spaces.usual(store)
    bench = Bench.read(store, folder, device=device, most=most)
    study = _study(folder, bench, room, {"share": share, "most": most, "seed": seed}, seed)
    tell: Callable[[str], None] = (lambda text: None) if console is None else lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)
    while (trials is None or _ended(study) < trials) and (seconds is None or _spent(study) < seconds):
        tell(_one(study, bench, room, share) + (f"; {max(0, seconds - _spent(study)) / 60:.0f} minutes left" if seconds is not None else ""))
    return _found(study, folder, bench, room)


def _study(folder: Path, bench: Bench, room: Space, settings: Mapping[str, Any], seed: int) -> Any:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ranges = {key: each.model_dump() for key, each in room.ranges.items()}
    same = hashlib.sha256(json.dumps([bench.description, ranges, settings], sort_keys=True, default=str).encode()).hexdigest()
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    study = optuna.create_study(storage=storage, study_name="tune", directions=["maximize"] * len(bench.store.tasks), load_if_exists=True)
    if study.user_attrs.get("same", same) != same:
        raise ConfigError(f"{folder} holds a search of another description, space or share. Give another folder, or delete this one to begin again.")
    study.set_user_attr("same", same)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # of a process that was killed
        study.tell(trial.number, state=TrialState.FAIL)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(room.here(bench.store))
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.get_trials(deepcopy=False)), n_startup_trials=STARTING)
    return study


def _one(study: Any, bench: Bench, room: Space, share: float) -> str:
    """One trial; what to say of it."""
    from optuna.trial import TrialState

    trial, began = study.ask(), time.perf_counter()
    point = _drawn(trial, room)
    ended = [t.user_attrs["epochs"] for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    watch, state, values = Losing(bench, ended), TrialState.COMPLETE, []
    try:
        changed = room.of(bench.store, point) if trial.number else bench.store
        _, record = bench.fit(changed, bench.store.training.seed, share, watch=watch)
        best: Figures = next((each["valid"] for each in record.epochs if each["epoch"] == record.best_epoch), {})
        values = [bench.signed(task, best) for task in bench.store.tasks]
        state = TrialState.FAIL if any(math.isnan(each) for each in values) else state
    except LosingTrialError:
        state = TrialState.PRUNED
    except BanyanError as error:  # a rate at which the loss is no number, a part that does not fit
        state = TrialState.FAIL
        trial.set_user_attr("error", str(error))
    trial.set_user_attr("epochs", watch.epochs)
    trial.set_user_attr("seconds", time.perf_counter() - began)
    study.tell(trial, values if state == TrialState.COMPLETE else None, state=state)
    return f"trial {trial.number + 1}: {state.name.lower()}, {time.perf_counter() - began:.0f} s"


def _drawn(trial: Any, room: Space) -> dict[str, Scalar]:
    """A point: the parts first, then the options of those that were chosen."""
    point: dict[str, Scalar] = {}
    while missing := [key for key in room.asked(point) if key not in point]:
        for key in missing:
            point[key] = _suggested(trial, key, room.ranges[key])
    return point


def _suggested(trial: Any, key: str, each: spaces.Range) -> Any:
    if each.choices is not None:
        return trial.suggest_categorical(key, each.written)
    if isinstance(each.low, int) and isinstance(each.high, int):
        return trial.suggest_int(key, each.low, each.high, log=each.log)
    return trial.suggest_float(key, float(each.low or 0.0), float(each.high or 0.0), log=each.log)


def _ended(study: Any) -> int:
    return sum(each.state.is_finished() for each in study.get_trials(deepcopy=False))


def _spent(study: Any) -> float:
    return float(sum(each.user_attrs.get("seconds", 0.0) for each in study.get_trials(deepcopy=False)))


def _found(study: Any, folder: Path, bench: Bench, room: Space) -> Search:
    from optuna.trial import TrialState

    every = study.get_trials(deepcopy=False)
    ended = [each for each in every if each.state == TrialState.COMPLETE]
    tasks = list(bench.store.tasks)
    values = np.array([each.values for each in ended]).reshape(len(ended), len(tasks))
    weights = [bench.store.tasks[task].weight for task in tasks]
    gained = np.clip((values - values[:1]) / np.maximum(np.abs(values[:1]), 1e-6), -1, 1) if len(ended) else values
    fronts = [not any(_beats(other, mine) for other in values) for mine in values]
    signs = {task: 1 if bench.panel[task].rising else -1 for task in tasks}
    found = [
        Trial(
            each.number,
            dict(each.params) if each.number else {},
            {task: signs[task] * float(value) for task, value in zip(tasks, mine, strict=True)},
            float(np.average(gain, weights=weights)),
            each.user_attrs["seconds"],
            front,
        )
        for each, mine, gain, front in zip(ended, values, gained, fronts, strict=True)
    ]
    counts = [sum(each.state == state for each in every) for state in (TrialState.PRUNED, TrialState.FAIL)]
    notes = [f"trial {each.number + 1}: {each.user_attrs['error']}" for each in every if "error" in each.user_attrs]
    metrics = {task: (bench.panel[task].best, bench.panel[task].rising) for task in tasks}
    return Search(folder, bench.store, room, metrics, found, counts[0], counts[1], _spent(study), notes)


def _beats(one: Any, other: Any) -> bool:
    """Whether one is at least as good everywhere and better somewhere."""
    return bool((one >= other).all() and (one > other).any())

"""One world tried: the joint model, popularity and `bayes` on the same rows; tasks alone; the two that fight, through a bottleneck."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from banyan.evaluation import transfer
from banyan.evaluation.calibrate import calibrate
from banyan.evaluation.evaluate import Evaluation, evaluate, judged, validator
from banyan.evaluation.questions import judges
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.world import World, gap_closed
from banyan.training.budget import Budget
from banyan.training.loop import Fit
from banyan.types import TEST
from benchmarks import _truths

FIGHT = ("keeps", "returns")
NARROW = {"part": "benchmarks._one_number:OneNumber"}  # a shared representation of one direction
DRAWS = 200


@dataclass
class Trial:
    """A world's data and its joint model."""

    store: Store
    data: Data
    feeder: Feeder
    fit: Fit
    evaluation: Evaluation


def run(
    world: World,
    folder: Path,
    sets: Sequence[str],
    *,
    alone: Iterable[str] | None,
    tell: Callable[[str], None],
    tasks: Sequence[str] = (),
    runs: Path | None = None,
) -> dict[str, Any]:
    """Figures by task, gains over tasks alone (all of them for None), and gains through the bottleneck; JSON-able.

    `tasks`: all unless given. Checkpoints go to `runs`, `folder` unless given; `folder` holds the written world.
    """
    began, runs = time.process_time(), runs or folder
    shop = open_store(_narrowed(load(folder / "store.yaml", sets), tasks))
    data = build(shop, Texts())
    tell(f"seed {world.seed}: fitting {len(shop.store.tasks)} tasks together")
    trial = _joint(shop.store, data, list(shop.store.tasks), runs / "joint")
    tell(f"seed {world.seed}: {trial.fit.record.stopped}; CPU seconds {trial.fit.record.cpu_seconds:.0f}")
    found: dict[str, Any] = {"seed": world.seed, "figures": _figures(world, trial), "cpu_seconds": trial.fit.record.cpu_seconds}
    wanted = list(shop.store.tasks) if alone is None else list(alone)
    found["gains"] = _gains(trial, wanted, runs / "alone", tell)
    if alone is not None and set(FIGHT) <= set(wanted):
        tell(f"seed {world.seed}: {' and '.join(FIGHT)} through a bottleneck of one number")
        found["narrow"] = _fight(trial, runs, tell)
    return found | {"all_cpu_seconds": time.process_time() - began}


def _fight(whole: Trial, runs: Path, tell: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Gains of the two that fight over each of them alone, when all that a row's tokens say goes through one number.

    All three networks begin with the tokens of the joint model, so that no task has to learn from the other's rows what users and items are:
    what is left between them is the one number.
    """
    model = whole.store.model.model_copy(update={"sharing": NARROW, "wide": False})
    store = whole.store.model_copy(update={"model": model})
    both = _joint(store, whole.data, FIGHT, runs / "narrow", lent=whole.fit.network)
    alone = {}
    for task in FIGHT:
        tell(f"{task} alone")
        budget = transfer.budget_alone(both.feeder, both.store.tasks, both.fit.budget, task)
        one = _joint(store, whole.data, [task], runs / "narrow-alone" / task, lent=whole.fit.network, given=budget)
        alone[task] = [transfer.Alone(task, store.training.seed, one.evaluation, one.fit.record, one.fit.record.cpu_seconds)]
    rows = transfer.compare(both.store, both.data, both.evaluation, alone, draws=DRAWS)
    return {row.task: _row(row) for row in rows}


def _lend(lender: Network, network: Network) -> None:
    """Give a network the embeddings and the encoders of another over the same plan: all that lies before the sharing."""
    network.embeddings.weight.copy_(lender.embeddings.weight)
    tokens = {key: value for key, value in lender.trunks[0].state_dict().items() if not key.startswith(("sharing.", "wide."))}
    missing = network.trunks[0].load_state_dict(tokens, strict=False)
    assert not missing.unexpected_keys, missing.unexpected_keys


def _narrowed(store: Store, tasks: Sequence[str]) -> Store:
    if not tasks:
        return store
    kept = {name: store.tasks[name] for name in tasks}
    used = {spec.samples for spec in kept.values()}
    return store.model_copy(update={"tasks": kept, "samples": {name: each for name, each in store.samples.items() if name in used}})


def _joint(store: Store, data: Data, tasks: Sequence[str], folder: Path, *, lent: Network | None = None, given: Budget | None = None) -> Trial:
    """`lent`: a network whose tokens this one begins with. `given`: the budget, the store's own unless given."""
    store = store.model_copy(update={"tasks": {name: store.tasks[name] for name in tasks}})
    feeder = Feeder(data, {name: task_options(store, name) for name in tasks}, store.model.id_dropout)
    torch.manual_seed(store.training.seed)
    network = Network(data.plan, store.model, store.tasks)
    if lent is not None:
        _lend(lent, network)
    balancing = store.model.balancing if len(store.tasks) > 1 else "fixed"
    fit = Fit(network, feeder, store.tasks, store.training, balancing, evaluate=validator(feeder, store.tasks), given=given, folder=folder)
    fit.run()
    calibrate(network, feeder, store.tasks, seed=store.training.seed)
    return Trial(store, data, feeder, fit, evaluate(network, feeder, store.tasks, TEST))


def _figures(world: World, trial: Trial) -> dict[str, dict[str, dict[str, float]]]:
    """Task -> metric -> model, popularity, bayes, closed. The first metric of a task is the one that it is judged by; a funnel has one a stage."""
    store, data, ours = trial.store, trial.data, trial.evaluation
    levels = {}
    for level in ("popularity", "bayes"):
        answers = _truths.answers(world, store, data, ours.questions, level)
        levels[level] = judged(data, store.tasks, ours.questions, answers, TEST).figures
    found: dict[str, dict[str, dict[str, float]]] = {}
    for task, part in judges(data, store.tasks).items():
        wanted = [f"auc/{stage}" for stage in data.plan.targets[task].names] if part.views > 1 else [part.best]
        found[task] = {}
        for metric in wanted:
            model, low, high = ours.figures[task][metric], levels["popularity"][task][metric], levels["bayes"][task][metric]
            found[task][metric] = {"model": model, "popularity": low, "bayes": high, "closed": gap_closed(model, low, high)}
    return found


def _gains(trial: Trial, tasks: Sequence[str], folder: Path, tell: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Task -> joint, alone, gain with its paired interval, verdict."""
    alone: Mapping[str, list[transfer.Alone]] = {}
    for task in tasks:
        tell(f"{task} alone")
        questions = trial.evaluation.questions
        made = transfer.alone(trial.store, trial.feeder, task, trial.fit.budget, questions, TEST, seed=trial.store.training.seed, folder=folder / task)
        alone = {**alone, task: [made]}
    rows = transfer.compare(trial.store, trial.data, trial.evaluation, alone, draws=DRAWS)
    return {row.task: _row(row) for row in rows if row.gain is not None}


def _row(row: transfer.Row) -> dict[str, Any]:
    assert row.gain is not None
    gain = {"gain": row.gain.value, "low": row.gain.low, "high": row.gain.high}
    return {"metric": row.metric, "joint": row.joint, "alone": row.alone, **gain, "verdict": row.verdict}

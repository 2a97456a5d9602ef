"""What sharing gave or took: each task trained alone under the joint model's budget, judged on the same rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from banyan.evaluation import judge
from banyan.evaluation.baselines import Baselines
from banyan.evaluation.calibrate import calibrate
from banyan.evaluation.evaluate import Evaluation, answer, judged, validator
from banyan.evaluation.questions import Question, judges
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.metrics import NAN, Interval
from banyan.model import Network
from banyan.store.schema import Store, TaskSpec, Training
from banyan.tasks import Task
from banyan.training.budget import Budget, training_rows
from banyan.training.loop import Fit
from banyan.training.record import Record, Watch


@dataclass
class Alone:
    """One task trained by itself, with one seed."""

    task: str
    seed: int
    evaluation: Evaluation
    record: Record
    cpu_seconds: float


@dataclass
class Row:
    """One task's line of the table. Gains are in the unit of `metric`, above 0 where the joint model is better."""

    task: str
    kind: str
    metric: str
    rising: bool  # whether more of the metric is better
    rows: int
    joint: float
    interval: Interval | None = None
    alone: float | None = None
    gain: Interval | None = None  # over the task alone
    verdict: str = ""  # of the gain: better, worse, no difference; "" without the task alone
    baselines: dict[str, float] = field(default_factory=dict)  # name -> figure of those that apply
    best_baseline: str | None = None
    over_best: Interval | None = None  # gain over the best baseline
    over_best_verdict: str = ""
    warmth: dict[str, tuple[int, float]] = field(default_factory=dict)  # warm user, cold user, warm item, cold item -> rows, the metric on them


def budget_alone(feeder: Feeder, tasks: Mapping[str, TaskSpec], joint: Budget, task: str) -> Budget:
    """As many rows with the task's label, a step and an epoch, as the joint model reads: the same passes over the task's own rows.

    Of its table's rows in a joint step only some show this label; the task alone sees no others. Less than one row a step becomes one row in fewer steps.
    """
    table = tasks[task].samples
    own, all_rows = (len(training_rows(feeder, chosen)[table]) for chosen in ({task: tasks[task]}, {n: s for n, s in tasks.items() if s.samples == table}))
    share = joint.shares[table] * own / all_rows
    return Budget({table: max(share, 1.0)}, max(1, round(joint.steps * min(share, 1.0))))


def alone(
    store: Store,
    feeder: Feeder,
    task: str,
    joint: Budget,
    questions: Mapping[str, Question],
    part: int,
    *,
    seed: int = 0,
    training: Training | None = None,
    validate: Callable[[Network], dict[str, dict[str, float]]] | None = None,
    folder: Path | None = None,
    watch: Watch | None = None,
    device: torch.device | str = "cpu",
) -> Alone:
    """Train one task by itself: the joint model's architecture with one task's views, `joint` of its budget, the same early stopping, on one seed.

    `training` (the store's unless given) may bound the seconds. `validate` is what the joint model was validated with, if not `validator`'s default.
    `folder`: where its checkpoints go; a run found there is resumed.
    """
    began = time.process_time()
    spec = {task: store.tasks[task].model_copy(update={"stop_gradient": False})}  # nobody else would move the trunk
    # one loss has nothing to be balanced with
    options = (training or store.training).model_copy(update={"seed": seed, "weights": "constant", "final_weights": {}})
    torch.manual_seed(seed)
    network = Network(feeder.plan, store.model, spec)
    budget = budget_alone(feeder, store.tasks, joint, task)
    fit = Fit(network, feeder, spec, options, "fixed", evaluate=validate or validator(feeder, spec), given=budget, folder=folder, watch=watch, device=device)
    record = fit.run()
    calibrate(network, feeder, spec, seed=seed)
    asked = {task: questions[task]}
    found = judged(feeder.data, spec, asked, answer(network, feeder, asked), part)
    return Alone(task, seed, found, record, time.process_time() - began)


def compare(
    store: Store,
    data: Data,
    joint: Evaluation | Sequence[Evaluation],
    alone: Mapping[str, Sequence[Alone]] | None = None,
    baselines: Baselines | None = None,
    *,
    draws: int = 200,
    seed: int = 0,
) -> list[Row]:
    """A row a task: the joint model (one evaluation a seed) beside the task alone and the baselines, by the task's first metric.

    Differences are paired on the same rows, with 95 % bootstrap intervals over users (and seeds, where there are several). A verdict other
    than "no difference" is given only where the interval excludes 0.
    """
    runs = [joint] if isinstance(joint, Evaluation) else list(joint)
    panel = judges(data, {name: store.tasks[name] for name in runs[0].answers})
    return [_row(name, store.tasks[name].kind, each, runs, (alone or {}).get(name, ()), baselines or Baselines(), draws, seed) for name, each in panel.items()]


def _row(name: str, kind: str, part: Task, runs: Sequence[Evaluation], alone: Sequence[Alone], baselines: Baselines, draws: int, seed: int) -> Row:
    question, ours = runs[0].questions[name], [run.answers[name] for run in runs]
    found = Row(name, kind, part.best, part.rising, len(question), _mean([run.figures[name].get(part.best, NAN) for run in runs]))
    halves = [run.by_warmth.get(name, {}) for run in runs]
    found.warmth = {half: (rows, _mean([each[half][1].get(part.best, NAN) for each in halves])) for half, (rows, _) in halves[0].items()}
    found.interval = runs[0].intervals.get(name, {}).get(part.best) if len(runs) == 1 else None
    if alone:
        found.alone = _mean([each.evaluation.figures[name].get(part.best, NAN) for each in alone])
        found.gain = judge.gain(part, question, ours, [each.evaluation.answers[name] for each in alone], draws=draws, seed=seed)
        found.verdict = verdict(found.gain)
    found.baselines = {label: each.figures[name].get(part.best, NAN) for label, each in baselines.by_name.items() if name in each.figures}
    known = {label: value if part.rising else -value for label, value in found.baselines.items() if value == value}
    if known:
        found.best_baseline = max(known, key=lambda label: known[label])
        found.over_best = judge.gain(part, question, ours, [baselines.by_name[found.best_baseline].answers[name]], draws=draws, seed=seed)
        found.over_best_verdict = verdict(found.over_best)
    return found


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values)) if values else NAN


def verdict(gain: Interval) -> str:
    """A gain in words: an interval that holds 0 says no difference; one that is undefined says so."""
    if not (gain.low == gain.low and gain.high == gain.high):
        return "undefined"
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference"

"""A network's answers to a part of the split, and every task's figures on them: overall, by scenario, with intervals."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from banyan import inference
from banyan.evaluation import blend, judge
from banyan.evaluation.judge import Figures
from banyan.evaluation.questions import MOST, MOST_RANKED, Question, ask, judges
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.metrics import Interval
from banyan.model import Network
from banyan.store.schema import TaskSpec
from banyan.types import VALID, Array


@dataclass
class Evaluation:
    """What one model said, and how good that was."""

    part: int
    questions: dict[str, Question]  # task -> the rows that it was judged on
    answers: dict[str, Array]  # task -> (n, columns) answers, or (n, T) ranks of a ranking's targets
    figures: dict[str, Figures]  # task -> metric -> value
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    by_scenario: dict[str, dict[str, Figures]] = field(default_factory=dict)
    plain: dict[str, Array] = field(default_factory=dict)  # answers before calibration, of the tasks that have one
    before: dict[str, Figures] = field(default_factory=dict)  # figures of those
    by_warmth: dict[str, dict[str, tuple[int, Figures]]] = field(default_factory=dict)  # task -> warm user, cold user, ... -> rows, metric -> value
    cpu_seconds: float = 0.0


def evaluate(
    network: Network,
    feeder: Feeder,
    tasks: Mapping[str, TaskSpec],
    part: int,
    *,
    most: int | None = MOST,
    most_ranked: int | None = MOST_RANKED,
    seed: int = 0,
    by_scenario: bool = False,
    intervals: int = 0,
) -> Evaluation:
    """Judge a network on the rows of `part` that show a label, at most `most` a task (`most_ranked` for rankings; None: all).

    Figures use the rows' weights, 1 / sampling rate among them, so they speak of the unsampled population. `intervals` is the number of bootstrap
    draws over users; 0 for none.
    """
    began = time.process_time()
    questions = ask(feeder.data, tasks, part, most=most, most_ranked=most_ranked, seed=seed)
    plain = answer(network, feeder, questions, calibrated=False)
    answers = {name: network.calibrated(name, each) for name, each in plain.items()}
    found = judged(feeder.data, tasks, questions, answers, part, by_scenario=by_scenario, intervals=intervals, seed=seed)
    found.plain = {name: plain[name] for name in network.calibration if name in plain}
    panel = judges(feeder.data, {name: tasks[name] for name in found.plain})
    found.before = {name: judge.figures(panel[name], questions[name], each) for name, each in found.plain.items()}
    found.cpu_seconds = time.process_time() - began
    return found


def answer(network: Network, feeder: Feeder, questions: Mapping[str, Question], *, calibrated: bool = True) -> dict[str, Array]:
    """The network's answer to each question, in the task's own unit; ranks for rankings."""
    found = {}
    for name, q in questions.items():
        if feeder.plan.tables[q.table].ranking:
            found[name] = inference.ranks(network, feeder, name, q.table, q.rows)
    for together in _alike(feeder.data, questions):
        q = questions[together[0]]
        found |= inference.predict(network, feeder, q.table, q.rows, together, calibrated=calibrated)
    return {name: found[name] for name in questions}


def _alike(data: Data, questions: Mapping[str, Question]) -> list[list[str]]:
    """Tasks that ask about the very same rows are answered together."""
    found: dict[tuple[str, bytes], list[str]] = {}
    for name, q in questions.items():
        if not data.plan.tables[q.table].ranking:
            found.setdefault((q.table, q.rows.tobytes()), []).append(name)
    return list(found.values())


def judged(
    data: Data,
    tasks: Mapping[str, TaskSpec],
    questions: Mapping[str, Question],
    answers: Mapping[str, Array],
    part: int,
    *,
    by_scenario: bool = False,
    intervals: int = 0,
    seed: int = 0,
) -> Evaluation:
    """The figures of any model's answers; tasks without an answer are left out."""
    panel = judges(data, {name: tasks[name] for name in answers})
    found = Evaluation(part, {name: questions[name] for name in answers}, dict(answers), {})
    for name, each in answers.items():
        q = questions[name]
        if intervals:
            found.intervals[name] = judge.intervals(panel[name], q, each, draws=intervals, seed=seed)
            found.figures[name] = {key: i.value for key, i in found.intervals[name].items()}
        else:
            found.figures[name] = judge.figures(panel[name], q, each)
        found.by_warmth[name] = judge.by_warmth(panel[name], q, each)
        if by_scenario and (split := judge.by_scenario(panel[name], q, each, data.plan.scenarios)):
            found.by_scenario[name] = split
    return found


def validator(
    feeder: Feeder, tasks: Mapping[str, TaskSpec], *, most: int | None = 20_000, most_ranked: int | None = 500, seed: int = 0
) -> Callable[[Network], dict[str, Figures]]:
    """What `Fit(evaluate=...)` calls after each epoch: task -> metric -> value on the validation part. The rows are chosen once."""
    questions = ask(feeder.data, tasks, VALID, most=most, most_ranked=most_ranked, seed=seed)
    panel = judges(feeder.data, tasks)

    def figures(network: Network) -> dict[str, Figures]:
        blend.fit(network, feeder, questions)
        answers = answer(network, feeder, questions)
        return {name: judge.figures(panel[name], questions[name], answers[name]) for name in questions if len(questions[name])}

    return figures

"""The simple strong baselines, on exactly the rows that a model is judged on: popularity, own history, item-kNN, trees.

All are fitted on training rows and on events that a row may see; what they leave open (a window, a decay) is chosen on validation rows.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from banyan.evaluation.baselines import ranking, rates, trees
from banyan.evaluation.evaluate import Evaluation, judged
from banyan.evaluation.questions import Question, ask
from banyan.features.data import Data
from banyan.store.schema import Store
from banyan.types import VALID, Array

NAMES = ("popularity", "own history", "item-kNN", "trees")
Answered = Array | str  # answers to a question, or why there are none


@dataclass
class Baselines:
    """What the baselines said. A task that one of them cannot answer is missing there, and `notes` says why."""

    by_name: dict[str, Evaluation] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cpu_seconds: dict[str, float] = field(default_factory=dict)


def run(
    store: Store,
    data: Data,
    questions: Mapping[str, Question],
    part: int,
    *,
    seconds: float | None = None,
    most: int = 200_000,
    threads: int = 1,
    seed: int = 0,
    only: Sequence[str] = NAMES,
) -> Baselines:
    """Answer each of `questions` (of `ask`, or of an Evaluation) with every baseline that applies.

    `seconds` bounds the CPU time, which other work on the machine does not change: a baseline is not begun past it, and trees stop growing.
    `most` caps the rows that trees learn from.
    """
    tasks = {name: store.tasks[name] for name in questions}
    valid = ask(data, tasks, VALID, most=20_000, most_ranked=500, seed=seed)
    deadline = time.process_time() + seconds if seconds is not None else float("inf")
    makers: dict[str, Callable[[str], Answered]] = {
        "popularity": lambda task: _simple(store, data, ranking.popularity, rates.popularity, questions[task], valid[task]),
        "own history": lambda task: _simple(store, data, ranking.own_history, rates.own_history, questions[task], valid[task]),
        "item-kNN": lambda task: ranking.neighbours(store, data, questions[task]) if _ranked(data, task, questions) else "",
        "trees": lambda task: "" if _ranked(data, task, questions) else trees.answer(store, data, questions[task], valid[task], most, deadline, threads, seed),
    }
    found = Baselines()
    for name in only:
        began = time.process_time()
        answers = _answers(name, makers[name], questions, deadline, found.notes)
        found.by_name[name] = judged(data, tasks, questions, answers, part)
        found.cpu_seconds[name] = found.by_name[name].cpu_seconds = time.process_time() - began
    return found


def _answers(name: str, make: Callable[[str], Answered], questions: Mapping[str, Question], deadline: float, notes: list[str]) -> dict[str, Array]:
    found = {}
    for task, question in questions.items():
        if not len(question):
            continue
        if time.process_time() > deadline:
            notes.append(f"{name} of {task}: left out, the time for baselines was over.")
            continue
        answered = make(task)
        if not isinstance(answered, str):
            found[task] = answered
        elif answered:
            notes.append(f"{name} of {task}: left out, {answered}.")
    return found


def _ranked(data: Data, task: str, questions: Mapping[str, Question]) -> bool:
    return data.plan.tables[questions[task].table].ranking


def _simple(store: Store, data: Data, of_ranking: Callable[..., Answered], of_rows: Callable[..., Answered], question: Question, valid: Question) -> Answered:
    ranked = data.plan.tables[question.table].ranking
    return (of_ranking if ranked else of_rows)(store, data, question, valid)

"""Figures of answers, with bootstrap intervals, and the difference of two models on the same rows. Knows no model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from banyan import metrics
from banyan.evaluation.questions import Question
from banyan.metrics import NAN, Interval
from banyan.tasks import Task
from banyan.types import Array

OWNERS = 10  # fewer than these to draw from, and an interval would promise too much
SMALLEST = 30  # rows of a scenario below which its figures would say nothing

Figures = dict[str, float]


def figures(judge: Task, question: Question, answer: Array) -> Figures:
    """Every figure of the task; nan where undefined. `answer` (n, columns), or (n, T) ranks of a ranking. Without rows, the first figure alone."""
    if not len(question):
        return {judge.best: NAN}
    return judge.metrics(answer, question.value, question.seen, question.weight, question.group)


def by_scenario(judge: Task, question: Question, answer: Array, names: Sequence[str]) -> dict[str, Figures]:
    """The figures of each scenario that has at least 30 of the rows; `names[0]` is the unknown one."""
    found = {}
    for code in np.unique(question.scenario):
        places = np.flatnonzero(question.scenario == code)
        if len(places) >= SMALLEST:
            found[names[int(code)] or "unknown"] = figures(judge, question.take(places), answer[places])
    return found if len(found) > 1 else {}


def by_warmth(judge: Task, question: Question, answer: Array) -> dict[str, tuple[int, Figures]]:
    """`warm user`, `cold user`, `warm item`, `cold item` -> (rows, their figures): by whether training knew the user and the item.

    Both halves of an entity are told, also where one has no row; with fewer than 30 rows a half has its first figure as nan.
    """
    found = {}
    for name, known in question.warm.items():
        for word, code in (("warm", 1), ("cold", 0)):
            places = np.flatnonzero(known == code)
            enough = len(places) >= SMALLEST
            found[f"{word} {name}"] = len(places), figures(judge, question.take(places), answer[places]) if enough else {judge.best: NAN}
    return found


def intervals(judge: Task, question: Question, answer: Array, *, draws: int = 200, seed: int = 0) -> dict[str, Interval]:
    """Percentile bootstrap of every figure at once, owners (users, say) drawn with replacement: one set of draws, nothing computed twice.

    The ends are nan with fewer than 10 owners, and where a figure is undefined in more than half of the draws.
    """
    question, (answer,) = _sorted(question, [answer])
    at = figures(judge, question, answer)
    drawn: list[Figures] = [figures(judge, each, answer[places]) for places, each in _draws(question, draws, seed)]
    return {name: metrics.interval(value, [each.get(name, NAN) for each in drawn]) for name, value in at.items()}


def gain(judge: Task, question: Question, ours: Sequence[Array], theirs: Sequence[Array], *, draws: int = 200, seed: int = 0) -> Interval:
    """How much better `ours` are than `theirs` by the task's first metric, above 0 for better, with its paired bootstrap interval.

    Each side holds one answer a seed (a baseline has one). A draw takes owners with replacement, the same for both sides, and seeds too, so that
    what is luck of a seed stands in the interval. The metric's sign is turned where less of it is better.
    """
    return metrics.interval(*gains(judge, question, ours, theirs, draws=draws, seed=seed))


def gains(judge: Task, question: Question, ours: Sequence[Array], theirs: Sequence[Array], *, draws: int = 200, seed: int = 0) -> tuple[float, list[float]]:
    """(The gain, that of each bootstrap draw); see `gain`. No draws with fewer than 10 owners; nan without rows."""
    rng = np.random.default_rng([seed, 1])

    def difference(question: Question, places: Array, left: Array, right: Array) -> float:
        a, b = (np.mean([figures(judge, question, side[i][places])[judge.best] for i in chosen]) for side, chosen in ((ours, left), (theirs, right)))
        return float(a - b) if judge.rising else float(b - a)

    if not len(question):
        return NAN, []
    question, both = _sorted(question, [*ours, *theirs])
    ours, theirs = both[: len(ours)], both[len(ours) :]
    value = difference(question, np.arange(len(question)), np.arange(len(ours)), np.arange(len(theirs)))
    drawn = [difference(each, places, _seeds(rng, len(ours)), _seeds(rng, len(theirs))) for places, each in _draws(question, draws, seed)]
    return value, drawn


def _sorted(question: Question, answers: Sequence[Array]) -> tuple[Question, list[Array]]:
    """Rows in the order of the first answer: what sorts in every draw then sorts what is sorted already, in linear time."""
    if answers[0].shape[1] != 1:
        return question, list(answers)
    order = np.argsort(answers[0][:, 0], kind="stable")
    return question.take(order), [each[order] for each in answers]


def _seeds(rng: np.random.Generator, count: int) -> Array:
    return rng.integers(0, count, count) if count > 1 else np.zeros(1, np.int64)


def _draws(question: Question, draws: int, seed: int) -> Iterator[tuple[Array, Question]]:
    """(places of the rows drawn, the question with their weights) of each draw; a row drawn twice weighs twice, so nothing is copied."""
    for places, times in metrics.draw(question.owner, len(question), draws, seed, fewest=OWNERS):
        part = question.take(places)
        yield places, replace(part, weight=part.weight * times)


def signed(judge: Task, found: Mapping[str, float]) -> float:
    """The task's first metric, turned so that more is better; nan where undefined."""
    value = found.get(judge.best, NAN)
    return value if judge.rising else -value

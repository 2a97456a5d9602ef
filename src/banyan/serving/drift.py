"""Is what comes in, and what comes of it, still what the bundle was trained on? Distributions feature by feature, and calibration task by task."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from banyan.bundle import Bundle
from banyan.bundle.rows import Reader
from banyan.features.columns import ID
from banyan.features.stock import ITEM, USER
from banyan.features.vocabulary import EMPTY, FIRST, UNSEEN
from banyan.metrics.binary import calibration_error
from banyan.serving.state import Event, Journal
from banyan.types import Array

MOST = 200_000  # events that a distribution is counted on, the newest
VALUES, BINS = 30, 10  # commonest values of a category that count by themselves, and bins of a number
LARGE = 0.2  # PSI from which a shift is worth a word: the trade's .1 is "some" and .25 "much"
SURE = 0.999  # and it must be larger than chance makes it in so many of 1,000 looks
OFF, STRICT = 0.1, 3.5  # calibration: a sum that is off by a tenth, and by so many standard errors
DAY, HOUR = 86_400_000_000, 3_600_000_000
Counts = dict[str, dict[str, float]]  # feature -> value or bin -> events


@dataclass(frozen=True)
class Shift:
    """How far one feature's distribution over events has moved."""

    feature: str
    psi: float  # population stability index, nats
    divergence: float  # Jensen-Shannon, bits, in [0, 1]
    chance: float  # the PSI that chance alone stays under, in 999 of 1,000 looks
    alarm: bool
    moved: tuple[tuple[str, float, float], ...]  # (value, share before, share now) of those that moved most


@dataclass(frozen=True)
class Drift:
    """What came in since the bundle was trained, beside what it was trained on."""

    before: int  # events
    now: int
    new_users: float  # share of the events now whose user the bundle does not know
    new_items: float
    shifts: tuple[Shift, ...]  # the largest first


@dataclass(frozen=True)
class Calibrated:
    """One column of one task on matured outcomes."""

    task: str
    column: str
    rows: int
    predicted: float  # mean
    observed: float
    errors: float  # how many standard errors lie between them
    error: float  # expected calibration error of probabilities; nan of other answers
    alarm: bool


def psi(before: Array, now: Array) -> float:
    """Population stability index of two histograms: sum (q - p) ln(q / p), nats, each count half a row larger so that nothing is infinite.

    It is the symmetric divergence of Jeffreys (1946); without a shift about (bins - 1)(1/n + 1/m).
    """
    p, q = ((each + 0.5) / (each + 0.5).sum() for each in (np.asarray(before, np.float64), np.asarray(now, np.float64)))
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(before: Array, now: Array) -> float:
    """Jensen-Shannon divergence of two histograms, bits, in [0, 1] (Lin, 1991); nan where one is empty."""
    p, q = (np.asarray(each, np.float64) / max(np.sum(each), 1e-300) for each in (before, now))
    if not p.sum() or not q.sum():
        return math.nan
    middle = (p + q) / 2

    def against(x: Array) -> float:
        some = x > 0
        return float(np.sum(x[some] * np.log2(x[some] / middle[some])))

    return max((against(p) + against(q)) / 2, 0.0)


def by_chance(bins: int, before: float, now: float) -> float:
    """The PSI that two samples of one distribution stay under, in SURE of the looks (chi-squared with bins - 1 degrees; Yurdakul, 2018)."""
    return float(stats.chi2.ppf(SURE, max(bins - 1, 1)) * (1 / max(before, 1) + 1 / max(now, 1)))


def shift(feature: str, before: Mapping[str, float], now: Mapping[str, float]) -> Shift:
    """One feature's two histograms beside each other."""
    names = [*before, *(each for each in now if each not in before)]
    p, q = (np.array([each.get(name, 0.0) for name in names]) for each in (before, now))
    value, limit = psi(p, q), by_chance(len(names), p.sum(), q.sum())
    shares = p / max(p.sum(), 1), q / max(q.sum(), 1)
    order = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")[:3]
    moved = tuple((names[i], float(shares[0][i]), float(shares[1][i])) for i in order)
    return Shift(feature, value, jensen_shannon(p, q), limit, value > max(LARGE, limit), moved)


@dataclass(frozen=True)
class _Log:
    """Events as row numbers and words."""

    user: Array
    item: Array
    behaviour: Array
    scenario: Array
    time: Array | None


def drift(bundle: Bundle, events: Iterable[Event], most: int = MOST) -> Drift:
    """The distributions of behaviours, scenarios, hours, and of every category and number of the users and items that events name: trained on, and now.

    `events` are the service's, since the bundle was trained; the newest `most` count. Events of nobody, or of no item, are left out.
    """
    reader = Reader(bundle.store, bundle.plan, bundle.stock, bundle.facts["since"])
    before, (now, new) = _trained(bundle), _live(reader, bundle, events, most)
    edges = _edges(bundle, before)
    one, two = _counts(bundle, before, edges), _counts(bundle, now, edges)
    shifts = sorted((shift(name, one[name], two[name]) for name in one if len(one[name]) > 1 or len(two[name]) > 1), key=lambda each: -each.psi)
    return Drift(len(before.item), len(now.item), *new, tuple(shifts) if len(now.item) else ())


def since_training(bundle: Bundle, journal: Journal, most: int = MOST) -> Drift:
    """`drift` of what the journal has seen since the bundle was trained."""
    after = max(int(bundle.facts.get("through", 0)), journal.last() - 2 * most)
    return drift(bundle, (event for _, event in journal.since(after)), most)


def _trained(bundle: Bundle) -> _Log:
    """The newest events of the bundle's log, from the moment on from which it holds all of them."""
    log = bundle.stock.log
    if log is None:
        nothing = np.zeros(0, np.int64)
        return _Log(nothing, nothing, nothing, nothing, None)
    since = bundle.facts["since"]
    rows = np.arange(len(log.time)) if since is None or log.clock == "none" else np.flatnonzero(log.time >= since)
    rows = rows[np.argsort(log.time[rows], kind="stable")][-MOST:]
    words = np.array(log.behaviours, object)[log.behaviour[rows]], np.array(log.scenarios, object)[log.scenario[rows]]
    return _Log(log.user[rows], log.item[rows], *words, log.time[rows] if log.clock == "time" else None)


def _live(reader: Reader, bundle: Bundle, events: Iterable[Event], most: int) -> tuple[_Log, tuple[float, float]]:
    found = deque((each for each in events if each.user and each.item is not None), maxlen=most)
    ids: dict[str, list[Any]] = {USER: [each.user for each in found], ITEM: [each.item for each in found]}
    users, items = (reader.newest(name)[reader.row_numbers(name, pl.Series(each, dtype=pl.String))] for name, each in ids.items())
    new = tuple(float(np.mean(rows > len(bundle.stock.ids[name]))) if len(rows) else 0.0 for name, rows in ((USER, users), (ITEM, items)))
    time = np.array([each.time for each in found], np.int64) if bundle.plan.clock == "time" else None
    words = np.array([each.behaviour for each in found], object), np.array([each.scenario for each in found], object)
    return _Log(users, items, *words, time), (new[0], new[1])


def _edges(bundle: Bundle, log: _Log) -> dict[str, Array]:
    """Feature -> inner edges of its bins: quantiles over the events that the bundle was trained on."""
    found = {}
    for name, rows in ((USER, log.user), (ITEM, log.item)):
        values, layout = bundle.stock.entities[name], bundle.plan.entities[name]
        for place, number in enumerate(layout.numbers):
            x = values.numbers[rows, place][values.known[rows, place]]
            found[f"{name}.{number.name}"] = np.unique(np.quantile(x, np.arange(1, BINS) / BINS)) if len(x) else np.zeros(0)
    return found


def _counts(bundle: Bundle, log: _Log, edges: Mapping[str, Array]) -> Counts:
    found: Counts = {"behaviour": _words(log.behaviour), "scenario": _words(log.scenario)}
    if log.time is not None:
        found["hour"] = _words(log.time % DAY // HOUR)
    for name, rows in ((USER, log.user), (ITEM, log.item)):
        values, layout = bundle.stock.entities[name], bundle.plan.entities[name]
        for place, (feature, book) in enumerate(layout.categories.items()):
            if feature != ID:
                found[f"{name}.{feature}"] = _coded(values.ids[rows, place] - bundle.plan.books[book].offset, bundle.plan.books[book].values)
        for place, number in enumerate(layout.numbers):
            key = f"{name}.{number.name}"
            bins = np.searchsorted(edges[key], values.numbers[rows, place], side="right")
            found[key] = _binned(np.where(values.known[rows, place], bins, -1), len(edges[key]) + 1)
    return found


def _words(values: Array) -> dict[str, float]:
    words, counts = np.unique(values.astype(str), return_counts=True)
    return {str(word): float(count) for word, count in zip(words, counts, strict=True)}


def _coded(codes: Array, values: Sequence[str]) -> dict[str, float]:
    """The commonest training values by name (vocabularies begin with them), then the rest together, the never-seen and the missing."""
    counts = np.bincount(codes, minlength=FIRST + len(values))
    found = {value: float(count) for value, count in zip(values[:VALUES], counts[FIRST:], strict=False)}
    return found | {"(others)": float(counts[FIRST + VALUES :].sum()), "(new)": float(counts[UNSEEN]), "(missing)": float(counts[EMPTY])}


def _binned(bins: Array, count: int) -> dict[str, float]:
    counts = np.bincount(bins + 1, minlength=count + 1)
    return {"(missing)": float(counts[0])} | {f"bin {i + 1} of {count}": float(counts[i + 1]) for i in range(count)}


def calibrated(answers: Mapping[str, Array], panel: Mapping[str, Any], questions: Mapping[str, Any]) -> list[Calibrated]:
    """How far a model's answers are from what happened, on rows whose outcome is known: each column of the tasks that answer chances or amounts.

    By task: its answers (n, columns), its part, the question that it was asked, as `compare.Sitting` holds them.
    """
    found = []
    for task, answer in answers.items():
        part, question = panel[task], questions[task]
        if part.kind not in ("floats", "counts"):
            continue
        for place, column in enumerate(part.columns()):
            seen = question.seen[:, place if question.seen.shape[1] > 1 else 0]
            if place < question.value.shape[1] and seen.any():
                found.append(_column(task, column, answer[seen, place], question.value[seen, place], question.weight[seen], part.answers == "chances"))
    return found


def _column(task: str, column: str, predicted: Array, observed: Array, weight: Array, chances: bool) -> Calibrated:
    p, y, w = (each.astype(np.float64) for each in (predicted, observed, weight))
    means = float(np.average(p, weights=w)), float(np.average(y, weights=w))
    spread = p * (1 - p) if chances else np.square(y - p)
    error = math.sqrt(float(np.sum(np.square(w) * spread))) / float(w.sum())
    errors = (means[1] - means[0]) / error if error else 0.0
    off = abs(means[1] - means[0]) > OFF * max(abs(means[0]), 1e-12)
    return Calibrated(task, column, len(p), *means, errors, calibration_error(p, y, w) if chances else math.nan, off and abs(errors) > STRICT)

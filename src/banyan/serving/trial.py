"""Tries a bundle before it serves: opens it and replays requests that were asked before. Knows what an answer must look like, and no HTTP."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from banyan.decisions.value import Value, Values
from banyan.errors import ConfigError
from banyan.serving.registry import Checked, Version

QUICK = 50.0  # milliseconds: an answer as quick as this is never too slow
WARM = 3  # requests asked before the clock counts


@runtime_checkable
class Answering(Protocol):
    """What the registry asks of an engine. A fake of a few lines will do in tests."""

    @property
    def names(self) -> Sequence[str]:
        """Every name that a value model may use: `task.column`, `task`, `item.feature`."""

    def recommend(self, ask: Any, value: Value | None) -> Any:
        """Ranked items: `.items`, each with `.item`, `.score` and `.answers`. Without a value model in the engine's own order."""

    def close(self) -> None:
        """Let go of everything; nothing is asked after that."""


Opening = Callable[[Path], Answering]


class Replay:
    """A trial: the candidate must open, answer all names that the serving version answers, read the value model in force, and answer every request.

    `asks` gives the requests, which the serving version has answered. Answers must be finite, no more than asked for, each item once and with the same
    answers. Its median time may be `slower` times that of the serving version, or QUICK. `more` are further looks at the opened engine: each gives
    reasons against it.
    """

    def __init__(
        self, opening: Opening, asks: Callable[[], Sequence[Any]], *, slower: float = 3.0, more: Sequence[Callable[[Any], Sequence[str]]] = ()
    ) -> None:
        self.opening, self.asks, self.slower, self.more = opening, asks, slower, more

    def __call__(self, candidate: Version, serving: Version | None, value: Any) -> Checked:
        """Everything that speaks against the candidate. Whatever goes wrong in it is a reason, never an error here."""
        try:
            engine = self.opening(candidate.path)
        except Exception as error:  # a bundle may be broken in any way
            return Checked((f"It cannot be opened ({_said(error)}).",))
        try:
            return self._tried(engine, serving, value)
        except Exception as error:  # whatever it is, it speaks against the candidate
            return Checked((f"Trying it failed ({_said(error)}).",))
        finally:
            engine.close()

    def _tried(self, engine: Answering, serving: Version | None, value: Any) -> Checked:
        names = tuple(engine.names)
        reasons = list(_missing(names, serving))
        values, wrong = _values(value, names)
        reasons += wrong
        faults, times, asked = _replayed(engine, self.asks(), values)
        reasons += [f"{count} of {asked} requests: {fault}." for fault, count in faults.most_common(5)]
        median = float(np.median(times)) if times else 0.0
        most = max(QUICK, self.slower * serving.milliseconds) if serving is not None and serving.milliseconds else math.inf
        if median > most:
            reasons.append(f"Its median answer takes {median:.0f} ms; at most {most:.0f} ms, {self.slower:g} times that of the serving version, will do.")
        for look in self.more:
            reasons += look(engine)
        return Checked(tuple(reasons), names, median, asked)


def _missing(names: Sequence[str], serving: Version | None) -> list[str]:
    gone = [each for each in serving.names if each not in names] if serving is not None else []
    more = f" and {len(gone) - 5} more" if len(gone) > 5 else ""
    return [f"It does not answer {', '.join(gone[:5])}{more}, which {serving.name} answers."] if gone and serving else []


def _values(value: Mapping[str, str] | None, names: Sequence[str]) -> tuple[Values | None, list[str]]:
    if value is None:
        return None, []
    try:
        return Values.parse(value, names), []
    except ConfigError as error:
        return None, [f"It cannot be ordered by the value model in force: {error}"]


def _replayed(engine: Answering, asks: Sequence[Any], values: Values | None) -> tuple[Counter[str], list[float], int]:
    """(fault -> requests with it, milliseconds of each answer, requests)."""
    faults, times = Counter[str](), list[float]()
    for ask in asks[:WARM]:
        _fault(engine, ask, values)
    for ask in asks:
        begin = time.perf_counter()
        fault = _fault(engine, ask, values)
        times.append((time.perf_counter() - begin) * 1e3)
        if fault:
            faults[fault] += 1
    if asks and faults["no item was found"] < len(asks):
        faults.pop("no item was found", None)  # a filter may leave nothing; only a model that never finds any is broken
    return faults, times, len(asks)


def _fault(engine: Answering, ask: Any, values: Values | None) -> str:
    """What is wrong with one answer; "" where nothing is."""
    try:
        ranked = engine.recommend(ask, values.of(ask.scenario) if values is not None else None)
    except Exception as error:  # an answer may fail in any way; that is what is asked here
        return _said(error)
    items = list(ranked.items)
    if not items:
        return "no item was found"
    if len(items) > ask.k:
        return "more items than were asked for"
    if len({each.item for each in items}) < len(items):
        return "an item stands twice in the answer"
    if not all(math.isfinite(each.score) for each in items):
        return "a score is not finite"
    if not all(math.isfinite(answer) for each in items for answer in each.answers.values()):
        return "an answer is not finite"
    if any(set(each.answers) != set(items[0].answers) for each in items):
        return "items of one answer have unlike answers"
    return ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}".rstrip(".")

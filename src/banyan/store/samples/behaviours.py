"""Behaviour names as codes of the log; refuses what the log does not hold."""

from collections.abc import Sequence

import numpy as np

from banyan.errors import ConfigError
from banyan.store.hints import hint
from banyan.store.shop import EventLog
from banyan.types import Array


def require_log(name: str, recipe: str, log: EventLog | None) -> EventLog:
    """The log, or a ConfigError: a recipe over events needs one with at least one event."""
    if log is None or not len(log.item):
        raise ConfigError(f"samples.{name}: the recipe {recipe} reads events, and the store has none. Describe `events`.")
    return log


def codes(name: str, key: str, wanted: Sequence[str] | None, log: EventLog) -> Array:
    """(n,) codes of the behaviours `wanted` (all of the log's when None). Raises ConfigError for one that the log does not hold."""
    if wanted is None:
        return np.arange(len(log.behaviours), dtype=np.int16)
    known = list(log.behaviours)
    for each in wanted:
        if each not in known:
            raise ConfigError(f"samples.{name}: {key} names the behaviour {each!r}, which no event has.{hint(each, known)}")
    return np.array([known.index(each) for each in wanted], dtype=np.int16)


def of_behaviours(log: EventLog, wanted: Array) -> Array:
    """(m,) int64 positions of the events of these behaviours that name an item, in the log's order."""
    table = np.zeros(max(len(log.behaviours), 1), bool)
    table[wanted] = True
    return np.flatnonzero(table[log.behaviour] & (log.item > 0))

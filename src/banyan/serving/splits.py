"""Experiments by name: what was begun, on which outcome, and what it has shown. One small setting remembers them. Knows no HTTP."""

import math
import time
from dataclasses import asdict
from typing import Any

from banyan.errors import ConflictError
from banyan.serving.experiments import Experiments, Outcome
from banyan.serving.registry import Registry, Split
from banyan.serving.state import Journal

NAME = "experiments"  # of the setting
KEPT = 200  # experiments that are remembered


def begin(journal: Journal, registry: Registry, name: str, version: str, share: float, outcome: str, who: str) -> None:
    """Give a share of the users to a version. Raises ConflictError for a name that was used, and as `Registry.split` does."""
    number, known = journal.setting(NAME)
    if any(each["name"] == name for each in known or []):
        raise ConflictError(f"There was an experiment {name!r} already; its outcomes are counted under its name. Take another.")
    end(journal, registry, who)
    number, known = journal.setting(NAME)
    against = registry.layout()[1].active
    split = registry.split(version, share, who, name)
    about = {**asdict(split), "against": against, "outcome": outcome, "ended": None}
    journal.set(NAME, [*(known or []), about][-KEPT:], who, number)


def end(journal: Journal, registry: Registry, who: str) -> None:
    """Let the active version answer everybody again, and remember when."""
    registry.end_split(who)
    number, known = journal.setting(NAME)
    if any(each["ended"] is None for each in known or []):
        now = time.time_ns() // 1000
        journal.set(NAME, [{**each, "ended": each["ended"] or now} for each in known], who, number)


def listed(journal: Journal, registry: Registry) -> list[tuple[dict[str, Any], bool, dict[str, Any]]]:
    """(What was begun, whether it runs, what is known of it), newest first. A promotion or a roll back ends a running one too."""
    running = registry.layout()[1].split
    found = []
    for about in reversed(journal.setting(NAME)[1] or []):
        split = _split(about)
        runs = running is not None and running.name == split.name
        result = _counting(journal, about).result(split)
        differences = {name: _finite(asdict(each)) for name, each in result.differences.items()}
        shown = {"users": result.users, "waiting": result.waiting, "evenness": result.evenness, "least_p": result.least, "differences": differences}
        found.append((about, runs, shown))
    return found


def advance(journal: Journal, registry: Registry) -> None:
    """Count outcomes of the running experiment, and of one that ended a while ago."""
    running = registry.layout()[1].split
    for about in (journal.setting(NAME)[1] or [])[-3:]:
        split = _split(about)
        _counting(journal, about).advance(running if running is not None and running.name == split.name else split)


def _split(about: dict[str, Any]) -> Split:
    return Split(about["version"], about["share"], about["salt"], about["name"], about["since"])


def _counting(journal: Journal, about: dict[str, Any]) -> Experiments:
    return Experiments(journal, {about["outcome"]: Outcome((about["outcome"],))})


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()}

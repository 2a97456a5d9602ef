"""What a value model that nobody has seen yet would earn, from what was left to chance; or, in words, why that cannot be said. Knows no HTTP."""

import time
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from banyan.decisions.value import Value
from banyan.errors import ConfigError, DataError
from banyan.serving.experiments import Outcome
from banyan.serving.feedback import Logged, logged, preview, settled
from banyan.serving.live import Serving
from banyan.serving.messages import Estimated, EstimateOut
from banyan.serving.state import Journal, Note

DRAWS = 20_000  # newest that an estimate looks at
METHODS: tuple[Literal["ips", "snips", "dr"], ...] = ("ips", "snips", "dr")


def unseen(journal: Journal, serving: Serving, value: Value, scenario: str, outcome: str, predicted: str = "", now: int | None = None) -> EstimateOut:
    """The outcome, such as a purchase of the item drawn within a day, under `value` and under the value model in force, on the same draws.

    Only draws of this version count, in the scenario, or, for "", wherever that scenario's value model holds. `predicted` names an answer that predicts the
    outcome, such as bought.buy, which the doubly robust estimate needs. What the draws do not carry is refused by each estimator in a sentence.
    """
    texts = journal.setting("value")[1] or {}

    def kept(note: Note) -> bool:
        where = note.about["scenario"]
        return note.about["version"] == serving.version and (where == scenario or (not scenario and where not in texts))

    moment = time.time_ns() // 1000 if now is None else now
    notes, rewards = settled(journal, Outcome((outcome,)), moment, DRAWS, kept)
    found = EstimateOut(outcome=outcome, draws=len(notes), outcomes=sum(reward > 0 for reward in rewards))
    if not notes:
        found.refused = "No draw of this version and scenario is a day old: set an exploration (PUT /v1/exploration), and wait."
        return found
    try:
        new = logged(notes, rewards, value, predicted or None)
        old = logged(notes, rewards, serving.value, predicted or None) if serving.value is not None else _unordered(notes, new)
    except DataError as error:
        found.refused = str(error)
        return found
    found.changed = float(np.mean(new.target != old.target))
    found.by = [_estimated(new, old, method) for method in METHODS if method != "dr" or predicted]
    if all(each.refused for each in found.by):
        found.refused = found.by[0].refused
    return found


def _unordered(notes: list[Note], new: Logged) -> Logged:
    """The engine's own order, where no value model is set: it would have shown the first of each draw's items."""
    first = np.array([float(note.about["chosen"] == 0) for note in notes])
    return replace(new, target=first, expected=None, predicted=None)


def _estimated(new: Logged, old: Logged, method: Literal["ips", "snips", "dr"]) -> Estimated:
    try:
        found = preview(new, old, method)
    except (ConfigError, DataError) as error:
        return Estimated(method=method, refused=str(error))
    numbers: dict[str, Any] = {"now": found.now.mean, "new": found.new.mean, "gain": found.gain, "low": found.low, "high": found.high}
    return Estimated(method=method, matched=found.new.matched, **numbers)

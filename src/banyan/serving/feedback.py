"""Exploration, and what it lets one say of an order that nobody has seen yet: off-policy estimates from draws whose probability was written down.

On a stated share of the requests one slot of the list is drawn from the items that stand there or below. Only those draws enter an estimate.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from banyan.decisions.value import Value
from banyan.errors import ConfigError, DataError
from banyan.serving.experiments import EVENTS, Log, Outcome
from banyan.serving.state import Note
from banyan.types import Array

NAME = "exploration"  # of the notes
MOST = 50  # items that a slot is drawn from
LEAST_MATCHED = 50  # draws that the new order would have made too
LEAST_EFFECTIVE = 30.0  # draws, when each counts as it weighs (Kish)
LEAST_OUTCOMES = 10  # matched draws with an outcome other than 0
Z = 1.96


@dataclass(frozen=True)
class Draw:
    """One slot of one answer, drawn at random."""

    slot: int  # from 0
    items: tuple[str, ...]  # what could have stood there, in the order of the value model in force
    probabilities: tuple[float, ...]  # of each
    chosen: int  # place among them

    @property
    def probability(self) -> float:
        """Of the item that was shown."""
        return self.probabilities[self.chosen]

    @property
    def item(self) -> str:
        """The item that was shown."""
        return self.items[self.chosen]


@dataclass(frozen=True)
class Exploration:
    """On `share` of the requests the item in `slot` (from 0) is drawn, each alike, from the `top` first items that do not stand above it."""

    share: float
    slot: int
    top: int

    def __post_init__(self) -> None:
        """Raises ConfigError for what cannot be."""
        if not 0 <= self.share <= 1:
            raise ConfigError(f"exploration: the share is {self.share}; it is a part of the requests, from 0 to 1.")
        if not 0 <= self.slot < self.top <= MOST:
            raise ConfigError(
                f"exploration: slot {self.slot} is drawn from the first {self.top} items; slots count from 0, and at most {MOST} items are drawn from."
            )

    @classmethod
    def of(cls, value: Mapping[str, Any] | None) -> "Exploration | None":
        """From the setting `exploration`; None where there is none. Raises ConfigError."""
        if value is None:
            return None
        if set(value) != {"share", "slot", "top"}:
            raise ConfigError(f"exploration: has {', '.join(sorted(map(str, value)))}; it has share, slot and top.")
        return cls(float(value["share"]), int(value["slot"]), int(value["top"]))

    def draw(self, items: Sequence[str], rng: np.random.Generator) -> "tuple[list[int], Draw] | None":
        """(order, draw): the places of `items` in the order to show, and what was drawn; None for most requests, and where nothing stands below the slot.

        The drawn item moves up into the slot, those between move down by one; what stands above the slot stays.
        """
        reach = min(self.top, len(items))
        if reach - self.slot < 2 or rng.random() >= self.share:
            return None
        chosen = int(rng.integers(reach - self.slot))
        place = self.slot + chosen
        order = [*range(self.slot), place, *(each for each in range(self.slot, len(items)) if each != place)]
        return order, Draw(self.slot, tuple(items[self.slot : reach]), (1 / (reach - self.slot),) * (reach - self.slot), chosen)


def explore(ranked: Any, exploration: "Exploration | None", k: int, rng: np.random.Generator) -> Any:
    """The first k items of an answer, with one slot of it drawn on a share of the requests; `explored` says what was drawn.

    `ranked` is a dataclass with `items` (each with `.item`) and `explored`; it should hold `exploration.top` items or more, so ask for max(k, top).
    """
    drawn = exploration.draw([each.item for each in ranked.items], rng) if exploration is not None and exploration.slot < k else None
    if drawn is None:
        return replace(ranked, items=ranked.items[:k])
    order, draw = drawn
    return replace(ranked, items=[ranked.items[place] for place in order[:k]], explored=draw)


def note_of(
    request: str,
    user: str,
    session: str,
    time: int,
    draw: Draw,
    columns: Mapping[str, Iterable[float | None]],
    *,
    version: str,
    value_version: int,
    scenario: str,
) -> Note:
    """What the journal's table of draws keeps: `columns` has, for each name that a value model may use, its number for each of the draw's items.

    Items without a number have nan or None there. A request draws once, so its id is the note's.
    """
    numbers = {name: [None if each is None or not math.isfinite(each) else float(each) for each in values] for name, values in columns.items()}
    if wrong := [name for name, values in numbers.items() if len(values) != len(draw.items)]:
        raise DataError(f"The draw has {len(draw.items)} items, and {wrong[0]!r} has {len(numbers[wrong[0]])} numbers; each item has one.")
    about = {
        "slot": draw.slot,
        "items": list(draw.items),
        "probabilities": list(draw.probabilities),
        "chosen": draw.chosen,
        "columns": numbers,
        "version": version,
        "value": value_version,
        "scenario": scenario,
        "session": session,
    }
    return Note(request, user, NAME, time, about)


@dataclass(frozen=True)
class Logged:
    """n draws, and what the new order would have done with each."""

    reward: Array  # (n,) outcome of the item that was shown
    probability: Array  # (n,) with which it was drawn
    target: Array  # (n,) with which the new order would have shown it; 0 or 1 for an order without chance
    reach: Array  # (n,) probability, under the new order, of items that could be drawn; 1 with full support
    predicted: Array | None = None  # (n,) predicted outcome of the item that was shown
    expected: Array | None = None  # (n,) predicted outcome under the new order
    group: Array | None = None  # (n,) whose draw it is; draws of one user are not independent


@dataclass(frozen=True)
class Estimate:
    """The mean outcome of a draw's slot under the new order, by one estimator."""

    method: Literal["ips", "snips", "dr"]
    mean: float
    low: float  # 95 % interval
    high: float
    draws: int
    matched: int  # draws that the new order would have made too
    effective: float  # (sum w)^2 / sum w^2


def estimate(logged: Logged, method: Literal["ips", "snips", "dr"] = "snips") -> Estimate:
    """The mean outcome that the new order would have, from draws of the old one; w = target / probability.

        ips    mean(w r)                                        Horvitz and Thompson, 1952
        snips  sum(w r) / sum(w)                                Swaminathan and Joachims, NeurIPS 2015, eq. 6
        dr     mean(expected + w (r - predicted))               Dudik, Langford and Li, ICML 2011, eq. 4

    Intervals are of the linearised mean, by groups where there are some, with t = 1.96. Raises DataError for a probability outside (0, 1] or numbers
    that are not finite, ConfigError where the draws cannot support an estimate: the new order shows what was never drawn, too few draws match or weigh,
    too few of them have an outcome, or the weights do not average 1, which says that the probabilities written down are not those that were used.
    """
    w = _weights(logged)
    if method == "dr" and (logged.predicted is None or logged.expected is None):
        raise ConfigError("The doubly robust estimate needs a predicted outcome of each draw, and that under the new order.")
    n, matched, effective = len(w), int(np.count_nonzero(w)), _effective(w)
    _supported(logged, w, matched, effective)
    terms = _terms(logged, method)
    mean = float(terms.mean())
    half = Z * _error(terms - mean, logged.group)
    return Estimate(method, mean, mean - half, mean + half, n, matched, effective)


def _weights(logged: Logged) -> Array:
    p = logged.probability.astype(np.float64)
    if not len(p):
        raise ConfigError("There are no draws; set an exploration and wait.")
    if not (np.isfinite(p) & (p > 0) & (p <= 1)).all():
        row = int(np.argmin(np.isfinite(p) & (p > 0) & (p <= 1)))
        raise DataError(f"Draw {row + 1} has the probability {p[row]}; what was drawn had a probability above 0 and at most 1.")
    for name in ("reward", "target", "predicted", "expected"):
        column = getattr(logged, name)
        if column is not None and (len(column) != len(p) or not np.isfinite(column).all()):
            raise DataError(f"The draws' {name} has {len(column):,} numbers for {len(p):,} draws, or one that is not finite.")
    return np.asarray(logged.target.astype(np.float64) / p)


def _effective(w: Array) -> float:
    return float(w.sum() ** 2 / (w @ w)) if w.any() else 0.0


def _supported(logged: Logged, w: Array, matched: int, effective: float) -> None:
    """Refuse an estimate that the draws do not carry."""
    lost = float(1 - logged.reach.mean())
    if lost > 0.001:
        raise ConfigError(
            f"The new order would show in {lost:.1%} of the draws what could not have been drawn; explore among more items, or keep nearer to the old order."
        )
    if matched < LEAST_MATCHED or effective < LEAST_EFFECTIVE:
        said = f"{matched:,} of {len(w):,} draws match, worth {effective:.0f} of equal weight"
        raise ConfigError(f"The draws do not carry an estimate: {said}; {LEAST_MATCHED} must match, worth {LEAST_EFFECTIVE:.0f}. Explore longer, or more.")
    outcomes = int(np.count_nonzero(logged.reward[w > 0]))
    if outcomes < LEAST_OUTCOMES:
        raise ConfigError(f"Only {outcomes} of the {matched:,} matching draws have an outcome; at least {LEAST_OUTCOMES} are needed. Explore longer.")
    off, error = float(w.mean() - 1), _error(w - w.mean(), logged.group)
    if abs(off) > 4 * error + 0.02:
        raise ConfigError(
            f"The weights average {1 + off:.3f} and not 1 (+- {error:.3f}): what was drawn does not fit the probabilities that were written down."
        )


def _error(influence: Array, group: Array | None) -> float:
    """Standard error of a mean whose terms are `influence` around 0; terms of one group go together."""
    n = len(influence)
    if group is not None:
        _, code = np.unique(group, return_inverse=True)
        influence = np.bincount(code, influence)
    groups = len(influence)
    return float(np.sqrt(np.sum(influence**2) * groups / max(groups - 1, 1)) / n)


@dataclass(frozen=True)
class Preview:
    """A value model before it is switched on, beside the one in force, on the same draws."""

    now: Estimate
    new: Estimate
    gain: float  # new - now
    low: float  # 95 % interval of the gain
    high: float
    changed: float  # share of the draws in which the two would show another item


def preview(new: Logged, now: Logged, method: Literal["ips", "snips", "dr"] = "snips") -> Preview:
    """Both estimates, and the gain with an interval of the paired draws, which is narrower than those of the two. Raises as `estimate` does."""
    ours, theirs = estimate(new, method), estimate(now, method)
    each = _terms(new, method) - _terms(now, method)
    gain = ours.mean - theirs.mean
    half = Z * _error(each - each.mean(), new.group)
    return Preview(theirs, ours, gain, gain - half, gain + half, float(np.mean(new.target != now.target)))


def _terms(logged: Logged, method: str) -> Array:
    """What each draw adds to the estimate, linearised."""
    w, r = _weights(logged), logged.reward.astype(np.float64)
    if method == "snips":
        mean = w @ r / w.sum()
        return np.asarray(mean + w * (r - mean) / w.mean())
    if method == "dr" and logged.predicted is not None and logged.expected is not None:
        return np.asarray(logged.expected + w * (r - logged.predicted))
    return np.asarray(w * r)


def settled(log: Log, outcome: Outcome, now: int, most: int = 100_000, kept: Callable[[Note], bool] = lambda note: True) -> tuple[list[Note], list[float]]:
    """The newest `most` draws whose time is over, of those `kept`, and what came of each: the outcome of the user with the item shown in the slot."""
    notes = deque((each for _, each in log.notes("draws", name=NAME) if each.time + outcome.within <= now and kept(each)), maxlen=most)
    return list(notes), [_reward(log, note, outcome) for note in notes]


def _reward(log: Log, note: Note, outcome: Outcome) -> float:
    shown = note.about["items"][note.about["chosen"]]
    events = [event for _, event in log.numbered(note.user, EVENTS, 0, note.about["session"]) if event.item == shown]
    return outcome.of(events, note.time)


def logged(notes: Sequence[Note], rewards: Sequence[float], value: Value, predicted: str | None = None) -> Logged:
    """What `value` would have put into the slot of each draw: of the items that could be drawn the one worth most, the first of equals.

    What stands above the slot is taken as it stood. `predicted` names an answer, such as bought.buy, that predicts the outcome, for the doubly robust estimate.
    Raises DataError for a draw without a number that `value` reads, or without `predicted`.
    """
    worth = _of_items(notes, value.names, value.of)
    guesses = _of_items(notes, (predicted,), lambda columns: columns[predicted]) if predicted is not None else worth
    target, probability, guess, best = (np.zeros(len(notes)) for _ in range(4))
    for row, note in enumerate(notes):
        place, chosen = int(np.argmax(worth[row])), int(note.about["chosen"])
        target[row], probability[row] = place == chosen, note.about["probabilities"][chosen]
        guess[row], best[row] = guesses[row][chosen], guesses[row][place]
    users = np.array([note.user or note.about.get("session", "") or note.id for note in notes])
    reach = np.ones(len(notes))  # every item of a draw could have been drawn
    told = Logged(np.asarray(rewards, np.float64), probability, target, reach, group=users)
    return replace(told, predicted=guess, expected=best) if predicted is not None else told


def _of_items(notes: Sequence[Note], names: Sequence[str], call: Callable[[Mapping[str, Array]], Array]) -> list[Array]:
    """(items of the draw,) numbers for each draw, from the columns of all draws laid end to end."""
    columns = {}
    for name in names:
        if lacking := [note.id for note in notes if name not in note.about["columns"]]:
            raise DataError(f"{len(lacking):,} of {len(notes):,} draws, the first of them {lacking[0]}, have no number {name!r}.")
        columns[name] = np.array([np.nan if x is None else x for note in notes for x in note.about["columns"][name]], np.float64)
    sizes = [len(note.about["items"]) for note in notes]
    return np.split(call(columns), np.cumsum(sizes)[:-1]) if notes else []

"""What came of a split: who was answered by which arm, what they did afterwards, and whether it differs. Knows no model and no HTTP."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from banyan.errors import ConfigError, ConflictError
from banyan.serving.gathering import Gathering
from banyan.serving.live import CANDIDATE, CONTROL, Serving
from banyan.serving.registry import Split
from banyan.serving.sequential import Difference, Sums, difference, evenness
from banyan.serving.settings import Settings
from banyan.serving.state import Event, Note

REMEMBERED = 200_000  # users whose exposure is known to be written down
EVENTS = 1_000  # newest events of a user that are looked at
TABLE: Literal["outcomes"] = "outcomes"
ARMS = (CONTROL, CANDIDATE)
DAY = 86_400_000_000  # microseconds


@runtime_checkable
class Log(Settings, Protocol):
    """What experiments need of the journal, beside its settings."""

    def note(self, table: Any, notes: Sequence[Note]) -> Any:
        """Append; an id counts once."""

    def notes(self, table: Any, after: int = 0, most: int | None = None, name: str = "") -> Iterator[tuple[int, Note]]:
        """(sequence number, note) in the order of writing."""

    def numbered(self, user: str, most: int = EVENTS, after: int = 0, session: str = "") -> list[tuple[int, Event]]:
        """(sequence number, event): the newest of a user or session, in time order."""


@dataclass(frozen=True)
class Outcome:
    """What is counted of a user, from the first answer on and for `within`: the same span for everybody, or early users would look better."""

    behaviours: tuple[str, ...]
    measure: Literal["any", "count", "value"] = "any"  # whether it happened (0 or 1), how often, the sum of the events' values
    within: int = DAY  # microseconds
    most: float = 1e6  # a user's sum of values or count is held to it, so that no single user decides

    def of(self, events: Sequence[Event], since: int) -> float:
        """One user's outcome."""
        mine = [each for each in events if since <= each.time < since + self.within and each.behaviour in self.behaviours]
        if self.measure == "any":
            return float(bool(mine))
        found = float(len(mine)) if self.measure == "count" else sum((each.value or 0.0 for each in mine), 0.0)
        return min(max(found, -self.most), self.most)


@dataclass(frozen=True)
class Result:
    """What is known of one experiment."""

    name: str
    users: dict[str, int]  # arm -> users whose time is over
    differences: dict[str, Difference]  # outcome -> candidate against control
    least: dict[str, float]  # outcome -> the smallest p value of all looks so far
    evenness: float  # p value of the numbers of users under the share that was asked for; below .001 the rest must not be believed
    waiting: int  # at least so many users whose time is not over


@dataclass
class Tally:
    """How far the counting of one experiment has come: a setting of a few hundred bytes, whatever the number of users."""

    last: int = 0  # the newest exposure that was counted
    sums: dict[str, dict[str, list[float]]] = field(default_factory=dict)  # outcome -> arm -> users, total, squares, sizes
    least: dict[str, float] = field(default_factory=dict)  # outcome -> smallest p so far
    counted: dict[str, dict[str, Any]] = field(default_factory=dict)  # outcome -> what is counted, as it was when the counting began

    def of(self, outcome: str, arm: str) -> Sums:
        """One arm's sums."""
        users, *rest = self.sums.get(outcome, {}).get(arm, [0.0, 0.0, 0.0, 0.0])
        return Sums(int(users), *rest)


class Exposures:
    """Who was answered by which arm, written down once a user: gathered by requests, and by `flush`, each second, put into the journal.

    A process that is killed loses at most what it gathered since; those users count from their next request on.
    """

    def __init__(self, log: Log) -> None:
        self._gathering = Gathering(log, TABLE)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def saw(self, serving: Serving, user: str = "", session: str = "", now: int | None = None) -> None:
        """A request was answered. Costs no more than a look into a dictionary."""
        if not serving.arm:
            return
        key = _key(f"{serving.experiment}/{'u' if user else 's'}/{user or session}")
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return
            about = {"arm": serving.arm, "version": serving.version} | ({} if user else {"session": session})
            if self._gathering.put(Note(key, user, _noted(serving.experiment), time.time_ns() // 1000 if now is None else now, about)):
                self._known[key] = None
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def flush(self) -> int:
        """Write down what was gathered; how many users. Raises StateError where the journal cannot write; then the next call tries again."""
        return self._gathering.flush()


def _noted(experiment: str) -> str:
    return f"split/{experiment}"[:200]


def _key(text: str) -> str:
    """An id of at most 200 letters."""
    return text if len(text) <= 200 else hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


class Experiments:
    """Counts outcomes of splits, a user at a time in the order of exposure, and compares the arms.

    Needs events with a time. A user counts once `within` is over for every outcome, so each outcome is of one full span; users enter in the order in which they
    were exposed, so arms are compared on independent users and the sequential test holds.
    """

    def __init__(self, log: Log, outcomes: Mapping[str, Outcome], *, level: float = 0.05, planned: int = 10_000) -> None:
        """Raises ConfigError without outcomes."""
        if not outcomes:
            raise ConfigError("An experiment compares outcomes; name at least one, such as bought=Outcome(('purchase',)).")
        self._log, self._outcomes, self._level, self._planned = log, dict(outcomes), level, planned

    def advance(self, split: Split, now: int | None = None, most: int = 20_000) -> Result:
        """Count the users whose time is over since the last call, at most `most`, and say what is known. May be called by many processes at once.

        What was counted stands in one setting with the place up to which it was: a kill neither loses nor doubles a user.
        """
        moment = time.time_ns() // 1000 if now is None else now
        version, tally = self._tally(split.name)
        due = self._due(split, tally.last, moment, most)
        for sequence, note in due:
            self._count(tally, note)
            tally.last = sequence
        result = self._result(split, tally, moment)
        if due:
            tally.least = result.least
            try:
                self._log.set(_setting(split.name), asdict(tally), "experiments", version)
            except ConflictError:  # another process has counted them
                return self.result(split, now)
        return result

    def result(self, split: Split, now: int | None = None) -> Result:
        """What is known by now; counts nothing."""
        return self._result(split, self._tally(split.name)[1], time.time_ns() // 1000 if now is None else now)

    def _tally(self, name: str) -> tuple[int, Tally]:
        version, value = self._log.setting(_setting(name))
        tally = Tally(**value) if value else Tally()
        counting = {each: {**asdict(outcome), "behaviours": list(outcome.behaviours)} for each, outcome in self._outcomes.items()}
        if tally.last and tally.counted != counting:
            raise ConfigError(f"The experiment {name!r} has counted other outcomes ({', '.join(tally.counted)}); begin another split to count these.")
        tally.counted = counting
        return version, tally

    def _due(self, split: Split, last: int, now: int, most: int) -> list[tuple[int, Note]]:
        span = max(each.within for each in self._outcomes.values())
        found = []
        for sequence, note in self._log.notes(TABLE, last, most, _noted(split.name)):
            if note.time + span > now:
                break
            found.append((sequence, note))
        return found

    def _count(self, tally: Tally, note: Note) -> None:
        events = [event for _, event in self._log.numbered(note.user, EVENTS, 0, note.about.get("session", ""))]
        for name, outcome in self._outcomes.items():
            x = outcome.of(events, note.time)
            sums = tally.sums.setdefault(name, {}).setdefault(note.about["arm"], [0.0, 0.0, 0.0, 0.0])
            for place, more in enumerate((1.0, x, x * x, abs(x))):
                sums[place] += more

    def _result(self, split: Split, tally: Tally, now: int) -> Result:
        level, planned = self._level, self._planned
        found = {name: difference(tally.of(name, CONTROL), tally.of(name, CANDIDATE), level=level, planned=planned) for name in self._outcomes}
        first = next(iter(self._outcomes))
        users = {arm: tally.of(first, arm).users for arm in ARMS}
        waiting = sum(1 for _ in self._log.notes(TABLE, tally.last, 10_000, _noted(split.name)))
        least = {name: min(each.p, tally.least.get(name, 1.0)) for name, each in found.items()}
        return Result(split.name, users, found, least, evenness(users[CONTROL], users[CANDIDATE], split.share), waiting)


def _setting(name: str) -> str:
    return f"experiment/{name}"[:200]

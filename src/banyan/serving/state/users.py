"""What each user did last, ready for the next answer: a bounded cache over the journal. The contract, and the one inside a process."""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from typing_extensions import override

from banyan.errors import MissingExtraError, StateError
from banyan.serving.state.events import Event
from banyan.serving.state.journal import MOST, Journal, Pulse, Receipt

URL = "BANYAN_STATE_URL"
HELD = 500_000  # events that a process holds, of all users
RETRY = 1.0  # seconds after a failure before what failed is asked again


@dataclass(frozen=True)
class Known:
    """What is known of a user."""

    events: Sequence[Event]  # in time order
    stale: bool = False  # the journal is away: these are the events that were known last, or none


class Entry(msgspec.Struct, frozen=True):
    """A user's newest events, whole up to a sequence number."""

    seen: int
    pairs: tuple[tuple[int, Event], ...]  # (sequence number, event) in time order

    def after(self, sequence: int) -> Sequence[Event]:
        """The events above a sequence number."""
        return [event for number, event in self.pairs if number > sequence]


class Looks:
    """How often a look for a user's events found them whole, found them and had to add what is new, or found none."""

    def __init__(self) -> None:
        self._counts = {"whole": 0, "grown": 0, "missing": 0}
        self._lock = threading.Lock()

    def saw(self, entry: Entry | None, whole: bool) -> None:
        """Count one look."""
        with self._lock:
            self._counts["missing" if entry is None else "whole" if whole else "grown"] += 1

    def counts(self) -> dict[str, int]:
        """The looks so far, by what was found."""
        with self._lock:
            return dict(self._counts)


class UserState(ABC):
    """What users did last. An answer that follows an acknowledged event sees it, whichever worker took it."""

    def __init__(self, journal: Journal, most: int = MOST, looks: "Looks | None" = None) -> None:
        """`most` events of a user are held, the newest."""
        self.journal, self.most, self.looks = journal, most, looks or Looks()

    def take(self, events: Sequence[Event]) -> Receipt:
        """Write events down and let answers see them; they may be acknowledged when this returns. Raises as `Journal.append` does."""
        receipt = self.journal.append(events)
        self.push(events)
        return receipt

    def recent(self, user: str, after: int = 0, session: str = "") -> Sequence[Event]:
        """The user's newest events with a sequence number above `after`, in time order; those of the session before anybody was known in it too."""
        return self.read(user, after, session).events

    def read(self, user: str, after: int = 0, session: str = "") -> Known:
        """What `recent` gives, and whether it may be old. Never raises because the journal is away."""
        found = [self._one(*own, after) for own in ((user, ""), ("", session)) if any(own)]
        if len(found) == 1:
            return found[0]
        events = sorted((e for known in found for e in known.events), key=lambda e: e.time)
        return Known(events[-self.most :], any(known.stale for known in found))

    @abstractmethod
    def _one(self, user: str, session: str, after: int) -> Known:
        """What is known of a user, or of a session before anybody was known in it: one of the two names is empty."""

    @abstractmethod
    def push(self, events: Sequence[Event]) -> None:
        """Let every worker's next answer see events that the journal has."""

    def drop(self, user: str) -> None:
        """Forget what is held of the user. Raises StateError where a server did not hear of it."""
        self.bury([self.journal.digest(user)])

    @abstractmethod
    def bury(self, digests: Sequence[str]) -> None:
        """Forget what is held of users and sessions by their digests, as tombstones name them. Raises StateError as `drop` does."""

    @abstractmethod
    def trouble(self) -> str:
        """What is wrong, as a sentence; empty where nothing is. Where something was it is looked at again, whether or not anybody asks about users."""

    def loaded(self, user: str, session: str, entry: Entry | None, last: int) -> Entry:
        """The entry made whole up to `last`, from what the journal has beyond it. Raises StateError.

        `last` was read before: what is written meanwhile may be in the entry already and is found again by its number.
        """
        if entry is not None and entry.seen < last:
            fresh = self.journal.fresh(user, entry.seen, self.most, session)
            if len(fresh) < self.most:
                both = dict(entry.pairs) | dict(fresh)
                newest = sorted(both.items(), key=lambda pair: (pair[1].time, pair[0]))[-self.most :]
                return Entry(last, tuple(newest))
            entry = None
        return entry or Entry(last, tuple(self.journal.numbered(user, self.most, 0, session)))


class LocalState(UserState):
    """A process's own cache: the least recently used users leave it. Every read looks whether the journal has gone on."""

    def __init__(self, journal: Journal, most: int = MOST, held: int = HELD, lag: float = 0.0, looks: Looks | None = None) -> None:
        """`held`: events in memory, of all users. `lag`: seconds for which what other processes wrote may go unseen, to spare the journal."""
        super().__init__(journal, most, looks)
        self.held, self.lag = held, lag
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()
        self._pulse, self._looked = Pulse(0, 0, 0), -lag - 1.0
        self._pushes = 0
        self._buried = 0  # newest tombstone whose user was dropped
        self._failed, self._said = -RETRY, ""

    @override
    def _one(self, user: str, session: str, after: int) -> Known:
        key = self.journal.digest(user, session)
        try:
            pulse = self._look()
            with self._lock:
                entry = self._entries.get(key)
            fine = entry is not None and entry.seen >= pulse.last
            self.looks.saw(entry, fine)
            if entry is None or not fine:
                entry = self.loaded(user, session, entry, pulse.last)
            self._keep(key, entry, pulse.forgotten)
            return Known(entry.after(after))
        except StateError as error:
            self._fail(error)
            with self._lock:
                entry = self._entries.get(key)
            return Known(entry.after(after) if entry else (), stale=True)

    @override
    def push(self, events: Sequence[Event]) -> None:
        with self._lock:
            self._pushes, self._looked = self._pushes + 1, -self.lag - 1.0

    @override
    def bury(self, digests: Sequence[str]) -> None:
        self._bury(digests, 0)

    @override
    def trouble(self) -> str:
        if self._said:
            try:
                self._look()
            except StateError as error:
                self._fail(error)
        return self._said

    def _fail(self, error: StateError) -> None:
        """Remember what is wrong; one that was said only because it is too early to look again puts off nothing."""
        if time.monotonic() - self._failed >= RETRY:
            self._failed, self._said = time.monotonic(), str(error)

    def _look(self) -> Pulse:
        """How far the journal is. Tombstones that are new take effect first."""
        now = time.monotonic()
        if now - self._failed < RETRY:
            raise StateError(self._said)
        if now - self._looked < self.lag:
            return self._pulse
        pushes, pulse = self._pushes, self.journal.pulse()
        if pulse.forgotten > self._buried:
            self._bury([digest for _, digest in self.journal.forgotten_since(self._buried)], pulse.forgotten)
        with self._lock:
            self._said = ""
            if pushes == self._pushes:
                self._pulse, self._looked = pulse, now
        return pulse

    def _bury(self, digests: Sequence[str], until: int) -> None:
        with self._lock:
            for digest in digests:
                if (entry := self._entries.pop(digest, None)) is not None:
                    self._weight -= len(entry.pairs) + 1
            self._buried = max(self._buried, until)

    def _keep(self, key: str, entry: Entry, forgotten: int) -> None:
        """Hold the entry as the newest, unless a tombstone went up since it was begun."""
        with self._lock:
            if forgotten < self._buried:
                return
            if (old := self._entries.pop(key, None)) is not None:
                self._weight -= len(old.pairs) + 1
            self._entries[key] = entry
            self._weight += len(entry.pairs) + 1
            while self._weight > self.held and len(self._entries) > 1:
                self._weight -= len(self._entries.popitem(last=False)[1].pairs) + 1


def user_state_at(journal: Journal, url: str | None = None, most: int = MOST) -> UserState:
    """The users' state: shared through Valkey or Redis at `url` (or BANYAN_STATE_URL), a process's own cache without one.

    Raises ConfigError for a URL that cannot be right, MissingExtraError without the client. A server that is away is no error.
    """
    named = os.environ.get(URL, "") if url is None else url
    if not named:
        return LocalState(journal, most)
    try:
        from banyan.serving.state.shared import SharedState
    except ImportError as error:
        raise MissingExtraError("Sharing state through Valkey or Redis", "serve") from error
    return SharedState(journal, named, most)

"""The journal: everything that happened, written down before it is acknowledged. The contract; `sql.py` keeps it."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from banyan.errors import ConfigError, MissingExtraError
from banyan.serving.settings import Change as Change
from banyan.serving.state.events import Asked, Event, Note

URL = "BANYAN_DATABASE_URL"
FILE = "journal.sqlite"
MOST = 1_000  # events of a user that are looked at
Notes = Literal["outcomes", "draws"]


@dataclass(frozen=True)
class Receipt:
    """What became of a batch."""

    accepted: int
    duplicates: int  # rows whose id was there already: kept as they were first told
    last: int  # the newest sequence number of the journal when the batch was written
    forgotten: int = 0  # rows left out because their user asked to be forgotten


@dataclass(frozen=True)
class Pulse:
    """How far the journal has come: what workers look at to see whether anything is new."""

    last: int  # newest event
    forgotten: int  # newest tombstone
    settings: int  # newest change of a setting


@dataclass(frozen=True)
class Gone:
    """What was deleted of a user."""

    events: int
    asked: int
    notes: int


class Journal(ABC):
    """Events, recorded requests, notes of experiments and shared settings, in one database that several processes share.

    What `append`, `record`, `note` and `set` return was written to disk before they return. All of them may be called from many threads.
    Each raises DataError for rows that break a rule, and StateError where the database cannot be reached or cannot write: then nothing of
    the batch is acknowledged, and sending it again is safe, since an id counts once.
    """

    name: str  # where it is, without a password

    @abstractmethod
    def append(self, events: Sequence[Event]) -> Receipt:
        """Write events down, all or none. An id that was there already, or stands twice in the batch, counts once."""

    @abstractmethod
    def numbered(self, user: str, most: int = MOST, after: int = 0, session: str = "") -> list[tuple[int, Event]]:
        """(sequence number, event): the newest `most` of the user, and of the session before anybody was known in it, in time order.

        Only events with a sequence number above `after`. At one time, what was written first stands first.
        """

    @abstractmethod
    def fresh(self, user: str, after: int, most: int = MOST, session: str = "") -> list[tuple[int, Event]]:
        """(sequence number, event): the first `most` above `after` in the order of writing, as `numbered` chooses them."""

    def of_user(self, user: str, most: int = MOST, after: int = 0) -> list[Event]:
        """The user's newest `most` events with a sequence number above `after`, in time order."""
        return [event for _, event in self.numbered(user, most, after)]

    @abstractmethod
    def since(self, sequence: int, most: int | None = None) -> Iterator[tuple[int, Event]]:
        """(sequence number, event) above `sequence`, in the order of writing, at most `most`. Pages are read one by one."""

    @abstractmethod
    def last(self) -> int:
        """The newest sequence number of an event; 0 without one."""

    @abstractmethod
    def pulse(self) -> Pulse:
        """How far the journal has come, in one cheap query."""

    @abstractmethod
    def table(self, folder: Path, until: int | None = None, *, after: int = 0, names: Mapping[str, str] | None = None) -> int:
        """Write the events above `after`, up to `until`, as Parquet parts into a new folder, for training; how many they were.

        `names` renames columns (field of Event -> column). Raises ConfigError where the folder holds something else than an earlier table.
        """

    @abstractmethod
    def forget(self, user: str) -> Gone:
        """Delete the user's events, recorded requests and notes, those of their sessions before they were known too, and leave a tombstone.

        Later events of the user are left out. Deleted rows are overwritten; copies of them that a database made when it rearranged its pages
        are not: `remains` looks for those, `compact` takes them away.
        """

    @abstractmethod
    def remains(self, users: Sequence[str]) -> bool:
        """Whether an id stands anywhere in the bytes of the database's file, deleted or not. Of PostgreSQL nothing is known: false."""

    @abstractmethod
    def compact(self) -> None:
        """Rewrite the whole database, which takes as long as copying it, and as much room; intake waits meanwhile."""

    @abstractmethod
    def forgotten(self, user: str) -> bool:
        """Whether there is a tombstone of the user."""

    @abstractmethod
    def forgotten_since(self, sequence: int) -> list[tuple[int, str]]:
        """(number, digest) of the tombstones above `sequence`. A tombstone holds `digest(user)`, never the id."""

    @abstractmethod
    def forgotten_among(self, users: Sequence[str]) -> set[str]:
        """Those of the users that are forgotten: to be left out of tables that come from elsewhere."""

    @abstractmethod
    def digest(self, user: str, session: str = "") -> str:
        """The name under which a user, or a session without one, is known where the id must not stand: BLAKE2b with this journal's salt as its key."""

    @abstractmethod
    def record(self, asked: Asked | Sequence[Asked]) -> None:
        """Keep requests for trying bundles on; the newest 100,000 stay."""

    @abstractmethod
    def recorded(self, most: int = MOST) -> list[Asked]:
        """The newest `most` recorded requests, the newest last."""

    @abstractmethod
    def note(self, table: Notes, notes: Sequence[Note]) -> Receipt:
        """Append to the outcomes of experiments or to the draws of exploration; an id counts once."""

    @abstractmethod
    def notes(self, table: Notes, after: int = 0, most: int | None = None, name: str = "") -> Iterator[tuple[int, Note]]:
        """(sequence number, note) above `after`, in the order of writing, of one experiment or of all."""

    @abstractmethod
    def setting(self, name: str) -> tuple[int, Any]:
        """(version, value) of a shared setting; (0, None) where it was never set."""

    @abstractmethod
    def set(self, name: str, value: Any, who: str, expected: int | None = None) -> int:
        """Set a shared setting to a JSON value; the new version, which is one number for all settings.

        Raises ConflictError where the setting's version is not `expected` (0: never set).
        """

    @abstractmethod
    def changes(self, name: str, most: int = MOST) -> list[Change]:
        """The newest `most` changes of a setting, the newest last."""

    @abstractmethod
    def newest(self) -> int:
        """The version of the newest change of any setting; 0 before the first."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""


def journal_at(where: str | Path | None = None) -> Journal:
    """The journal in a folder (SQLite, made when it is not there) or at a URL (`postgresql://...`).

    Without a name that of the environment variable BANYAN_DATABASE_URL. Raises ConfigError where neither is given, StateError where it
    cannot be opened, MissingExtraError without sqlalchemy.
    """
    named = os.environ.get(URL, "") if where is None else where
    if not str(named):
        raise ConfigError(f"There is no place for events: name a folder, or set {URL} to postgresql://user:password@host/database.")
    try:
        from banyan.serving.state.sql import SqlJournal
    except ImportError as error:
        raise MissingExtraError("Keeping events", "serve") from error
    return SqlJournal(named)

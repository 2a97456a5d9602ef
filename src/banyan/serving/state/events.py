"""What is written into the journal, and the limits that it is held to. Knows no database."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from banyan.errors import DataError

ID_LETTERS = 200  # of an id, a behaviour, a scenario, a session
QUERY_LETTERS = 1_000
JSON_BYTES = 65_536  # of what a note or a recorded request holds
BATCH = 10_000  # rows handed over at once
LATEST = 1 << 62  # of a time, in microseconds since 1970 or in the events' order


class Event(msgspec.Struct, frozen=True):
    """Something that happened. An event without a user belongs to a session, and has one."""

    id: str  # given by who saw it; the same id twice is the same event
    user: str
    item: str | None
    behaviour: str
    time: int  # microseconds since 1970 UTC, or the shop's order
    scenario: str = ""
    value: float | None = None
    session: str = ""
    query: str = ""


class Asked(msgspec.Struct, frozen=True):
    """A question as it was asked and answered: what a new bundle is tried on before it serves."""

    id: str
    user: str
    session: str
    time: int
    method: str  # what was asked for, such as recommend
    request: dict[str, Any]
    answer: dict[str, Any] = {}


class Note(msgspec.Struct, frozen=True):
    """A row of an append-only table: what an experiment or an exploration has to remember of a user."""

    id: str
    user: str
    name: str  # of the experiment or the exploration
    time: int
    about: dict[str, Any] = {}  # where nobody was known, its "session" says whose it is

    @property
    def session(self) -> str:
        """The session that it is about."""
        found = self.about.get("session", "")
        return found if isinstance(found, str) else ""


def check_events(events: Sequence[Event]) -> None:
    """Raise DataError for the first event that breaks a rule, naming its place in the batch (from 1), the field and the rule."""
    _check_size(events, "events")
    for row, event in enumerate(events, 1):
        where = f"event {row}"
        for name in ("id", "behaviour"):
            _check_text(getattr(event, name), name, where, ID_LETTERS, needed=True)
        for name in ("user", "scenario", "session"):
            _check_text(getattr(event, name), name, where, ID_LETTERS)
        _check_text(event.query, "query", where, QUERY_LETTERS)
        if event.item is not None:
            _check_text(event.item, "item", where, ID_LETTERS, needed=True)
        if not event.user and not event.session:
            raise DataError(f"{where}: it has neither user nor session; give one, so that it is known whose it is.")
        _check_time(event.time, where)
        if event.value is not None and not math.isfinite(event.value):
            raise DataError(f"{where}: value is {event.value}; a value is a finite number, or left out.")


def check_asked(rows: Sequence[Asked]) -> list[tuple[str, str]]:
    """(request, answer) of each row as JSON. Raises DataError for the first row that breaks a rule."""
    _check_size(rows, "recorded requests")
    found = []
    for number, row in enumerate(rows, 1):
        where = f"recorded request {number}"
        for name in ("id", "method"):
            _check_text(getattr(row, name), name, where, ID_LETTERS, needed=True)
        for name in ("user", "session"):
            _check_text(getattr(row, name), name, where, ID_LETTERS)
        _check_time(row.time, where)
        found.append((to_json(row.request, f"{where}, request"), to_json(row.answer, f"{where}, answer")))
    return found


def check_notes(rows: Sequence[Note]) -> list[str]:
    """`about` of each row as JSON. Raises DataError for the first row that breaks a rule."""
    _check_size(rows, "notes")
    found = []
    for number, row in enumerate(rows, 1):
        where = f"note {number}"
        for name in ("id", "name"):
            _check_text(getattr(row, name), name, where, ID_LETTERS, needed=True)
        for name in ("user", "session"):
            _check_text(getattr(row, name), name, where, ID_LETTERS)
        _check_time(row.time, where)
        found.append(to_json(row.about, f"{where}, about"))
    return found


def check_word(value: str, name: str) -> None:
    """Raise DataError where `value`, called `name`, is no id: text of 1 to 200 letters."""
    _check_text(value, name, "", ID_LETTERS, needed=True)


def to_json(value: Any, where: str) -> str:
    """The value as JSON text. Raises DataError where it is none, or longer than may be kept."""
    try:
        found = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise DataError(f"{where} is no JSON value ({str(error)[:200]}).") from error
    if len(found) > JSON_BYTES:
        raise DataError(f"{where} has {len(found):,} bytes of JSON; at most {JSON_BYTES:,} are kept.")
    if b"\\u0000" in found:
        raise DataError(f"{where} holds a NUL character; text is without.")
    return found.decode()


def _check_size(rows: Sequence[Any], what: str) -> None:
    if len(rows) > BATCH:
        raise DataError(f"{len(rows):,} {what} came at once; at most {BATCH:,} are taken. Send them in several batches.")


def _check_text(value: Any, name: str, where: str, letters: int, *, needed: bool = False) -> None:
    place = f"{where}: " if where else ""
    if not isinstance(value, str):
        raise DataError(f"{place}{name} is {value!r:.60}; it is text.")
    if needed and not value:
        raise DataError(f"{place}{name} is empty; give one.")
    if len(value) > letters:
        raise DataError(f"{place}{name} has {len(value):,} letters ({value[:20]!r}...); at most {letters} are taken.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{place}{name} is no text that can be written as UTF-8: {error.reason}.") from error
    if "\0" in value:
        raise DataError(f"{place}{name} holds a NUL character; text is without.")


def _check_time(time: Any, where: str) -> None:
    if not isinstance(time, int) or isinstance(time, bool) or not 0 <= time <= LATEST:
        raise DataError(f"{where}: time is {time!r:.60}; a time is microseconds since 1970 (UTC), or the events' order, and not negative.")

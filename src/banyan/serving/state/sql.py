"""The journal in SQLite or PostgreSQL, through one set of statements."""

import hashlib
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from typing_extensions import override

from banyan.errors import StateError
from banyan.serving.state import export, forgetting, notes, settings, tables
from banyan.serving.state.database import Database
from banyan.serving.state.events import BATCH, Asked, Event, Note, check_asked, check_events, check_notes, check_word, to_json
from banyan.serving.state.journal import MOST, Change, Gone, Journal, Notes, Pulse, Receipt
from banyan.serving.state.tables import events as E

FIELDS = Event.__struct_fields__
_ROW = [E.c.sequence, *(E.c[name] for name in FIELDS)]


class SqlJournal(Journal):
    """The journal over SQLAlchemy Core."""

    def __init__(self, where: str | Path) -> None:
        """A folder, or a URL of PostgreSQL. Raises ConfigError, StateError."""
        self.database = Database(where)
        self.name = self.database.name
        self._salt = bytes.fromhex(self.database.write(self._opened))
        self._insert = {table: self.database.inserter(table) for table in (E, *notes.TABLES.values(), tables.asked)}

    def _opened(self, connection: sa.Connection) -> str:
        tables.meta.create_all(connection)
        known: dict[str, str] = {row.key: row.value for row in connection.execute(sa.select(tables.about))}
        if not known:
            known = {"format": str(tables.FORMAT), "salt": secrets.token_hex(32)}
            connection.execute(sa.insert(tables.about), [{"key": key, "value": value} for key, value in known.items()])
        if known["format"] != str(tables.FORMAT):
            raise StateError(f"{self.name} was written in format {known['format']}; this version reads format {tables.FORMAT}.")
        return known["salt"]

    @override
    def append(self, events: Sequence[Event]) -> Receipt:
        check_events(events)
        owners = {each: self.digest(*each) for each in set(map(_owner, events))}

        def work(connection: sa.Connection) -> Receipt:
            left_out = forgetting.among(connection, set(owners.values()))
            rows = [_row(e) for e in events if owners[_owner(e)] not in left_out]
            count = self._insert[E](connection, rows)
            return Receipt(count, len(rows) - count, _last(connection), len(events) - len(rows))

        return self.database.write(work)

    @override
    def numbered(self, user: str, most: int = MOST, after: int = 0, session: str = "") -> list[tuple[int, Event]]:
        newest = (E.c.time.desc(), E.c.sequence.desc())
        with self.database.reading() as connection:
            found = [pair for own in _owned(user, session) for pair in _pairs(connection, own, after, most, newest)]
        return sorted(found, key=_in_time)[-most:] if most else []

    @override
    def fresh(self, user: str, after: int, most: int = MOST, session: str = "") -> list[tuple[int, Event]]:
        with self.database.reading() as connection:
            found = [pair for own in _owned(user, session) for pair in _pairs(connection, own, after, most, (E.c.sequence,))]
        return sorted(found, key=lambda pair: pair[0])[:most]

    @override
    def since(self, sequence: int, most: int | None = None) -> Iterator[tuple[int, Event]]:
        left = most
        while left is None or left > 0:
            with self.database.reading() as connection:
                page = _pairs(connection, sa.true(), sequence, BATCH if left is None else min(BATCH, left), (E.c.sequence,))
            yield from page
            if not page:
                return
            sequence, left = page[-1][0], None if left is None else left - len(page)

    @override
    def last(self) -> int:
        with self.database.reading() as connection:
            return _last(connection)

    @override
    def pulse(self) -> Pulse:
        with self.database.reading() as connection:
            return Pulse(*(number or 0 for number in connection.exec_driver_sql(_PULSE).one()))

    @override
    def table(self, folder: Path, until: int | None = None, *, after: int = 0, names: Mapping[str, str] | None = None) -> int:
        return export.write(self.database, Path(folder), self.last() if until is None else until, after, names or {})

    @override
    def forget(self, user: str) -> Gone:
        check_word(user, "user")
        gone = forgetting.forget(self.database, user, self.digest)
        self.database.swept(whole=False)  # where others read meanwhile, `remains` finds what is left
        return gone

    @override
    def remains(self, users: Sequence[str]) -> bool:
        return self.database.holds([user.encode() for user in users])

    @override
    def compact(self) -> None:
        if not self.database.swept(whole=True):
            raise StateError(f"{self.name} is read by somebody who does not let go, so that its write-ahead log still holds what was deleted; try again.")

    @override
    def forgotten(self, user: str) -> bool:
        return bool(self.forgotten_among([user]))

    @override
    def forgotten_since(self, sequence: int) -> list[tuple[int, str]]:
        with self.database.reading() as connection:
            return forgetting.since(connection, sequence)

    @override
    def forgotten_among(self, users: Sequence[str]) -> set[str]:
        digests = {self.digest(user): user for user in users}
        with self.database.reading() as connection:
            return {digests[each] for each in forgetting.among(connection, set(digests))}

    @override
    def digest(self, user: str, session: str = "") -> str:
        name = f"user:{user}" if user else f"session:{session}"
        return hashlib.blake2b(name.encode(), key=self._salt, digest_size=32).hexdigest()

    @override
    def record(self, asked: Asked | Sequence[Asked]) -> None:
        rows = [asked] if isinstance(asked, Asked) else list(asked)
        said = check_asked(rows)
        owners = {each: self.digest(*each) for each in set(map(_owner, rows))}

        def work(connection: sa.Connection) -> None:
            left_out = forgetting.among(connection, set(owners.values()))
            kept = [(row, each) for row, each in zip(rows, said, strict=True) if owners[_owner(row)] not in left_out]
            notes.record(connection, self._insert[tables.asked], kept)

        if rows:
            self.database.write(work)

    @override
    def recorded(self, most: int = MOST) -> list[Asked]:
        with self.database.reading() as connection:
            return notes.recorded(connection, most)

    @override
    def note(self, table: Notes, notes_: Sequence[Note]) -> Receipt:
        said, chosen = check_notes(notes_), notes.TABLES[table]
        owners = {each: self.digest(*each) for each in set(map(_owner, notes_)) if any(each)}  # some are of nobody

        def work(connection: sa.Connection) -> Receipt:
            left_out = forgetting.among(connection, set(owners.values()))
            kept = [(row, about) for row, about in zip(notes_, said, strict=True) if owners.get(_owner(row)) not in left_out]
            count = notes.append(connection, self._insert[chosen], kept)
            return Receipt(count, len(kept) - count, notes.last(connection, chosen), len(notes_) - len(kept))

        return self.database.write(work)

    @override
    def notes(self, table: Notes, after: int = 0, most: int | None = None, name: str = "") -> Iterator[tuple[int, Note]]:
        left = most
        while left is None or left > 0:
            with self.database.reading() as connection:
                page = notes.page(connection, notes.TABLES[table], after, BATCH if left is None else min(BATCH, left), name)
            yield from page
            if not page:
                return
            after, left = page[-1][0], None if left is None else left - len(page)

    @override
    def setting(self, name: str) -> tuple[int, Any]:
        with self.database.reading() as connection:
            return settings.read(connection, name)

    @override
    def set(self, name: str, value: Any, who: str, expected: int | None = None) -> int:
        check_word(name, "the setting's name")
        check_word(who, "who")
        text = to_json(value, f"the setting {name}")
        return self.database.write(lambda connection: settings.write(connection, name, text, who, expected))

    @override
    def changes(self, name: str, most: int = MOST) -> list[Change]:
        with self.database.reading() as connection:
            return settings.history(connection, name, most)

    @override
    def newest(self) -> int:
        return self.pulse().settings

    @override
    def close(self) -> None:
        self.database.close()


_PULSE = "SELECT (SELECT max(sequence) FROM events), (SELECT max(sequence) FROM forgotten), (SELECT max(version) FROM changes)"


def _owner(row: Event | Asked | Note) -> tuple[str, str]:
    """(user, session): the user, or where nobody was known the session."""
    return row.user, "" if row.user else row.session


def _row(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in FIELDS}


def _last(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.max(E.c.sequence))).scalar() or 0


def _owned(user: str, session: str) -> list[sa.ColumnElement[bool]]:
    """Whose events: the user's, and those of the session in which nobody was known yet."""
    own = [E.c.user == user] if user else []
    return [*own, sa.and_(E.c.user == "", E.c.session == session)] if session else own


def _pairs(connection: sa.Connection, own: sa.ColumnElement[bool], after: int, most: int, by: tuple[Any, ...]) -> list[tuple[int, Event]]:
    if most < 1:
        return []
    found = connection.execute(sa.select(*_ROW).where(own, E.c.sequence > after).order_by(*by).limit(most))
    return [(row[0], _event(row)) for row in found]


def _event(row: Any) -> Event:
    """Words that stand in many rows are held once."""
    _, id_, user, item, behaviour, time, scenario, value, session, query = row
    return Event(id_, sys.intern(user), item, sys.intern(behaviour), time, sys.intern(scenario), value, sys.intern(session), query)


def _in_time(pair: tuple[int, Event]) -> tuple[int, int]:
    return pair[1].time, pair[0]

"""Tombstones, and the deletion of a user from every table of the journal."""

from collections.abc import Callable, Collection

import sqlalchemy as sa

from banyan.serving.state.database import Database
from banyan.serving.state.journal import Gone
from banyan.serving.state.tables import asked, draws, events, forgotten, outcomes

AT_ONCE = 500  # values bound in one statement
ROWS = 20_000  # deleted in one transaction, so that others may write in between


def among(connection: sa.Connection, digests: Collection[str]) -> set[str]:
    """Those of the digests that have a tombstone."""
    names, found = sorted(digests), set[str]()
    if not names or connection.execute(sa.select(sa.func.max(forgotten.c.sequence))).scalar() is None:
        return found
    for at in range(0, len(names), AT_ONCE):
        found.update(connection.execute(sa.select(forgotten.c.digest).where(forgotten.c.digest.in_(names[at : at + AT_ONCE]))).scalars())
    return found


def since(connection: sa.Connection, sequence: int) -> list[tuple[int, str]]:
    """(number, digest) of the tombstones above `sequence`."""
    rows = connection.execute(sa.select(forgotten.c.sequence, forgotten.c.digest).where(forgotten.c.sequence > sequence).order_by(forgotten.c.sequence))
    return [(number, digest) for number, digest in rows]


def forget(database: Database, user: str, digest: Callable[[str, str], str]) -> Gone:
    """Tombstones first, then the rows, in pieces; when it is broken off, doing it again ends it.

    A session that the user was in belongs to the user, also before anybody was known in it.
    """
    with database.reading() as connection:
        sessions = connection.execute(sa.select(events.c.session).distinct().where(events.c.user == user, events.c.session != "")).scalars().all()
        sessions = [*sessions, *connection.execute(sa.select(asked.c.session).distinct().where(asked.c.user == user, asked.c.session != "")).scalars()]
    marks = [digest(user, ""), *(digest("", session) for session in dict.fromkeys(sessions))]
    database.write(lambda connection: _mark(connection, marks))
    gone = dict.fromkeys(("events", "asked", "notes"), 0)
    for name, table in (("notes", outcomes), ("notes", draws), ("asked", asked), ("events", events)):
        for at in range(0, len(sessions), AT_ONCE):
            gone[name] += _deleted(database, table, sa.and_(table.c.user == "", table.c.session.in_(sessions[at : at + AT_ONCE])))
    for name, table in (("notes", outcomes), ("notes", draws), ("asked", asked), ("events", events)):
        gone[name] += _deleted(database, table, table.c.user == user)
    return Gone(**gone)


def _mark(connection: sa.Connection, digests: list[str]) -> None:
    """A tombstone is put up anew where there is one, so that everybody looks again."""
    for at in range(0, len(digests), AT_ONCE):
        some = digests[at : at + AT_ONCE]
        connection.execute(sa.delete(forgotten).where(forgotten.c.digest.in_(some)))
        connection.execute(sa.insert(forgotten), [{"digest": each} for each in some])


def _deleted(database: Database, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    some = sa.select(table.c.sequence).where(which).limit(ROWS)
    total = 0
    while count := database.write(lambda connection: connection.execute(sa.delete(table).where(table.c.sequence.in_(some))).rowcount):
        total += count
    return total

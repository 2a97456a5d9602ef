"""Recorded requests, and the append-only tables of experiments and of exploration."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from banyan.serving.state import tables
from banyan.serving.state.database import Insert
from banyan.serving.state.events import Asked, Note
from banyan.serving.state.journal import Notes

KEPT = 100_000  # recorded requests
TABLES: dict[Notes, sa.Table] = {"outcomes": tables.outcomes, "draws": tables.draws}


def record(connection: sa.Connection, insert: Insert, rows: Sequence[tuple[Asked, tuple[str, str]]]) -> None:
    """Write the requests with their (request, answer) as JSON; the oldest beyond those that are kept go."""
    if rows:
        own = ("id", "user", "session", "time", "method")
        insert(connection, [{**{key: getattr(row, key) for key in own}, "request": r, "answer": a} for row, (r, a) in rows])
        newest = sa.select(sa.func.max(tables.asked.c.sequence)).scalar_subquery()
        connection.execute(sa.delete(tables.asked).where(tables.asked.c.sequence <= newest - KEPT))


def recorded(connection: sa.Connection, most: int) -> list[Asked]:
    """The newest `most`, the newest last."""
    table = tables.asked
    rows = connection.execute(sa.select(table).order_by(table.c.sequence.desc()).limit(most)).mappings()
    return [Asked(r["id"], r["user"], r["session"], r["time"], r["method"], _read(r["request"]), _read(r["answer"])) for r in rows][::-1]


def append(connection: sa.Connection, insert: Insert, rows: Sequence[tuple[Note, str]]) -> int:
    """Write the notes with what they are about as JSON; how many were new."""
    own = ("id", "user", "name", "time", "session")
    return insert(connection, [{**{key: getattr(row, key) for key in own}, "about": about} for row, about in rows])


def page(connection: sa.Connection, table: sa.Table, after: int, most: int, name: str) -> list[tuple[int, Note]]:
    """The next `most` above `after`."""
    chosen = sa.select(table).where(table.c.sequence > after, *([table.c.name == name] if name else []))
    rows = connection.execute(chosen.order_by(table.c.sequence).limit(most)).mappings()
    return [(r["sequence"], Note(r["id"], r["user"], r["name"], r["time"], _read(r["about"]))) for r in rows]


def last(connection: sa.Connection, table: sa.Table) -> int:
    """The newest sequence number of a table."""
    return connection.execute(sa.select(sa.func.max(table.c.sequence))).scalar() or 0


def _read(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])

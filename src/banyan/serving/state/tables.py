"""The tables of the journal, the same in SQLite and in PostgreSQL."""

from typing import Any

import sqlalchemy as sa

FORMAT = 2

meta = sa.MetaData()
_number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers its rows in INTEGER columns only, which are 64 bits wide


def _sequence() -> sa.Column[int]:
    return sa.Column("sequence", _number, primary_key=True, autoincrement=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _log(name: str, *columns: sa.Column[str]) -> sa.Table:
    own: list[sa.Column[Any]] = [_text("id"), _text("user"), sa.Column("time", sa.BigInteger, nullable=False), *columns]
    return sa.Table(name, meta, _sequence(), *own, sa.UniqueConstraint("id"), sa.Index(f"{name}_user", "user"), sqlite_autoincrement=True)


about = sa.Table("about", meta, sa.Column("key", sa.Text, primary_key=True), _text("value"))

events = sa.Table(
    "events",
    meta,
    _sequence(),
    _text("id"),
    _text("user"),
    sa.Column("item", sa.Text),
    _text("behaviour"),
    sa.Column("time", sa.BigInteger, nullable=False),
    _text("scenario"),
    sa.Column("value", sa.Double),
    _text("session"),
    _text("query"),
    sa.UniqueConstraint("id"),
    sqlite_autoincrement=True,  # a number is never given twice, even where the newest row was deleted
)
sa.Index("events_user_time", events.c.user, events.c.time, events.c.sequence)
sa.Index("events_user_written", events.c.user, events.c.sequence)

asked = _log("asked", _text("session"), _text("method"), _text("request"), _text("answer"))
outcomes = _log("outcomes", _text("name"), _text("session"), _text("about"))
draws = _log("draws", _text("name"), _text("session"), _text("about"))
for _table in (outcomes, draws):
    sa.Index(f"{_table.name}_name", _table.c.name, _table.c.sequence)
for _table in (events, asked, outcomes, draws):
    _nobody = _table.c.user == ""
    sa.Index(f"{_table.name}_session", _table.c.session, _table.c.sequence, sqlite_where=_nobody, postgresql_where=_nobody)

forgotten = sa.Table("forgotten", meta, _sequence(), sa.Column("digest", sa.Text, nullable=False, unique=True), sqlite_autoincrement=True)

settings = sa.Table("settings", meta, sa.Column("name", sa.Text, primary_key=True), sa.Column("version", sa.BigInteger, nullable=False), _text("value"))
changes = sa.Table(
    "changes",
    meta,
    sa.Column("version", _number, primary_key=True, autoincrement=True),
    _text("name"),
    _text("who"),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("before", sa.Text),
    _text("after"),
    sa.Index("changes_name", "name", "version"),
    sqlite_autoincrement=True,
)

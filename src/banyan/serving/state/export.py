"""The journal's events as Parquet parts, which a store reads as its events table."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from banyan.disk import aside_of, sync
from banyan.errors import ConfigError
from banyan.serving.state.database import Database
from banyan.serving.state.tables import events

ROWS = 250_000  # of one part
PART = "part-{:06d}.parquet"
KINDS = {
    "id": pl.String, "user": pl.String, "item": pl.String, "behaviour": pl.String, "time": pl.Int64, "scenario": pl.String, "value": pl.Float64,
    "session": pl.String, "query": pl.String,
}  # fmt: skip


def write(database: Database, folder: Path, until: int, after: int, names: Mapping[str, str]) -> int:
    """Write the events above `after`, up to `until`; the folder appears when all of it is there. How many events it holds.

    An earlier table in the folder is replaced: it may hold users who were forgotten since. Raises ConfigError where something else is there.
    """
    if unknown := sorted(set(names) - set(KINDS)):
        raise ConfigError(f"An event has no field {unknown[0]!r}; it has {', '.join(KINDS)}.")
    if folder.exists() and (not folder.is_dir() or any(not each.match("part-*.parquet") for each in folder.iterdir())):
        raise ConfigError(f"{folder} holds something else than an earlier table of events; name a new folder.")
    aside = aside_of(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    total = _parts(database, aside, until, after, names)
    for each in (*aside.iterdir(), aside):
        sync(each)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    sync(folder.parent)
    return total


def _parts(database: Database, folder: Path, until: int, after: int, names: Mapping[str, str]) -> int:
    columns = [events.c.sequence, *(events.c[name] for name in KINDS)]
    total = number = 0
    while True:
        with database.reading() as connection:
            page = sa.select(*columns).where(events.c.sequence > after, events.c.sequence <= until).order_by(events.c.sequence).limit(ROWS)
            rows = [tuple(row) for row in connection.execute(page)]
        if not rows and number:
            return total
        frame = pl.DataFrame(rows, schema={"sequence": pl.Int64, **KINDS}, orient="row")
        frame.drop("sequence").rename(dict(names)).write_parquet(folder / PART.format(number))
        if not rows:
            return total
        total, number, after = total + len(rows), number + 1, rows[-1][0]

"""Settings that all workers share: each with its version, and who changed what when."""

import time
from typing import Any

import msgspec
import sqlalchemy as sa

from banyan.errors import ConflictError
from banyan.serving.state.journal import Change
from banyan.serving.state.tables import changes, settings


def read(connection: sa.Connection, name: str) -> tuple[int, Any]:
    """(version, value); (0, None) where it was never set."""
    row = connection.execute(sa.select(settings.c.version, settings.c.value).where(settings.c.name == name)).one_or_none()
    return (0, None) if row is None else (row.version, msgspec.json.decode(row.value))


def write(connection: sa.Connection, name: str, value: str, who: str, expected: int | None) -> int:
    """The new version of the setting, whose value is JSON text. Raises ConflictError where its version is not `expected`."""
    row = connection.execute(sa.select(settings.c.version, settings.c.value).where(settings.c.name == name)).one_or_none()
    now = 0 if row is None else row.version
    if expected is not None and expected != now:
        raise ConflictError(f"The setting {name} has version {now}, not {expected}: somebody changed it meanwhile. Read it and set it again.")
    told = {"name": name, "who": who, "at": time.time_ns() // 1000, "before": None if row is None else row.value, "after": value}
    version = int(connection.execute(sa.insert(changes).values(**told).returning(changes.c.version)).scalar_one())
    if row is None:
        connection.execute(sa.insert(settings).values(name=name, version=version, value=value))
    else:
        connection.execute(sa.update(settings).where(settings.c.name == name).values(version=version, value=value))
    return version


def history(connection: sa.Connection, name: str, most: int) -> list[Change]:
    """The newest `most` changes, the newest last."""
    rows = connection.execute(sa.select(changes).where(changes.c.name == name).order_by(changes.c.version.desc()).limit(most)).mappings()
    return [Change(r["version"], r["name"], r["who"], r["at"], _value(r["before"]), _value(r["after"])) for r in rows][::-1]


def _value(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)

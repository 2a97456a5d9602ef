"""The answer of an SQL query -> polars, in chunks. Never prints a URL: it may hold a password."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

import polars as pl

from banyan.errors import ConfigError, DataError, MissingExtraError
from banyan.store.fingerprint import note
from banyan.store.schema import Source

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

CHUNK = 20_000  # rows fetched at a time
Choose = Callable[[list[str]], list[str]]  # the columns that an answer has -> those of them that are kept
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite"}


def query(source: Source, folder: Path, choose: Choose = list) -> pl.DataFrame:
    """The rows of `source.query`, its parameters bound by the driver, with the columns that `choose` picks of the answer's. Read only.

    Rows are fetched in chunks and turned into columns at once, so that memory holds the columns that are kept and one chunk of rows.
    Raises ConfigError for a URL that cannot be right, DataError for what the database refuses, MissingExtraError without sqlalchemy.
    """
    try:
        import sqlalchemy as sa
    except ImportError as error:
        raise MissingExtraError("Reading a table by SQL", "sql") from error
    url = _url(source, folder)
    try:
        engine = _engine(url)
        with engine.connect() as connection:
            result = connection.execution_options(stream_results=True).execute(sa.text(str(source.query)), source.parameters)
            present = _apart(list(result.keys()), source)
            columns = {name: present.index(name) for name in choose(present)}
            chunks = [_frame(rows, columns, source) for rows in result.partitions(CHUNK)]
        engine.dispose()
    except ImportError as error:
        raise MissingExtraError("Reading from PostgreSQL", "sql") from error
    except sa.exc.SQLAlchemyError as error:
        raise DataError(f"The {source.label} was refused by the database: {_said(error, url)}.") from error
    if not chunks:
        raise DataError(f"The {source.label} gave no rows; a table needs at least one.")
    frame = _joined(chunks, source)
    note(source, frame)
    return frame


def _apart(columns: list[str], source: Source) -> list[str]:
    if len(set(columns)) < len(columns):
        raise ConfigError(f"The {source.label} gives two columns one name ({', '.join(columns)}); name them apart with AS.")
    return columns


def _frame(rows: Sequence[Any], columns: Mapping[str, int], source: Source) -> pl.DataFrame:
    try:
        return pl.DataFrame([_column(name, [row[at] for row in rows]) for name, at in columns.items()])
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise _mixed(source, str(error)) from error


def _column(name: str, values: list[Any]) -> pl.Series:
    if any(issubclass(kind, (Decimal, UUID)) for kind in set(map(type, values))):
        values = [_plain(value) for value in values]
    return pl.Series(name, values, strict=True)


def _joined(chunks: list[pl.DataFrame], source: Source) -> pl.DataFrame:
    """The chunks as one frame: nulls take the type of the others, whole numbers that of decimals."""
    for name in chunks[0].columns:
        kinds = {chunk.schema[name] for chunk in chunks} - {pl.Null()}
        if len(kinds) > 1 and not all(kind.is_numeric() for kind in kinds):
            raise _mixed(source, f"{name} holds {' and '.join(sorted(map(str, kinds)))}")
    return pl.concat(chunks, how="vertical_relaxed")


def _mixed(source: Source, found: str) -> DataError:
    return DataError(f"The {source.label} gives a column of more than one type: {found}. CAST it in the query.")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, UUID) else value


def _url(source: Source, folder: Path) -> "URL":
    import sqlalchemy as sa

    try:
        url = sa.make_url(_filled(str(source.sql)))
    except sa.exc.ArgumentError as error:
        raise ConfigError(f"The {source.label}: sql is no URL of a database; write sqlite:///shop.db or postgresql://user:$PASSWORD@host/shop.") from error
    driver = _DRIVERS.get(url.drivername, url.drivername)
    if driver.partition("+")[0] not in ("sqlite", "postgresql"):
        raise ConfigError(f"The {source.label}: {url.drivername!r} databases are not read; sqlite and postgresql are. Export the table to Parquet or CSV.")
    if driver == "sqlite":
        return _sqlite(url, source, folder)
    return url.set(drivername=driver)


def _sqlite(url: "URL", source: Source, folder: Path) -> "URL":
    path = (folder / str(url.database or "")).resolve()
    if not path.is_file():
        raise ConfigError(f"The {source.label}: there is no SQLite file {path}.")
    return url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})


def _engine(url: "URL") -> "Engine":
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    return engine.execution_options(postgresql_readonly=True) if url.drivername.startswith("postgresql") else engine


def _filled(url: str) -> str:
    """The URL with every `$NAME` or `${NAME}` from the environment; a value is quoted where it is only a part of the URL."""
    whole = re.fullmatch(r"\$\{?(\w+)\}?", url) is not None

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in os.environ:
            raise ConfigError(f"The URL of a database names ${name}, and the environment has no variable {name}; set it before you start.")
        return os.environ[name] if whole else quote(os.environ[name], safe="")

    return re.sub(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))", value, url)


def _said(error: Exception, url: "URL") -> str:
    said = " ".join(str(getattr(error, "orig", None) or error).split())[:400].rstrip(".")
    return said.replace(str(url.password), "***") if url.password else said

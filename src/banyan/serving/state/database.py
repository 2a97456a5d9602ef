"""One database for many threads and processes: durable commits, shared by the threads that wait for one. Knows no tables."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from banyan.errors import BanyanError, ConfigError, StateError
from banyan.serving.state.journal import FILE

T = TypeVar("T")
Insert = Callable[[sa.Connection, Sequence[Mapping[str, Any]]], int]
WAIT = 10.0  # seconds that a write waits for another process
TOGETHER = 64  # pieces of work in one commit
CONNECTIONS = 8  # kept open by a process
CACHE = 16 << 10  # KiB of pages that a connection to SQLite holds
WRITERS = 0x62616E79616E  # PostgreSQL's advisory lock of those who write


@dataclass
class _Job:
    work: Callable[[sa.Connection], Any]
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class Database:
    """A SQLite file (write-ahead log, every commit synced) or a PostgreSQL database.

    One writes at a time, so that sequence numbers become visible in their order: a reader who has seen one has seen all before it.
    Threads that write at once share a commit, and so one sync of the disk.
    """

    def __init__(self, where: str | Path) -> None:
        """Raises ConfigError for a URL that cannot be right, StateError where the database cannot be opened."""
        self.path: Path | None = None
        url = self._url(where)
        self.name = str(self.path) if self.path else url.render_as_string(hide_password=True)
        self._secret = str(url.password) if url.password else ""
        self._engine = _sqlite(url) if self.path else _postgres(url)
        self._reading = self._engine if self.path else self._engine.execution_options(isolation_level="AUTOCOMMIT")  # SQLite begins when it writes
        self._waiting: list[_Job] = []
        self._turn, self._busy = threading.Condition(), False
        self._process = os.getpid()

    def _url(self, where: str | Path) -> sa.URL:
        if "://" not in str(where):
            path = Path(where)
            self.path = (path if path.suffix else path / FILE).absolute()
            _made(self.path)
            return sa.URL.create("sqlite", database=str(self.path))
        try:
            url = sa.make_url(str(where))
        except sa.exc.ArgumentError as error:
            raise ConfigError("The place for events is no URL of a database; write postgresql://user:password@host/database, or name a folder.") from error
        if url.get_backend_name() not in ("postgresql", "postgres"):
            raise ConfigError(f"Events are kept in a folder or in PostgreSQL; {url.drivername!r} is neither.")
        return url.set(drivername="postgresql+psycopg")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for reading, every statement by itself. Raises StateError where the database fails."""
        self._forked()
        with self.failing("read"), self._reading.connect() as connection:
            yield connection

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Do the work inside a transaction; it is on disk when this returns.

        Work that raises a BanyanError must do so before it writes; then only its own caller sees it. Raises StateError where the
        database fails: nothing was written.
        """
        job = _Job(work)
        self._forked()
        with self._turn:
            self._waiting.append(job)
        while jobs := self._next(job):
            self._commit(jobs)
        if job.error is not None:
            raise job.error
        return cast(T, job.result)

    def _next(self, job: _Job) -> list[_Job]:
        """Waits until somebody has done the work: nothing is left to do; or until nobody writes: those who have waited longest are next."""
        with self._turn:
            self._turn.wait_for(lambda: job.done or not self._busy)
            if job.done:
                return []
            self._busy = True
            jobs, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
            return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        error: BaseException | None = None
        try:
            with self.failing("write"), self._engine.begin() as connection:
                self._alone(connection)
                for job in jobs:
                    self._try(job, connection)
        except Exception as found:  # handed to each of those who wait, who raise it
            error = found
        except BaseException:  # whoever does the work of others is told to stop; they are not
            error = StateError(f"Writing to {self.name} was broken off; nothing is acknowledged. Send it again.")
            raise
        finally:
            with self._turn:
                for job in jobs:
                    job.done, job.error = True, job.error or error
                self._busy = False
                self._turn.notify_all()

    def _alone(self, connection: sa.Connection) -> None:
        if self.path:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))

    @staticmethod
    def _try(job: _Job, connection: sa.Connection) -> None:
        try:
            job.result = job.work(connection)
        except BanyanError as error:
            job.error = error

    def _forked(self) -> None:
        if self._process != os.getpid():  # a connection must not be used on both sides of a fork
            self._engine.dispose(close=False)
            self._process, self._turn, self._busy, self._waiting = os.getpid(), threading.Condition(), False, []

    @contextmanager
    def failing(self, what: str) -> Iterator[None]:
        """Whatever the database says becomes a StateError, without a password in it."""
        try:
            yield
        except ImportError as error:
            raise ConfigError(f"{self.name} needs a driver that is not installed: pip install 'banyan-commerce[serve]'.") from error
        except sa.exc.SQLAlchemyError as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())[:300].rstrip(".")
            said = said.replace(self._secret, "***") if self._secret else said
            raise StateError(_sentence(self.name, what, said)) from error

    def inserter(self, table: sa.Table) -> Insert:
        """A function that writes rows (column -> value) in one statement, leaves out ids that are there already, and tells how many it wrote."""
        columns = [column for column in table.columns if not column.primary_key]
        names = [column.name for column in columns]
        quoted = ", ".join(map(self._engine.dialect.identifier_preparer.quote, names))
        if self.path:
            text = f"INSERT INTO {table.name} ({quoted}) VALUES ({', '.join('?' * len(names))}) ON CONFLICT (id) DO NOTHING"
            return lambda connection, rows: connection.exec_driver_sql(text, [tuple(row[n] for n in names) for row in rows]).rowcount if rows else 0
        given = ", ".join(f"%({column.name})s::{column.type.compile(self._engine.dialect)}[]" for column in columns)
        each = f"SELECT {quoted} FROM unnest({given}) WITH ORDINALITY AS given ({quoted}, place) ORDER BY place"  # numbered in the order given
        whole = f"INSERT INTO {table.name} ({quoted}) {each} ON CONFLICT (id) DO NOTHING"
        return lambda connection, rows: connection.exec_driver_sql(whole, {n: [row[n] for row in rows] for n in names}).rowcount if rows else 0

    def swept(self, *, whole: bool) -> bool:
        """Have nothing of deleted rows left in the database's own files: empty the write-ahead log; `whole` rewrites the database first.

        Whether it was done: a log that others read meanwhile cannot be emptied. In PostgreSQL dead rows are vacuumed. Raises StateError.
        """
        with self.reading() as connection:
            if not self.path:
                connection.exec_driver_sql("VACUUM (FULL)" if whole else "VACUUM")
                return True
            if whole:
                connection.exec_driver_sql("VACUUM")
            return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]

    def holds(self, words: Sequence[bytes]) -> bool:
        """Whether a word stands in the bytes of a SQLite file or of its write-ahead log; nothing is known of PostgreSQL's files."""
        if self.path is None or not words:
            return False
        return any(_holds(each, words) for each in (self.path, self.path.with_name(f"{self.path.name}-wal")) if each.is_file())

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _sentence(name: str, what: str, said: str) -> str:
    if "disk is full" in said or "No space left" in said:
        return f"The disk of {name} is full ({said}); nothing of this was kept. Make room and send it again."
    if "locked" in said:
        return f"{name} was held by another process for more than {WAIT:.0f} s ({said}); nothing of this was kept. Send it again."
    done = "read from" if what == "read" else "written to"
    return f"Events could not be {done} {name} ({said}); nothing is acknowledged. Look after the database and try again."


def _made(path: Path) -> None:
    """An empty file that nobody else may read: it will hold customers' ids."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); name a folder for events that can.") from error


def _holds(path: Path, words: Sequence[bytes]) -> bool:
    pattern, overlap, rest = re.compile(b"|".join(map(re.escape, words))), max(map(len, words)) - 1, b""
    with path.open("rb") as file:
        while piece := file.read(8 << 20):
            if pattern.search(rest + piece):
                return True
            rest = piece[-overlap:] if overlap else b""
    return False


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, hide_parameters=True, connect_args={"timeout": WAIT})
    sa.event.listen(engine, "connect", _prepared)
    return engine


def _prepared(connection: Any, _: ConnectionPoolEntry) -> None:
    """Of every connection: a commit is on disk when it returns, and what is deleted is overwritten."""
    cursor = connection.cursor()
    if (mode := cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]) != "wal":
        raise StateError(f"This disk cannot hold a write-ahead log (journal mode {mode}); keep events on a local disk, or in PostgreSQL.")
    for pragma in ("synchronous=FULL", "fullfsync=ON", "secure_delete=ON", f"cache_size=-{CACHE}", f"journal_size_limit={64 << 20}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _postgres(url: sa.URL) -> sa.Engine:
    told = "-c synchronous_commit=on -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"
    connect = {"connect_timeout": 3, "options": told, "application_name": "banyan", "keepalives_idle": 10, "tcp_user_timeout": 10_000}
    return sa.create_engine(
        url, pool_size=CONNECTIONS, max_overflow=CONNECTIONS, pool_pre_ping=True, pool_timeout=WAIT, hide_parameters=True, connect_args=connect
    )

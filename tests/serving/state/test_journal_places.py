"""Where a journal lies: it syncs every commit, and says what is wrong with a place."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from banyan.errors import ConfigError, StateError
from banyan.serving.state import Event, journal_at

Make = Callable[..., Event]


def test_every_connection_to_sqlite_syncs_each_commit(tmp_path: Path) -> None:
    journal = journal_at(tmp_path)
    asked = ("synchronous", "journal_mode", "secure_delete")
    engine = journal.database._engine  # type: ignore[attr-defined]
    connections = [engine.connect() for _ in range(10)]  # as many as the pool keeps, and some beyond
    for connection in connections:
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked] == [2, "wal", 1]
        connection.close()
    assert (tmp_path / "journal.sqlite").stat().st_mode & 0o077 == 0, "customers' ids are nobody else's"


@pytest.mark.slow
def test_every_connection_to_postgresql_waits_for_its_disk(postgres_url: str) -> None:
    with journal_at(postgres_url).database.reading() as connection:  # type: ignore[attr-defined]
        assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("synchronous_commit", "fsync")] == ["on", "on"]


def test_a_full_disk_refuses_and_recovers(tmp_path: Path, make: Make) -> None:
    import sqlalchemy as sa

    journal = journal_at(tmp_path)
    most = [60]
    engine = journal.database._engine  # type: ignore[attr-defined]
    sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={most[0]}"))
    taken = 0
    refused = ""
    while not refused:
        try:
            taken += journal.append([make(taken + k) for k in range(100)]).accepted
        except StateError as error:
            refused = str(error)
    assert re.search(r"disk of .*journal\.sqlite is full .*Make room", refused)
    assert taken == sum(1 for _ in journal.since(0)), "what was acknowledged is there, and nothing of the refused batch"
    assert journal.of_user("u-1"), "reading goes on"
    most[0] = 10_000
    assert journal.append([make(1)]).accepted == 1


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        journal_at(tmp_path / "file" / "state")
    with pytest.raises(ConfigError, match="neither"):
        journal_at("mysql://h/d")
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all, " * 100)
    with pytest.raises(StateError, match="not a database"):
        journal_at(tmp_path)


def test_the_place_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BANYAN_DATABASE_URL", raising=False)
    with pytest.raises(ConfigError, match="BANYAN_DATABASE_URL"):
        journal_at()
    monkeypatch.setenv("BANYAN_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/shop")
    with pytest.raises(StateError) as error:
        journal_at()
    assert "s3cret" not in str(error.value)
    assert journal_at(tmp_path).last() == 0


def test_a_journal_of_another_format_is_refused(tmp_path: Path) -> None:
    journal = journal_at(tmp_path)
    journal.database.write(lambda c: c.exec_driver_sql("UPDATE about SET value = '99' WHERE \"key\" = 'format'"))  # type: ignore[attr-defined]
    with pytest.raises(StateError, match="format 99"):
        journal_at(tmp_path)

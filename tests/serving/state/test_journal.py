"""What is acknowledged is on disk, once, in order; what breaks a rule is refused as a whole."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from banyan.errors import ConfigError, ConflictError, DataError, StateError
from banyan.serving.state import Asked, Event, Journal, Note, Receipt, journal_at
from banyan.serving.state import events as limits
from banyan.serving.state import notes as kept
from banyan.store.load import load
from banyan.store.open import open_store

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


def test_an_id_counts_once(journal: Journal, place: str, make: Make) -> None:
    batch = [make(i) for i in range(5)]
    assert journal.append(batch + batch[:2]) == Receipt(5, 2, 5)
    assert journal.append(batch).accepted == 0
    other = journal_at(place)  # as another process does
    assert other.append([*batch, make(9)]).accepted == 1
    assert [e for _, e in journal.since(0)] == [*batch, other.of_user("u-1")[-1]]


def test_the_first_telling_of_an_id_stays(journal: Journal, make: Make) -> None:
    first = make(1, id="one")
    journal.append([first])
    journal.append([make(2, id="one", user="u-2")])
    assert [e for _, e in journal.since(0)] == [first]


def test_what_was_appended_comes_back_as_it_was(journal: Journal, make: Make) -> None:
    said = [make(1, value=0.1, scenario="首页", session="s", query="红 'dress'; --"), make(2, item=None, behaviour="search"), make(3, value=-1e300)]
    journal.append(said)
    assert journal.of_user("u-1") == said


def test_events_out_of_order_come_in_time_order(journal: Journal, make: Make) -> None:
    times = [5, 3, 9, 3, 1, 9]
    journal.append([make(t, id=f"e{i}") for i, t in enumerate(times[:3])])
    journal.append([make(t, id=f"e{i + 3}") for i, t in enumerate(times[3:])])
    assert [e.id for e in journal.of_user("u-1")] == ["e4", "e1", "e3", "e0", "e2", "e5"], "at one time what was written first stands first"
    assert [e.id for e in journal.of_user("u-1", most=3)] == ["e0", "e2", "e5"], "the newest by time, not by writing"


def test_a_clock_that_jumps_back_loses_nothing(journal: Journal, make: Make) -> None:
    journal.append([make(1000)])
    mark = journal.last()
    journal.append([make(10, id="late")])
    assert [e.id for _, e in journal.since(mark)] == ["late"]
    assert [e.id for e in journal.of_user("u-1", after=mark)] == ["late"]
    assert [e.time for e in journal.of_user("u-1")] == sorted(e.time for e in journal.of_user("u-1"))


def test_a_long_history_stays_bounded(journal: Journal, make: Make) -> None:
    for start in range(0, 6000, 2000):
        journal.append([make(i) for i in range(start, start + 2000)])
    assert [e.item for e in journal.of_user("u-1")] == [f"i-{i}" for i in range(5000, 6000)]
    assert [e.item for e in journal.of_user("u-1", most=3)] == ["i-5997", "i-5998", "i-5999"]
    assert journal.of_user("u-1", most=0) == []


def test_all_events_stream_in_pages(journal: Journal, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.sql.BATCH", 7)
    journal.append([make(i, user=f"u-{i % 3}") for i in range(20)])
    numbers = [n for n, _ in journal.since(0)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 20
    assert [e.item for _, e in journal.since(numbers[3], most=9)] == [f"i-{i}" for i in range(4, 13)]
    assert journal.last() == numbers[-1]


def test_a_session_belongs_to_who_was_in_it_later(journal: Journal, make: Make) -> None:
    journal.append([make(1, user="", session="s-1"), make(2, session="s-1"), make(3, user="", session="s-2"), make(4, user="u-2", session="s-1")])
    pairs = journal.numbered("u-1", session="s-1")
    assert [e.item for _, e in pairs] == ["i-1", "i-2"]
    assert [e.item for _, e in journal.numbered("", session="s-2")] == ["i-3"]


LONG = "x" * 201
WRONG = [
    ({"id": ""}, "id is empty"),
    ({"id": LONG}, "id has 201 letters"),
    ({"user": LONG}, "user has 201 letters"),
    ({"item": LONG}, "item has 201 letters"),
    ({"session": LONG}, "session has 201 letters"),
    ({"behaviour": ""}, "behaviour is empty"),
    ({"query": "q" * 1001}, "query has 1,001 letters"),
    ({"user": "a\0b"}, "user holds a NUL"),
    ({"user": "\ud800"}, "user is no text that can be written as UTF-8"),
    ({"user": 7}, "user is 7; it is text"),
    ({"user": ""}, "it has neither user nor session"),
    ({"time": -1}, "time is -1"),
    ({"time": 1.5}, r"time is 1\.5"),
    ({"time": 1 << 63}, "time is 9223372036854775808"),
    ({"value": float("nan")}, "value is nan"),
]


@pytest.mark.parametrize("change, said", WRONG, ids=[said for _, said in WRONG])
def test_a_batch_with_a_wrong_event_is_refused_whole(journal: Journal, make: Make, change: dict, said: str) -> None:
    with pytest.raises(DataError, match=f"event 2: {said}"):
        journal.append([make(1), make(2, **change)])
    assert journal.last() == 0


def test_a_batch_has_a_limit(journal: Journal, make: Make) -> None:
    with pytest.raises(DataError, match=r"10,001 events came at once; at most 10,000"):
        journal.append([make(0)] * (limits.BATCH + 1))
    assert journal.append([]) == Receipt(0, 0, 0)


@contextmanager
def held(journal: Any, waiting: int) -> Iterator[None]:
    """Nobody writes until so many threads wait to."""
    database = journal.database
    with database._turn:
        database._busy = True
    yield
    while len(database._waiting) < waiting:
        time.sleep(0.01)
    with database._turn:
        database._busy = False
        database._turn.notify_all()


def test_threads_share_commits_and_each_gets_its_own_receipt(journal: Journal, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = []
    real = journal.database._commit  # type: ignore[attr-defined]
    monkeypatch.setattr(journal.database, "_commit", lambda jobs: (commits.append(len(jobs)), real(jobs)))  # type: ignore[attr-defined]
    found: dict[int, list[Receipt]] = {}
    batches = {n: [make(i, user=f"u-{n}") for i in range(n + 1)] for n in range(80)}
    threads = [threading.Thread(target=lambda n=n: found.setdefault(n, [journal.append(batches[n]), journal.append(batches[n])])) for n in batches]
    with held(journal, 80):
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert all((first.accepted, first.duplicates) == (n + 1, 0) for n, (first, _) in found.items())
    assert all((again.accepted, again.duplicates) == (0, n + 1) for n, (_, again) in found.items())
    assert len(found) == 80
    assert max(commits) == 64, "as many as fit share one commit"
    assert sum(commits) == 160
    assert sum(1 for _ in journal.since(0)) == sum(range(1, 81))


def test_one_refusal_leaves_the_others_of_a_commit_alone(journal: Journal, make: Make) -> None:
    version = journal.set("a", 1, "ann")
    errors: list[Exception] = []

    def conflict() -> None:
        try:
            journal.set("a", 2, "bob", expected=version + 7)
        except ConflictError as error:
            errors.append(error)

    threads = [threading.Thread(target=conflict), threading.Thread(target=lambda: journal.append([make(1)]))]
    with held(journal, 2):
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 1
    assert journal.last() > 0


WRITER = """
import sys
from banyan.serving.state import Event, journal_at
journal, me = journal_at(sys.argv[1]), sys.argv[2]
for n in range(30):
    journal.append([Event(f"both-{n}", "u", "i", "view", n), Event(f"{me}-{n}", "u", "i", "view", n)])
"""


def test_processes_write_side_by_side(journal: Journal, place: str) -> None:
    running = [subprocess.Popen([sys.executable, "-c", WRITER, place, f"w{n}"]) for n in range(2)]
    seen: list[int] = []
    while any(each.poll() is None for each in running):
        seen += [n for n, _ in journal.since(seen[-1] if seen else 0)]
        time.sleep(0.01)
    seen += [n for n, _ in journal.since(seen[-1] if seen else 0)]
    assert [each.returncode for each in running] == [0, 0]
    assert len(seen) == 90, "a reader who follows the numbers misses none"


FORKED = """
import os, sys
from banyan.serving.state import Event, journal_at
journal = journal_at(sys.argv[1])
journal.append([Event("before", "u", "i", "view", 1)])
if not (child := os.fork()):
    journal.append([Event("child", "u", "i", "view", 2)])
    os._exit(len(journal.of_user("u")))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
journal.append([Event("parent", "u", "i", "view", 3)])
print(*(event.id for event in journal.of_user("u")))
"""


def test_a_fork_opens_connections_of_its_own(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["before", "child", "parent"]


def test_who_writes_for_others_may_be_stopped_and_they_are_told(journal: Journal, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    found: list[BaseException] = []

    def send() -> None:
        try:
            journal.append([make(1)])
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=send) for _ in range(3)]
    with monkeypatch.context() as cut:
        cut.setattr(journal.database, "_alone", stopped)  # type: ignore[attr-defined]
        with held(journal, 3):
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
    assert sorted(type(error).__name__ for error in found) == ["KeyboardInterrupt", "StateError", "StateError"]
    assert journal.append([make(2)]).accepted == 1


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


def test_requests_are_kept_to_try_bundles_on(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", 5)
    rows = [Asked(f"r{i}", "u-1", "", i, "recommend", {"k": i}, {"items": ["a"]}) for i in range(12)]
    journal.record(rows[:8])
    for row in rows[8:]:
        journal.record(row)
    assert journal.recorded() == rows[-5:]
    assert journal.recorded(2) == rows[-2:]
    with pytest.raises(DataError, match=r"recorded request 1, request has .* bytes of JSON"):
        journal.record(Asked("x", "u", "", 0, "recommend", {"k": "y" * 70_000}))


def test_notes_are_appended_once_and_read_in_order(journal: Journal) -> None:
    rows = [Note(f"n{i}", f"u-{i}", "price" if i % 2 else "home", i, {"arm": "b", "p": 0.25}) for i in range(6)]
    assert journal.note("outcomes", rows[:4]).accepted == 4
    receipt = journal.note("outcomes", rows)
    assert (receipt.accepted, receipt.duplicates) == (2, 4)
    assert [n for _, n in journal.notes("outcomes")] == rows
    assert [n.id for _, n in journal.notes("outcomes", name="price")] == ["n1", "n3", "n5"]
    after = next(iter(journal.notes("outcomes")))[0]
    assert [n.id for _, n in journal.notes("outcomes", after, 2)] == ["n1", "n2"]
    assert not list(journal.notes("draws"))


def test_settings_have_versions_and_a_history(journal: Journal, place: str) -> None:
    assert journal.setting("value") == (0, None)
    assert journal.newest() == 0
    first = journal.set("value", {"home": "buy * item.price"}, "ann", expected=0)
    other = journal.set("flag", True, "ann")
    second = journal_at(place).set("value", {"home": "cart"}, "bob", expected=first)
    assert first < other < second == journal.newest() == journal.pulse().settings
    assert journal.setting("value") == (second, {"home": "cart"})
    with pytest.raises(ConflictError, match=f"has version {second}, not {first}"):
        journal.set("value", {}, "cy", expected=first)
    one, two = journal.changes("value")
    assert (one.who, one.before, one.after) == ("ann", None, {"home": "buy * item.price"})
    assert (two.who, two.before, two.after, two.version) == ("bob", one.after, {"home": "cart"}, second)
    assert two.at >= one.at > 1_700_000_000_000_000
    assert [c.version for c in journal.changes("value", most=1)] == [second]
    with pytest.raises(DataError, match="no JSON value"):
        journal.set("value", object(), "ann")


def test_of_two_who_change_a_setting_at_once_one_is_told(journal: Journal) -> None:
    version = journal.set("a", 0, "start")
    told: list[str] = []

    def change(name: str) -> None:
        try:
            journal.set("a", name, name, expected=version)
        except ConflictError:
            told.append(name)

    threads = [threading.Thread(target=change, args=(name,)) for name in ("ann", "bob", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 2
    assert journal.setting("a")[1] not in told


def test_events_become_a_table_that_a_store_reads(journal: Journal, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.export.ROWS", 8)
    journal.append([make(i, user=f"u-{i % 4}", value=i / 2, scenario="home") for i in range(20)])
    until = journal.last()
    journal.append([make(99)])
    out = tmp_path / "events"
    assert journal.table(out, until, names={"behaviour": "event", "time": "ts"}) == 20
    assert sorted(each.name for each in out.iterdir()) == [f"part-00000{i}.parquet" for i in range(3)]
    page = {
        "store": "shop",
        "entities": {"user": {"id": "user"}, "item": {"id": "item"}},
        "events": {"table": "events/*.parquet", "user": "user", "item": "item", "behaviour": "event", "time": "ts", "scenario": "scenario", "value": "value"},
        "samples": {"next": {"recipe": "next_item", "behaviours": ["view"]}},
        "tasks": {"next": {"kind": "ranking", "samples": "next"}},
        "split": {"by": "time", "valid": 0.1, "test": 0.1},
    }
    import yaml

    (tmp_path / "store.yaml").write_text(yaml.safe_dump(page))
    log = open_store(load(tmp_path / "store.yaml")).log
    assert log is not None
    assert len(log.item) == 20
    assert log.clock == "time"
    assert sorted(log.time.tolist()) == [1_700_000_000_000_000 + i for i in range(20)]
    journal.forget("u-0")
    assert journal.table(out) == 16, "an earlier table is replaced"
    assert "u-0" not in pl.read_parquet(out / "*.parquet")["user"].to_list()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with pytest.raises(ConfigError, match="holds something else"):
        journal.table(tmp_path / "mine")
    with pytest.raises(ConfigError, match="no field 'what'"):
        journal.table(tmp_path / "new", names={"what": "x"})

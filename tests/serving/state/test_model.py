"""Whatever happens in whatever order, the journal and every worker's cache say what a plain list would."""

import random
import uuid
from pathlib import Path
from typing import Any

import pytest

from banyan.serving.state import Event, UserState, journal_at, user_state_at
from banyan.serving.state.users import LocalState

USERS, SESSIONS = ["a", "b", "c"], ["", "s", "t"]


class Plain:
    """Events in the order of writing, and who was forgotten: what the journal promises, without a database."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.gone: set[tuple[str, str]] = set()

    def append(self, events: list[Event]) -> tuple[int, int, int]:
        left = [e for e in events if (e.user, "" if e.user else e.session) not in self.gone]
        known, fresh = {e.id for e in self.events}, dict[str, Event]()
        for each in left:
            if each.id not in known:
                fresh.setdefault(each.id, each)
        self.events += fresh.values()
        return len(fresh), len(left) - len(fresh), len(events) - len(left)

    def forget(self, user: str) -> None:
        sessions = {e.session for e in self.events if e.user == user and e.session}
        self.gone |= {(user, ""), *(("", session) for session in sessions)}
        self.events = [e for e in self.events if e.user != user and not (e.user == "" and e.session in sessions)]

    def recent(self, user: str, session: str, most: int) -> list[Event]:
        mine = [e for e in self.events if user and e.user == user]
        before = [e for e in self.events if session and not e.user and e.session == session]
        newest = [sorted(each, key=lambda e: e.time)[-most:] for each in (mine, before)]
        return sorted([e for each in newest for e in each], key=lambda e: e.time)[-most:]


def event(rng: random.Random, known: list[Event]) -> Event:
    if known and rng.random() < 0.2:
        return rng.choice(known)  # sent again
    user = rng.choice(USERS + [""])
    session = rng.choice(SESSIONS) if user else rng.choice(SESSIONS[1:])
    return Event(uuid.UUID(int=rng.getrandbits(128)).hex, user, f"i-{rng.randrange(9)}", "view", rng.randrange(1 << 40), session=session)


def played(workers: list[UserState], rng: random.Random, steps: int) -> None:
    plain = Plain()
    for _ in range(steps):
        worker = rng.choice(workers)
        if (what := rng.random()) < 0.5:
            batch = [event(rng, plain.events) for _ in range(rng.randrange(1, 8))]
            receipt = worker.take(batch)
            assert (receipt.accepted, receipt.duplicates, receipt.forgotten) == plain.append(batch)
        elif what < 0.53:
            user, before = rng.choice(USERS), worker.journal.pulse().forgotten
            worker.journal.forget(user)
            worker.bury([digest for _, digest in worker.journal.forgotten_since(before)])
            plain.forget(user)
        else:
            user, session = rng.choice([*USERS, ""]), rng.choice(SESSIONS)
            assert list(worker.recent(user, session=session)) == plain.recent(user, session, worker.most)
    assert [e for _, e in workers[0].journal.since(0)] == plain.events


@pytest.mark.parametrize("seed", range(4))
def test_local_states_of_two_workers(tmp_path: Path, seed: int) -> None:
    workers: list[UserState] = [LocalState(journal_at(tmp_path), most=6, held=held) for held in (500_000, 12)]
    played(workers, random.Random(seed), 80)


@pytest.mark.parametrize("seed", range(2))
def test_shared_states_of_two_workers(tmp_path: Path, server: Any, seed: int) -> None:
    workers = [user_state_at(journal_at(tmp_path), server.url, most=6) for _ in range(2)]
    played(workers, random.Random(seed), 80)

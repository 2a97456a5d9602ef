"""Threads and processes that write to one journal at once: each gets its own receipt, and nothing is lost."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from banyan.errors import ConflictError
from banyan.serving.state import Event, Journal, Receipt

Make = Callable[..., Event]


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

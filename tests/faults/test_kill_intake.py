"""Intake is killed at random moments: every acknowledged event is there afterwards, and none of them twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from banyan.serving.state import Event, journal_at

# Acknowledges each batch by its number on stdout, after append came back. Batches repeat events of earlier ones, as clients that send again do.
INTAKE = """
import sys, threading
from banyan.serving.state import Event, journal_at
journal, run = journal_at(sys.argv[1]), sys.argv[2]
lock = threading.Lock()

def send(thread):
    number = 0
    while True:
        ids = [f"{run}/{thread}/{number}/{i}" for i in range(5)] + ([f"{run}/{thread}/{number - 1}/{i}" for i in range(5)] if number else [])
        journal.append([Event(each, f"u-{thread}", "i", "view", number) for each in ids])
        with lock:
            sys.stdout.write(f"{thread}/{number}\\n")
            sys.stdout.flush()
        number += 1

for thread in range(3):
    threading.Thread(target=send, args=(thread,)).start()
"""


def killed(folder: Path, run: str, seconds: float) -> list[str]:
    """Starts intake and kills it some seconds after its first acknowledgement; the batches that were acknowledged."""
    path = folder / f"{run}.out"
    with path.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", INTAKE, str(folder / "state"), run], stdout=out)
        try:
            until = time.monotonic() + 120
            while not path.stat().st_size and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(seconds)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    return [line for line in path.read_text().split("\n")[:-1] if line]


def check(folder: Path, kills: int) -> None:
    rng = random.Random()  # another moment each time
    acknowledged: list[str] = []
    for number in range(kills):
        told = killed(folder, f"r{number}", rng.uniform(0, 0.4))
        assert told, "intake never began"
        acknowledged += [f"r{number}/{each}/{i}" for each in told for i in range(5)]
        journal = journal_at(folder / "state")
        stored = [event.id for _, event in journal.since(0)]
        assert not set(acknowledged) - set(stored), "an acknowledged event was lost"
        assert len(stored) == len(set(stored)), "an event stands twice"
        with journal.database.reading() as connection:  # type: ignore[attr-defined]
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        journal.append([Event(f"after-{number}", "u-0", "i", "view", 1)])
        journal.close()


def test_no_acknowledged_event_is_lost_or_doubled(tmp_path: Path) -> None:
    check(tmp_path, 5)


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_or_doubled_in_fifty_kills(tmp_path: Path) -> None:
    check(tmp_path, 50)

"""How many events a second does the journal take, each batch on disk before it is acknowledged? And what does it cost to read a user?

    python -m benchmarks.journal --where /var/lib/shop --seconds 10

`--where` is a folder on the disk that is asked about, or a URL of PostgreSQL; a scratch folder in it is removed afterwards.
"""

import argparse
import json
import os
import resource
import shlex
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from banyan.serving.state import Event, Journal, journal_at, user_state_at
from benchmarks import _report

BATCH, THREADS, USERS, READS = 100, (1, 8), 5_000, 500


def batch(number: int) -> list[Event]:
    """New events of many users."""
    begin = 1_700_000_000_000_000 + number * BATCH
    return [Event(uuid.uuid4().hex, f"user-{(number * BATCH + i * 7919) % USERS}", f"item-{i}", "view", begin + i, "home", 1.5) for i in range(BATCH)]


def intake(journal: Journal, threads: int, seconds: float) -> dict[str, float]:
    """Events a second, and how long a batch takes, in milliseconds."""
    waits: list[float] = []
    until = time.perf_counter() + seconds

    def send(first: int) -> None:
        number = first
        while time.perf_counter() < until:
            began = time.perf_counter()
            journal.append(batch(number))
            waits.append(time.perf_counter() - began)
            number += threads

    began = time.perf_counter()
    senders = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    waits.sort()
    took = time.perf_counter() - began
    return {"events_per_second": len(waits) * BATCH / took, "median_ms": 1e3 * waits[len(waits) // 2], "p99_ms": 1e3 * waits[int(len(waits) * 0.99)]}


def sync_ms(folder: Path) -> float:
    """Median milliseconds of writing and syncing one page there: what no durable commit can be faster than."""
    handle = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    try:
        return 1e3 * statistics.median(_timed(lambda: (os.write(handle, bytes(4096)), os.fsync(handle))) for _ in range(50))
    finally:
        os.close(handle)


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def reading(journal: Journal) -> dict[str, float]:
    """Median milliseconds of a user's events: first asked for, asked for again, and after an event of the user."""
    state = user_state_at(journal, "")
    users = [f"user-{n}" for n in range(READS)]
    first = [_timed(partial(state.recent, user)) for user in users]
    again = [_timed(partial(state.recent, user)) for user in users]
    journal.append([Event(uuid.uuid4().hex, user, "item", "view", 1) for user in users])
    new = [_timed(partial(state.recent, user)) for user in users]
    return {name: 1e3 * statistics.median(each) for name, each in (("first_ms", first), ("again_ms", again), ("after_event_ms", new))}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--where", default=tempfile.gettempdir(), help="folder, or URL of PostgreSQL")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args(given)
    with tempfile.TemporaryDirectory(dir=None if "://" in options.where else options.where) as folder:
        journal = journal_at(options.where if "://" in options.where else folder)
        found = {threads: intake(journal, threads, options.seconds) for threads in THREADS}
        result = {"benchmark": "journal", "intake": found, "reading": reading(journal), "sync_ms": sync_ms(Path(folder))}
        result |= {"events": journal.last(), "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
        journal.close()
    shown = ["python", "-m", "benchmarks.journal", *(each.split("://")[0] + "://..." if "://" in each else each for each in given)]
    _report.append(options.results, _entry(shlex.join(shown), options, result))
    print(json.dumps(result), flush=True)
    return result


def _entry(command: str, options: argparse.Namespace, result: dict[str, Any]) -> str:
    kind = "PostgreSQL" if "://" in options.where else "SQLite"
    said = f"{kind}, batches of {BATCH}, {options.seconds:g} s each; a page written and synced takes {result['sync_ms']:.1f} ms (median)"
    head = "| threads | events a second | median ms a batch | 99th of 100 |\n| --- | --- | --- | --- |"
    rows = [f"| {n} | {row['events_per_second']:,.0f} | {row['median_ms']:.1f} | {row['p99_ms']:.1f} |" for n, row in result["intake"].items()]
    read = result["reading"]
    last = f"A user's events, median: {read['first_ms']:.2f} ms at first, {read['again_ms']:.2f} ms again, {read['after_event_ms']:.2f} ms after an event. "
    last += f"{result['events']:,} events written; the process took {result['memory_mib']:.0f} MiB at most."
    return "\n".join(["\n## journal\n", *_report.facts(command, _report.versions({})), f"- {said}", "", head, *rows, "", last, ""])


if __name__ == "__main__":
    main()

"""A service in a process of its own, and what it uses of the machine."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._load import post

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 900.0  # seconds until a service must have answered


@contextmanager
def service(command: list[str], log: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """(Port, process) of a service that is told to listen on a free port, ended at the end. What it prints goes to `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--port", str(port)], env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=out, stderr=out)
        try:
            yield port, process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()


async def first(port: int, process: "subprocess.Popen[bytes]", body: bytes, head: dict[str, str], log: Path) -> float:
    """When the first answer came. Raises SystemExit, with what the service printed, where none comes."""
    until, said = time.perf_counter() + PATIENCE, "nothing"
    while time.perf_counter() < until and process.poll() is None:
        try:
            status, answer = await post(port, "/v1/recommend", body, head)
            if status == 200:
                return time.perf_counter()
            said = f"{status} {answer[:300]!r}"
        except (OSError, ValueError, EOFError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.02)
    raise SystemExit(f"The service did not answer; last it said {said}. Its log ends with:\n{log.read_text(errors='replace')[-2000:]}")


def serving(bundle: Path, state: Path, workers: int, threads: int, reads: list[str]) -> list[str]:
    """The command of `banyan serve`, without pages."""
    told = ["--state", str(state), "--workers", str(workers), "--threads", str(threads), "--no-pages"]
    return [sys.executable, "-c", "from banyan.cli import run; run()", "serve", str(bundle), *told, *(word for each in reads for word in ("--reads", each))]


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children") if Path(f"/proc/{each}").exists() else ():
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu(pid: int) -> float:
    """CPU seconds of a process and all below it."""
    total = 0.0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def rss(pid: int) -> float:
    """Bytes of memory of a process and all below it."""
    return float(sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid)) * os.sysconf("SC_PAGE_SIZE"))

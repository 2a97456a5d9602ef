"""Requests at the times at which they are due, over connections that stay open; latencies count from those times."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

WAIT = 30.0  # seconds until an answer counts as failed


@dataclass(frozen=True)
class Shot:
    """One request: seconds after the beginning at which it is due."""

    due: float
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Found:
    """Latencies of those that were answered with 200, and how many were not."""

    seconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)  # status or error -> how many

    @property
    def failed(self) -> int:
        """How many were not answered."""
        return self.failures.total()

    def __str__(self) -> str:
        wrong = ", ".join(f"{count} x {what}" for what, count in self.failures.most_common(3))
        return f"p50 {self.quantile(0.5):.1f} ms, p99 {self.quantile(0.99):.1f} ms, {self.failed} failed{f' ({wrong})' if wrong else ''}"

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return float(1e3 * np.quantile(self.seconds, share)) if self.seconds else float("inf")


class Line:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """(Status, body)."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        try:
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            return status, await reader.readexactly(length)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def post(port: int, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> tuple[int, bytes]:
    """One request over a connection of its own."""
    line = Line(port)
    try:
        return await line.ask(method, path, body, headers)
    finally:
        line.close()


async def _sent(line: Line, shot: Shot, since: float, found: Found) -> None:
    """Send a shot; its latency counts from `since`. A line that failed is closed and opens again when it is next asked."""
    try:
        status, _ = await asyncio.wait_for(line.ask("POST", shot.path, shot.body, shot.headers), WAIT)
    except (OSError, EOFError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
        found.failures[type(error).__name__] += 1
        return
    if status == 200:
        found.seconds.append(time.perf_counter() - since)
    else:
        found.failures[str(status)] += 1


async def drained(port: int, shots: Iterator[Shot], lines: int) -> Found:
    """Send every shot as soon as one of so many connections is free; when it is due does not count."""
    found = Found()

    async def one() -> None:
        line = Line(port)
        for shot in shots:
            await _sent(line, shot, time.perf_counter(), found)
        line.close()

    await asyncio.gather(*(one() for _ in range(lines)))
    return found


async def load(port: int, shots: Iterator[Shot]) -> Found:
    """Send every shot when it is due, on a free connection or a new one."""
    free: list[Line] = []
    found, running = Found(), set[asyncio.Task[None]]()
    began = time.perf_counter()

    async def one(shot: Shot) -> None:
        line = free.pop() if free else Line(port)
        await _sent(line, shot, began + shot.due, found)
        free.append(line)

    for shot in shots:
        if (pause := began + shot.due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        task = asyncio.create_task(one(shot))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    for line in free:
        line.close()
    return found

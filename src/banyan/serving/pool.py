"""Threads in which the service works, with a limit to how much may wait: what comes on top is refused at once. Knows no routes."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from banyan.serving.refusals import Refusal

T = TypeVar("T")


class Pool:
    """So many threads, so much waiting, so many seconds."""

    def __init__(self, name: str, threads: int, waiting: int, seconds: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._name, self._most, self._seconds = name, threads + waiting, seconds
        self._held = 0
        self.taken = 0  # since the start
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives. Raises Refusal (503) when too much waits already, or it takes too long; what has begun goes on to its end."""
        with self._lock:
            if self._held >= self._most:
                raise Refusal(503, "The service is busy; try again in a moment.", details={"reason": "busy"}, headers={"Retry-After": "1"})
            self._held += 1
            self.taken += 1
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._done())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise
            raise Refusal(503, f"The answer took longer than {self._seconds:g} s.", details={"reason": "timeout"}, headers={"Retry-After": "1"}) from error

    def _done(self) -> None:
        with self._lock:
            self._held -= 1

    @property
    def held(self) -> int:
        """How much runs and waits."""
        return self._held

    def close(self) -> None:
        """Finish what was taken."""
        self._threads.shutdown(wait=True)

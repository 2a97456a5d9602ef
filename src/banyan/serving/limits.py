"""How much a key may ask: requests a second over a burst, counted for all workers together. Knows no routes.

The generic cell rate algorithm (ATM Forum, 1996): of a key only one moment is kept, the one at which it would be back to having asked nothing.
A request is let through when that moment lies less than `burst / per_second` ahead, and moves it by `1 / per_second`.
"""

import hashlib
import mmap
import os
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from banyan.serving.messages import LimitBody

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows: one worker
    fcntl = None  # type: ignore[assignment]  # a module that is not there; `None` is asked for below

DEFAULT: dict[str, LimitBody] = {
    "events": LimitBody(per_second=500, burst=1000),
    "answers": LimitBody(per_second=500, burst=1000),
    "admin": LimitBody(per_second=50, burst=200),
}
SLOTS = 65_536  # moments in the shared file; two keys meet in one with probability 1 in that many
CELL = struct.Struct("<d")


class Meter(ABC):
    """Counts what keys ask."""

    @abstractmethod
    def wait(self, key: str, limit: LimitBody) -> float:
        """Seconds to wait before the request of `key` may be made; 0 when it may be made now, and then it is counted."""


class Shared(Meter):
    """Counts for the workers of one machine, in a small file that all of them map."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._handle).st_size < SLOTS * CELL.size:
            os.ftruncate(self._handle, SLOTS * CELL.size)
        self._map = mmap.mmap(self._handle, SLOTS * CELL.size)
        self._lock = threading.Lock()
        self._clock = clock

    def wait(self, key: str, limit: LimitBody) -> float:
        """As the contract says."""
        at = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "little") % SLOTS * CELL.size
        with self._lock:
            _lock(self._handle, at)
            try:
                seconds, moment = gcra(CELL.unpack_from(self._map, at)[0], self._clock(), limit)
                if not seconds:
                    CELL.pack_into(self._map, at, moment)
                return seconds
            finally:
                _unlock(self._handle, at)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        os.close(self._handle)


@runtime_checkable
class Cache(Protocol):
    """What is asked of a Valkey or Redis client."""

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script on the server."""


SCRIPT = """
local t = redis.call('TIME'); local now = t[1] + t[2] / 1000000
local step, most = 1 / ARGV[1], ARGV[2] / ARGV[1]
local moment = tonumber(redis.call('GET', KEYS[1]) or '0')
if moment < now or moment > now + 2 * most then moment = now end
local over = moment + step - most - now
if over > 0.000001 then return tostring(over) end
redis.call('SET', KEYS[1], string.format('%.6f', moment + step), 'PX', math.ceil((moment + step - now) * 1000) + 1000)
return '0'
"""


class Remote(Meter):
    """Counts for several machines, in Valkey; while that is gone, for this machine alone."""

    def __init__(self, cache: Cache, otherwise: Meter) -> None:
        self._cache = cache
        self._otherwise = otherwise

    def wait(self, key: str, limit: LimitBody) -> float:
        """As the contract says."""
        try:
            found = self._cache.eval(SCRIPT, 1, f"banyan:limit:{key}", limit.per_second, limit.burst)
        except Exception:  # whatever the client raises while its server is gone: requests are not to fail for it
            return self._otherwise.wait(key, limit)
        return float(found)


def gcra(moment: float, now: float, limit: LimitBody) -> tuple[float, float]:
    """(Seconds to wait, the key's moment after a request that is let through)."""
    step, most = 1 / limit.per_second, limit.burst / limit.per_second
    if moment < now or moment > now + 2 * most:  # long past; or the clock was set back, or the limit was lowered: begin anew
        moment = now
    over = moment + step - most - now
    return (over, moment) if over > 1e-6 else (0.0, moment + step)


def of(limits: Mapping[str, LimitBody], key: str, role: str) -> LimitBody:
    """The limit of a key in a role: its own, else its role's."""
    return limits.get(key) or limits.get(role) or DEFAULT[role]


def _lock(handle: int, at: int) -> None:
    if fcntl is not None:
        fcntl.lockf(handle, fcntl.LOCK_EX, CELL.size, at)


def _unlock(handle: int, at: int) -> None:
    if fcntl is not None:
        fcntl.lockf(handle, fcntl.LOCK_UN, CELL.size, at)

"""What users did last, shared by all servers through Valkey or Redis. The journal stays the truth: without the server answers are slower, not older."""

import threading
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import valkey
from typing_extensions import override

from banyan.errors import ConfigError, StateError
from banyan.serving.state.events import Event
from banyan.serving.state.journal import MOST, Journal
from banyan.serving.state.users import RETRY, Entry, Known, LocalState, UserState

TTL = 600  # seconds that a user is held after the last write, and so the longest that a lost message can be felt
PATIENCE = 0.25  # seconds that an answer waits for the server
MISSED = 10_000  # users remembered whose change the server did not hear of
PREFIX, EPOCH = "banyan:state:", "banyan:epoch"
# Writes an entry only where nobody pushed since it was begun. KEYS: the user. ARGV: mark and epoch that the entry was read under, entry, seconds.
_STORE = """
if (redis.call('HGET', KEYS[1], 'mark') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'of', ARGV[1], 'epoch', ARGV[2], 'entry', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
_BAD = (valkey.ValkeyError, OSError)


class SharedState(UserState):
    """Each user is a hash: `mark` counts pushes, `entry` are the events as of mark `of` and of `epoch`, which all servers count together.

    An entry whose marks are not the newest is completed from the journal, by what is new alone. A server that could not tell of a push
    tells of it when it is back: the users by their marks, too many of them, or those of a server that restarts, by the epoch.
    """

    def __init__(self, journal: Journal, url: str, most: int = MOST, ttl: int = TTL) -> None:
        """`url`: valkey://, valkeys://, redis://, rediss:// or unix://. Raises ConfigError for another."""
        super().__init__(journal, most)
        self.ttl, self._local = ttl, LocalState(journal, most, looks=self.looks)
        try:
            self._client: Any = valkey.Valkey.from_url(
                url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, health_check_interval=0, retry_on_timeout=False
            )
        except ValueError as error:
            raise ConfigError("The place for shared state is no URL; write valkey://:password@host:6379/0 (or redis://, rediss://, unix://).") from error
        self._store = self._client.register_script(_STORE)
        self._lock = threading.Lock()
        self._missed: set[str] = set()
        self._lost = True  # whatever was pushed before this process began may have been lost
        self._failed, self._said = -RETRY, ""

    @override
    def _one(self, user: str, session: str, after: int) -> Known:
        key = PREFIX + self.journal.digest(user, session)
        try:
            epoch, mark, entry, whole = self._fetch(key)
        except _BAD as error:
            self._fail(error)
            return self._local._one(user, session, after)
        self.looks.saw(entry, whole)
        if entry is not None and whole:
            return Known(entry.after(after))
        try:
            full = self.loaded(user, session, entry, self.journal.last())
        except StateError:
            return Known(entry.after(after) if entry else (), stale=True)
        try:
            self._store(keys=[key], args=[mark, epoch, msgspec.msgpack.encode(full), self.ttl])
        except _BAD as error:
            self._fail(error)
        return Known(full.after(after))

    @override
    def push(self, events: Sequence[Event]) -> None:
        self._local.push(events)
        try:
            self._tell({PREFIX + self.journal.digest(e.user, "" if e.user else e.session) for e in events})
        except _BAD as error:
            self._fail(error)

    @override
    def bury(self, digests: Sequence[str]) -> None:
        self._local.bury(digests)
        try:
            self._tell({PREFIX + digest for digest in digests})
            with self._client.pipeline(transaction=False) as pipe:
                for digest in digests:
                    pipe.hdel(PREFIX + digest, "entry")
                pipe.execute()
        except _BAD as error:
            self._fail(error)
            raise StateError(
                f"The shared state did not hear that a user is forgotten ({type(error).__name__}); it holds them for {self.ttl} s more."
            ) from error

    @override
    def trouble(self) -> str:
        if self._said and time.monotonic() - self._failed >= RETRY:
            try:
                self._client.ping()
                self._tell(set())
            except _BAD as error:
                self._fail(error)
        return self._said or self._local.trouble()

    def _fetch(self, key: str) -> tuple[bytes, bytes, Entry | None, bool]:
        """(epoch, mark, entry, whether it is whole). Raises what the client does."""
        self._tell(set())
        with self._client.pipeline(transaction=False) as pipe:
            pipe.get(EPOCH)
            pipe.hmget(key, "mark", "of", "epoch", "entry")
            now, (mark, of, epoch, packed) = pipe.execute()
        now, mark = now or b"", mark or b""
        return now, mark, _unpacked(packed), mark == of and now == epoch

    def _tell(self, keys: set[str]) -> None:
        """Say that something is new of these users, and what could not be said before; what fails is kept for later. Raises what the client does."""
        with self._lock:
            keys, lost = keys | self._missed, self._lost
            self._missed, self._lost = set(), False
        try:
            if time.monotonic() - self._failed < RETRY:
                raise valkey.ConnectionError(self._said)
            if keys or lost:
                self._said_to_all(keys, lost)
            self._said = ""
        except _BAD:
            with self._lock:
                keys |= self._missed
                self._lost = self._lost or lost or len(keys) > MISSED
                self._missed = set() if len(keys) > MISSED else keys
            raise

    def _said_to_all(self, keys: set[str], lost: bool) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            if lost:
                pipe.incr(EPOCH)
            for key in keys:
                pipe.hincrby(key, "mark", 1)
                pipe.expire(key, self.ttl)
            pipe.execute()

    def _fail(self, error: Exception) -> None:
        if time.monotonic() - self._failed >= RETRY:
            self._failed = time.monotonic()
            self._said = f"The shared state is away ({type(error).__name__}); answers read the journal."


def _unpacked(packed: bytes | None) -> Entry | None:
    try:
        return None if packed is None else msgspec.msgpack.decode(packed, type=Entry)
    except msgspec.DecodeError:  # of another version: read anew
        return None

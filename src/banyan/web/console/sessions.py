"""Who is signed in: the key stays in this process's memory, and the browser holds a random word for it in a cookie that no script reads."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from banyan.client import AsyncClient

COOKIE = "banyan_console"
IDLE = 8 * 3600.0  # seconds without a page, after which one signs in again
MOST = 1_000  # people at a time; the one who did nothing for longest goes first


@dataclass
class Session:
    """One operator. `client` holds the key; nothing prints it."""

    client: AsyncClient = field(repr=False)
    seen: float
    open: bool = True


class Sessions:
    """Those who are signed in, by the hash of the word in their cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Session] = OrderedDict()

    def begin(self, client: AsyncClient) -> str:
        """Sign in; the word for the cookie."""
        word = secrets.token_urlsafe(32)
        self._known[_hash(word)] = Session(client, self._clock())
        while len(self._known) > MOST:
            self._known.popitem(last=False)[1].open = False
        return word

    def of(self, word: str) -> Session | None:
        """Whose word it is; None for nobody's, or for one who was away too long."""
        key = _hash(word)
        found = self._known.get(key)
        if found is None:
            return None
        if self._clock() - found.seen > IDLE:
            self.end(word)
            return None
        found.seen = self._clock()
        self._known.move_to_end(key)
        return found

    def end(self, word: str) -> None:
        """Sign out, on every page that is open."""
        if (found := self._known.pop(_hash(word), None)) is not None:
            found.open = False


def _hash(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()

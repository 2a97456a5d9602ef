"""Things that are dear to make, the newest used kept up to a number. Safe for several threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Least recently used goes first. What was made under another `stamp` is made anew."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.hits, self.misses = 0, 0
        self._held: OrderedDict[Hashable, tuple[Hashable, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, stamp: Hashable, make: Callable[[], T]) -> T:
        """What is held for a key under this stamp; made, outside of the lock, where it is not."""
        with self._lock:
            held = self._held.get(key)
            if held is not None and held[0] == stamp:
                self._held.move_to_end(key)
                self.hits += 1
                return held[1]
            self.misses += 1
        made = make()
        with self._lock:
            self._held[key] = (stamp, made)
            self._held.move_to_end(key)
            while len(self._held) > self.most:
                self._held.popitem(last=False)
        return made

    def drop(self, key: Hashable) -> None:
        """Forget a key."""
        with self._lock:
            self._held.pop(key, None)

    def __len__(self) -> int:
        return len(self._held)

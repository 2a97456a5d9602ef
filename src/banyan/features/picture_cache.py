"""Arrays of pictures in an SQLite file, found by content; knows neither networks nor features.

A batch is one transaction, so a stop loses at most the batch under way. A file that has not changed since is not read again to be recognised.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from banyan.errors import DataError
from banyan.types import Array

Stamp = tuple[int, int]  # bytes, nanoseconds of the last change
LOOKUP = 500  # keys a query: below SQLite's limit on bound parameters in every build
_TABLES = (
    "CREATE TABLE IF NOT EXISTS arrays (key BLOB PRIMARY KEY, array BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, content BLOB NOT NULL)",
)


def digest(raw: bytes) -> bytes:
    """16 bytes of a picture's content."""
    return hashlib.blake2b(raw, digest_size=16).digest()


class PictureCache:
    """float16 arrays by key, and the content of files by path, size and time of change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store = sqlite3.connect(path, timeout=60)
            try:
                self._store.execute("PRAGMA journal_mode=WAL")
                for table in _TABLES:
                    self._store.execute(table)
            except sqlite3.Error:
                self._store.close()
                raise
        except sqlite3.Error as error:
            raise DataError(f"{path}: the cache of pictures must be an SQLite file that can be written, and is not ({error}); name another.") from error

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    def read(self, keys: Sequence[bytes], width: int) -> dict[bytes, Array]:
        """Those of the keys that are held. Raises DataError where an array has not `width` entries."""
        found: dict[bytes, Array] = {}
        for start in range(0, len(keys), LOOKUP):
            piece = keys[start : start + LOOKUP]
            for key, array in self._store.execute(f"SELECT key, array FROM arrays WHERE key IN ({','.join('?' * len(piece))})", piece):
                found[key] = np.frombuffer(array, "<f2")
        if any(len(each) != width for each in found.values()):
            raise DataError(f"{self.path}: an array has not the {width} entries that its network gives, so the cache is damaged; delete it, it is made anew.")
        return found

    def write(self, rows: Mapping[bytes, Array]) -> None:
        """Keep arrays; one that another process wrote meanwhile stays."""
        with self._store:
            self._store.executemany("INSERT OR IGNORE INTO arrays VALUES (?, ?)", [(key, row.astype("<f2").tobytes()) for key, row in rows.items()])

    def contents(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of those files that are as they were when they were last read."""
        known: dict[str, tuple[int, int, bytes]] = {}
        for start in range(0, len(paths), LOOKUP):
            piece = paths[start : start + LOOKUP]
            query = f"SELECT path, size, changed, content FROM files WHERE path IN ({','.join('?' * len(piece))})"
            known |= {path: (size, changed, content) for path, size, changed, content in self._store.execute(query, piece)}
        return {path: content for path, (size, changed, content) in known.items() if (size, changed) == stamp(path)}

    def remember(self, files: Iterable[tuple[str, Stamp, bytes]]) -> None:
        """Keep the content of files as (path, stamp, content)."""
        with self._store:
            rows = [(path, *when, content) for path, when, content in files]
            self._store.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)


def stamp(path: str) -> Stamp:
    """(bytes, nanoseconds of the last change) of a file; (-1, -1) where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns

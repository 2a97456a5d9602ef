"""Files that are whole or not there, however a process or a machine ends: written aside, synced, renamed. Knows no format."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASIDE = ".{}.writing"  # the name under which a file or a folder is written until it is whole


def aside_of(path: Path) -> Path:
    """Where something is written before it takes the place of `path`: beside it, on the same disk."""
    return path.with_name(ASIDE.format(path.name))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The name under which to write a file that takes the place of `path` once the body has ended.

    Where the body raises, what it wrote is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        yield aside
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have the disk hold a file, or a folder's entries, before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

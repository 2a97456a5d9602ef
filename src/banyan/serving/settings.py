"""What a service's processes agree on: a few small JSON values with versions, and who changed them when. Knows no meaning of any.

`FileSettings` keeps them in a folder that the processes of one machine share; the journal keeps them for several machines.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from banyan.disk import sync, whole
from banyan.errors import ConflictError, StateError

CURRENT, CHANGES, LOCK = "settings.json", "changes.jsonl", ".lock"
BYTES = 1 << 20  # most of one value as JSON


@runtime_checkable
class Changed(Protocol):
    """One change of a setting."""

    @property
    def version(self) -> int:
        """The setting's version since; one number for all settings."""

    @property
    def name(self) -> str:
        """Which setting."""

    @property
    def who(self) -> str:
        """The name of the key that asked for it."""

    @property
    def at(self) -> int:
        """Microseconds since 1970."""

    @property
    def before(self) -> Any:
        """The value before; None where it was never set."""

    @property
    def after(self) -> Any:
        """The value since."""


@runtime_checkable
class Settings(Protocol):
    """Shared settings: the journal is one, `FileSettings` another."""

    def setting(self, name: str) -> tuple[int, Any]:
        """(version, value); (0, None) where it was never set."""

    def set(self, name: str, value: Any, who: str, expected: int | None = None) -> int:
        """Set it; the new version, one number for all settings. Raises ConflictError where the setting's version is not `expected`."""

    def changes(self, name: str) -> Sequence[Changed]:
        """Its changes, the newest last."""

    def newest(self) -> int:
        """The version of the newest change of any setting; 0 before the first."""


@dataclass(frozen=True)
class Change:
    """One change of a setting."""

    version: int
    name: str
    who: str
    at: int  # microseconds since 1970 UTC
    before: Any
    after: Any


class FileSettings:
    """Settings in a folder: the values in one small file that is replaced whole, the changes in one that only grows.

    A change is written down first and holds from the moment that the small file is replaced; a kill between the two leaves the old value. Processes take
    turns by a lock on a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def setting(self, name: str) -> tuple[int, Any]:
        """(version, value); (0, None) where it was never set."""
        found = self._current()["settings"].get(name)
        return (int(found["version"]), found["value"]) if found else (0, None)

    def newest(self) -> int:
        """The version of the newest change of any setting; 0 before the first."""
        return int(self._current()["newest"])

    def set(self, name: str, value: Any, who: str, expected: int | None = None) -> int:
        """Set it; the new version. Raises ConflictError where the setting's version is not `expected` (0: never set), StateError where it cannot be written."""
        if len(json.dumps(value)) > BYTES:
            raise StateError(f"The setting {name!r} has more than {BYTES:,} bytes; keep it smaller.")
        with self._turn():
            current = self._current()
            before = current["settings"].get(name, {"version": 0, "value": None})
            if expected is not None and expected != before["version"]:
                raise ConflictError(f"The setting {name!r} has version {before['version']} and not {expected}: somebody changed it. Read it again.")
            version = int(current["newest"]) + 1
            self._write_down(Change(version, name, who, time.time_ns() // 1000, before["value"], value))
            settings = {**current["settings"], name: {"version": version, "value": value}}
            with whole(self.folder / CURRENT) as aside:
                aside.write_text(json.dumps({"newest": version, "settings": settings}, ensure_ascii=False), encoding="utf-8")
            return version

    def changes(self, name: str) -> list[Change]:
        """Its changes, the newest last."""
        path, newest = self.folder / CHANGES, self.newest()
        if not path.exists():
            return []
        found: dict[int, Change] = {}
        for line in path.read_bytes().splitlines():
            if (change := _read(line)) is not None:
                found[change.version] = change  # a version that was written down and never held is written down again
        return [each for version, each in sorted(found.items()) if version <= newest and each.name == name]

    def _current(self) -> dict[str, Any]:
        path = self.folder / CURRENT
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"newest": 0, "settings": {}}
        except (OSError, ValueError) as error:
            raise StateError(f"{path} cannot be read ({error}); restore it from a copy.") from error
        if not isinstance(found, dict) or not isinstance(found.get("settings"), dict) or not isinstance(found.get("newest"), int):
            raise StateError(f"{path} holds no settings; restore it from a copy.")
        return found

    def _write_down(self, change: Change) -> None:
        path = self.folder / CHANGES
        there = path.exists()
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
                file.write(b"\n" if torn else b"")
            file.write(json.dumps(asdict(change), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if not there:
            sync(self.folder)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with locked(self.folder / LOCK):
            try:
                yield
            except OSError as error:
                raise StateError(f"{self.folder}: the setting cannot be written ({error.strerror or error}); nothing was changed.") from error


def _read(line: bytes) -> Change | None:
    try:
        return Change(**json.loads(line))
    except (ValueError, TypeError):
        return None  # torn by a kill


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time. The lock goes with the process that holds it, however that ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

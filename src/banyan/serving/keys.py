"""API keys: 256 random bits each, shown once, kept as SHA-256, compared in constant time, each with roles. Knows no routes.

A key is its id and its secret: `banyan_<id>_<secret>`. A plain hash suffices because the secret is random and as long as the hash: there is nothing to guess.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from banyan.disk import whole
from banyan.errors import ConfigError

ROLES = ("events", "answers", "admin")
VARIABLE = "BANYAN_KEYS"  # keys as in the file, in the environment
FORM = re.compile(r"banyan_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
NOBODY = hashlib.sha256(b"").hexdigest()  # compared with where the id is unknown, so that both take as long
LOOK = 0.5  # seconds between looks at the file
MOST = 10_000  # keys


@dataclass(frozen=True)
class Key:
    """What is kept of a key."""

    id: str
    name: str
    roles: tuple[str, ...]
    sha256: str
    added: str  # ISO 8601


class Keys:
    """The keys of a file and of the environment; a change of the file counts within half a second."""

    def __init__(self, path: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self.path = path
        self._fixed = {key.id: key for key in _read(environ[VARIABLE], VARIABLE)} if environ.get(VARIABLE) else {}
        self._lock = threading.Lock()
        self._known: dict[str, Key] = dict(self._fixed)
        self._state: tuple[int, int] | None = None
        self._looked = -LOOK
        self._load()

    def who(self, presented: str) -> Key | None:
        """The key that was presented, or None. Takes as long for an unknown id as for a wrong secret."""
        if time.monotonic() - self._looked > LOOK:
            self._load()
        found = FORM.fullmatch(presented)
        known = self._known.get(found[1]) if found else None
        digest = hashlib.sha256((found[2] if found else "").encode()).hexdigest()
        same = hmac.compare_digest(digest, known.sha256 if known else NOBODY)
        return known if same and found else None

    def add(self, name: str, roles: Sequence[str]) -> tuple[Key, str]:
        """A new key, and what its owner presents: it is shown here and never again. Raises ConfigError."""
        if not re.fullmatch(r"\w[\w. -]{0,63}", name):
            raise ConfigError(f"{name!r} is no name of a key; use up to 64 letters, digits, '_', '.', '-' or spaces.")
        if unknown := [role for role in roles if role not in ROLES] or ([] if roles else ["none"]):
            raise ConfigError(f"A key has no role {unknown[0]!r}. Roles: {', '.join(ROLES)}.")
        identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = Key(identity, name, tuple(dict.fromkeys(roles)), hashlib.sha256(secret.encode()).hexdigest(), datetime.now(UTC).isoformat(timespec="seconds"))
        self._write([*self._of_file(), key])
        return key, f"banyan_{identity}_{secret}"

    def revoke(self, identity: str) -> Key:
        """The key that is gone. Raises ConfigError where the file has no such id."""
        kept = self._of_file()
        gone = next((key for key in kept if key.id == identity), None)
        if gone is None:
            where = f"in {VARIABLE}; take it out there" if identity in self._fixed else "unknown; `banyan keys list` shows the ids"
            raise ConfigError(f"The key {identity!r} is {where}.")
        self._write([key for key in kept if key is not gone])
        return gone

    def all(self) -> list[Key]:
        """Every key, in the order of being added."""
        self._load()
        return sorted(self._known.values(), key=lambda key: key.added)

    def _of_file(self) -> list[Key]:
        return _read(self.path.read_text(encoding="utf-8"), str(self.path)) if self.path is not None and self.path.exists() else []

    def _write(self, keys: Sequence[Key]) -> None:
        if self.path is None:
            raise ConfigError("There is no file of keys to write; give the state folder with --state.")
        if len(keys) > MOST:
            raise ConfigError(f"There are {len(keys):,} keys; at most {MOST:,} are kept. Revoke those that nobody uses.")
        with whole(self.path) as aside:
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # nobody else reads it, not even while it is written
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"keys": [asdict(key) for key in keys]}, file, indent=1)
        self._load()

    def _load(self) -> None:
        with self._lock:
            self._looked = time.monotonic()
            if self.path is None:
                return
            try:
                stat = self.path.stat()
                state = (stat.st_mtime_ns, stat.st_ino)
            except FileNotFoundError:
                self._known, self._state = dict(self._fixed), None
                return
            if state != self._state:
                self._known = {key.id: key for key in self._of_file()} | self._fixed
                self._state = state


def _read(text: str, where: str) -> list[Key]:
    try:
        found: Any = json.loads(text)
        listed = found["keys"] if isinstance(found, dict) else found
        keys = [Key(str(k["id"]), str(k["name"]), tuple(k["roles"]), str(k["sha256"]), str(k["added"])) for k in listed]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{where} holds no list of keys ({type(error).__name__}); `banyan keys add` writes one.") from error
    if wrong := [key for key in keys if not set(key.roles) <= set(ROLES) or not re.fullmatch(r"[0-9a-f]{64}", key.sha256)]:
        raise ConfigError(f"{where}: the key {wrong[0].id!r} has an unknown role or no SHA-256. Roles: {', '.join(ROLES)}.")
    return keys

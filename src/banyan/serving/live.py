"""The models that a worker answers with: each request takes one and keeps it to its end; a change is adopted between requests. Knows no HTTP."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from banyan.decisions.value import Value, Values
from banyan.errors import BanyanError, BundleError, ConfigError
from banyan.serving.registry import VALUE, Layout, Registry, Split, Version
from banyan.serving.settings import Settings
from banyan.serving.shadow import Shadow
from banyan.serving.trial import Answering, Opening

CONTROL, CANDIDATE = "control", "candidate"
EXPLORATION = "exploration"  # name of a setting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Serving:
    """What one request is answered with, from its first line to its last."""

    engine: Answering
    version: str
    value: Value | None  # of the request's scenario; None until somebody sets one: the engine's own order
    value_version: int  # of the setting; 0 before the first
    arm: str = ""  # control or candidate, where users are split
    experiment: str = ""
    exploration: Any = None  # the setting, as JSON


@dataclass
class _Held:
    """An opened version, and how many requests have it in hand."""

    version: Version
    engine: Answering
    requests: int = 0
    retired: bool = False


@dataclass(frozen=True)
class _Now:
    """What holds at a moment. It is never changed, only replaced."""

    layout: Layout
    held: dict[str, _Held]
    values: dict[str, Values | None] = field(default_factory=dict)  # of each version
    value_version: int = 0
    exploration: Any = None


def share_of(salt: str, user: str) -> float:
    """Where a user stands between 0 and 1, for one salt: the same at every moment and on every machine (BLAKE2b of salt and user)."""
    digest = hashlib.blake2b(f"{salt}\x1f{user}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def arm_of(split: Split, user: str) -> str:
    """The arm of a user: candidate for a share of them."""
    return CANDIDATE if share_of(split.salt, user) < split.share else CONTROL


class Live:
    """What a worker answers with.

    `adopt` looks for changes, opens what is new and then puts it in place at once; `serving` hands a request what holds at that moment. A version that is
    no longer used is closed when its last request has ended. While a change is adopted the old and the new version are both in memory.
    """

    def __init__(self, registry: Registry, opening: Opening, settings: Settings | None = None, shadow: Shadow | None = None) -> None:
        self.registry, self.opening = registry, opening
        self.settings = settings if settings is not None else registry.settings
        self.trouble = ""  # why the newest change was not adopted; "" where it was
        self._shadow = shadow
        self._now: _Now | None = None
        self._seen = -1  # the newest change of a setting that was looked at
        self._again, self._failed = 0.0, 0  # when to try again what failed, and how often it did
        self._adopting, self._counting = threading.Lock(), threading.Lock()

    @property
    def version(self) -> str:
        """The version that answers; "" before the first `adopt`."""
        return self._now.layout.active if self._now is not None else ""

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions in memory that requests may get."""
        return tuple(self._now.held) if self._now is not None else ()

    def adopt(self) -> bool:
        """Take over what was changed since the last call; whether anything was. Called each second; cheap where nothing is new.

        A change that cannot be adopted (a broken file, settings out of reach) leaves everything as it is and says why in `trouble`; it is tried again
        after 1, 2, 4, ... at most 60 seconds, and at the next change. Raises only where there is nothing to answer with yet: ConfigError without an
        active version, BundleError where it cannot be opened.
        """
        with self._adopting:
            try:
                return self._adopt()
            except Exception as error:  # what is served goes on being served, whatever is wrong with the change
                if self._now is None:
                    raise
                self._again, self._failed = time.monotonic() + min(60.0, 2.0**self._failed), self._failed + 1
                if str(error) != self.trouble:
                    log.error("a change was not adopted: %s", error)
                self.trouble = str(error) or type(error).__name__
                return False

    def _adopt(self) -> bool:
        newest = self.settings.newest()
        if self._now is not None and newest == self._seen:
            if self.trouble and time.monotonic() < self._again:
                return False
            if not self.trouble and all(map(self._current, self._now.held.values())):
                return False
        self._seen = newest
        found = self._gathered()
        old, self._now = self._now, found
        self.trouble, self._failed = "", 0
        self._retire(old, found)
        return True

    def _current(self, held: _Held) -> bool:
        return self.registry.version(held.version.name).edition == held.version.edition

    def _gathered(self) -> _Now:
        _, layout = self.registry.layout()
        if not layout.active:
            raise ConfigError("No version answers yet; promote one.")
        held = dict[str, _Held]()
        fresh = list[_Held]()
        try:
            for name in layout.used:
                held[name], new = self._opened(name)
                fresh += [held[name]] * new
            version, texts = self.settings.setting(VALUE)
            values = {name: _read(texts, each) for name, each in held.items()}
            return _Now(layout, held, values, version, self.settings.setting(EXPLORATION)[1])
        except Exception:  # raised again: only what was opened in vain is closed
            for each in fresh:
                each.engine.close()
            raise

    def _opened(self, name: str) -> tuple[_Held, bool]:
        version = self.registry.version(name)
        kept = self._now.held.get(name) if self._now is not None else None
        if kept is not None and kept.version.edition == version.edition:
            return kept, False
        try:
            return _Held(version, self.opening(version.path)), True
        except BanyanError:
            raise
        except Exception as error:  # a bundle may be broken in any way
            raise BundleError(f"{name} cannot be opened ({type(error).__name__}: {str(error)[:300]}).") from error

    def _retire(self, old: _Now | None, new: _Now) -> None:
        if old is None:
            return
        with self._counting:
            gone = [each for each in old.held.values() if each not in new.held.values()]
            for each in gone:
                each.retired = True
            idle = [each for each in gone if not each.requests]
        for each in idle:
            each.engine.close()

    @contextmanager
    def serving(self, user: str = "", session: str = "", scenario: str = "") -> Iterator[Serving]:
        """What a request of this user (or session) is answered with; the same until the block ends, whatever is promoted meanwhile.

        Raises ConfigError before the first `adopt`.
        """
        with self._counting:
            now = self._now
            if now is None:
                raise ConfigError("Nothing answers yet; call `adopt` first.")
            split, who = now.layout.split, user or session
            arm = arm_of(split, who) if split is not None and who else ""
            held = now.held[split.version if split is not None and arm == CANDIDATE else now.layout.active]
            held.requests += 1
        try:
            values = now.values[held.version.name]
            value = values.of(scenario) if values is not None else None
            name = split.name if split is not None and arm else ""
            yield Serving(held.engine, held.version.name, value, now.value_version, arm, name, now.exploration)
        finally:
            self._release(held)

    def _take(self, name: str) -> _Held | None:
        with self._counting:
            held = self._now.held.get(name) if self._now is not None else None
            if held is not None:
                held.requests += 1
            return held

    def _release(self, held: _Held) -> None:
        with self._counting:
            held.requests -= 1
            close = held.retired and not held.requests
        if close:
            held.engine.close()

    def shadow(self, ask: Any, ranked: Any, serving: Serving) -> bool:
        """Have the shadow, where there is one, answer the same request later, in a thread of its own; whether it will. Never waits."""
        now = self._now
        name = now.layout.shadow if now is not None else ""
        if self._shadow is None or now is None or not name or serving.version == name or (held := self._take(name)) is None:
            return False
        values = now.values.get(name)
        value = values.of(ask.scenario) if values is not None else None
        taken = self._shadow.offer(name, held.engine, ask, value, ranked, serving.version, lambda: self._release(held))
        if not taken:
            self._release(held)
        return taken

    def set_value(self, texts: dict[str, str], who: str, expected: int | None = None) -> int:
        """Set the value model, an expression for each scenario; the setting's new version. Workers adopt it within a second.

        Raises ConfigError where a model that answers now cannot be ordered by it, ConflictError where the setting's version is not `expected`.
        """
        now = self._now
        for each in now.held.values() if now is not None else ():
            _read(texts, each)
        return self.settings.set(VALUE, texts, who, expected)

    def close(self) -> None:
        """Let go of every version whose requests have ended; the others go with their last request."""
        with self._adopting:
            if self._shadow is not None:
                self._shadow.close()
            old, self._now = self._now, None
            self._retire(old, _Now(Layout(), {}))


def _read(texts: Any, held: _Held) -> Values | None:
    try:
        return Values.parse(texts, held.engine.names) if texts is not None else None
    except ConfigError as error:
        raise ConfigError(f"{held.version.name} cannot be ordered by the value model: {error}") from error

"""How far what comes in has moved since the training, measured beside the requests: at most one look at a time, and the newest is kept for all workers."""

import json
import logging
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from banyan.disk import whole
from banyan.serving.drift import since_training
from banyan.serving.logs import LOGGER
from banyan.serving.state import Journal
from banyan.training.journal import as_json

EVENTS = 50_000  # newest events of a look: a shift of .2 shows in a tenth of them, and a look costs seconds of one core
FRESH = 300.0  # seconds that a look is believed
AGAIN = 60.0  # seconds after one that failed
log = logging.getLogger(LOGGER)


@dataclass(frozen=True)
class Look:
    """One measurement."""

    version: str  # that answered
    at: float  # seconds since 1970 UTC
    drift: dict[str, Any]  # `Drift` as JSON values


class Moving:
    """The newest look, shared by the workers of one machine through a file. Asking never waits: it gives what is known, and has old knowledge renewed."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path, self.journal = path, journal
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._failed = -AGAIN

    def newest(self, version: str, bundle: Any) -> tuple[Look | None, bool]:
        """(The newest look at this version's drift, None before the first; whether another is being taken)."""
        known = self._read()
        found = known if known is not None and known.version == version else None
        if found is None or not 0 <= time.time() - found.at < FRESH:
            self._begin(version, bundle)
        return found, self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for a look that is being taken."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _begin(self, version: str, bundle: Any) -> None:
        with self._starting:
            busy = self._thread is not None and self._thread.is_alive()
            if not busy and time.monotonic() - self._failed >= AGAIN:
                self._thread = threading.Thread(target=self._look, args=(version, bundle), name="drift", daemon=True)
                self._thread.start()

    def _look(self, version: str, bundle: Any) -> None:
        try:
            found = Look(version, time.time(), as_json(asdict(since_training(bundle, self.journal, EVENTS))))
            with whole(self.path) as aside:
                aside.write_text(json.dumps(asdict(found), ensure_ascii=False, allow_nan=False), encoding="utf-8")
        except Exception:  # whatever it is, no answer may fail for it; the next look tries again
            self._failed = time.monotonic()
            log.warning("cannot measure drift", exc_info=True)

    def _read(self) -> Look | None:
        try:
            return Look(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

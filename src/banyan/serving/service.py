"""The service without HTTP: what the routes call. It holds a worker's parts, and follows the settings that all workers share."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from banyan.bundle import Bundle
from banyan.errors import BanyanError
from banyan.features.stock import ITEM
from banyan.serving import splits
from banyan.serving.catalogue import Catalogue, table_of
from banyan.serving.experiments import Exposures
from banyan.serving.gathering import Gathering
from banyan.serving.keys import Keys
from banyan.serving.limits import DEFAULT, Meter
from banyan.serving.live import Live
from banyan.serving.logs import LOGGER
from banyan.serving.memory import give_back
from banyan.serving.messages import LimitBody
from banyan.serving.metrics import Metrics
from banyan.serving.moving import Moving
from banyan.serving.pool import Pool
from banyan.serving.registry import Registry
from banyan.serving.state import Asked, Event, Journal, Receipt, UserState
from banyan.serving.state.erase import erase
from banyan.serving.traffic import Traffic

T = TypeVar("T")
ASKING: ContextVar[tuple[str, str]] = ContextVar("asking", default=("", ""))  # the user and the session of the request that a thread answers
MODELS = "models"  # folder of the registry
CACHE = "banyan_cache_total"  # name of a metric
COUNT = 60.0  # seconds between looks at the outcomes of an experiment
LOOK = 0.25  # seconds between looks at the shared settings
WAITING = 20_000  # recorded requests and notes that wait to be written; what comes on top is dropped
log = logging.getLogger(LOGGER)


@dataclass(frozen=True)
class Options:
    """How much the service takes on."""

    threads: int = 2  # answer at the same time, in each worker
    waiting: int = 128  # requests that may wait for a thread
    seconds: float = 10.0  # for an answer
    event_bytes: int = 4_194_304  # of a body of events
    pages: str = ""  # where the web pages are, such as http://127.0.0.1:8001; empty without any
    runs: Path | None = None  # folder of training runs that are shown
    items: Path | None = None  # the shop's own table of items, with titles and pictures


@dataclass(frozen=True)
class Made:
    """What an answer was made with."""

    version: str
    value_version: int
    arm: str = ""
    experiment: str = ""


@dataclass
class Service:
    """A worker's parts. `open` starts what runs beside the requests, `close` finishes what was taken."""

    journal: Journal
    users: UserState
    live: Live
    registry: Registry
    keys: Keys
    meter: Meter
    metrics: Metrics
    folder: Path
    options: Options = field(default_factory=Options)
    limits: Mapping[str, LimitBody] = field(default_factory=lambda: dict(DEFAULT))
    limits_version: int = 0

    def __post_init__(self) -> None:
        self.answering = Pool("answer", self.options.threads, self.options.waiting, self.options.seconds)
        self.writing = Pool("write", 4, 256, self.options.seconds)
        self.slow = Pool("slow", 1, 8, 900.0)
        self.began = time.time()
        self.trouble = ""  # why the settings could not be followed; empty when they were
        self.traffic = Traffic(self.metrics)
        self._catalogues: dict[int, tuple[Any, Catalogue]] = {}
        self._cataloguing = threading.Lock()
        self._settings = -1
        self._clocked = True
        self._value_version = 0
        self.through = 0  # the newest event of the journal that the model was trained on
        self._asked: deque[Asked] = deque(maxlen=WAITING)
        self.draws, self.exposures = Gathering(self.journal, "draws"), Exposures(self.journal)
        self._flushed, self._counted = 0.0, time.monotonic()
        self._tidied = 0  # questions that were taken when memory was last given back
        self.moving = Moving(self.folder / "run" / "drift.json", self.journal)
        self._looks = dict.fromkeys(self.users.looks.counts(), 0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Adopt the settings as they are, then follow them."""
        self.follow()
        self._flush()
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what was taken, write what waits, let go."""
        for pool in (self.answering, self.writing, self.slow):
            pool.close()
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._write_waiting()
        self._flush()
        self.live.close()
        self.journal.close()

    # --- asked by the routes

    async def answer(self, work: Callable[[Any], T], user: str = "", session: str = "", scenario: str = "") -> tuple[T, Made]:
        """(What `work` makes of one serving, with what it was made): one model and one value model from beginning to end."""

        def run() -> tuple[T, Made]:
            with self.live.serving(user=user, session=session, scenario=scenario) as serving:
                mark = ASKING.set((user, session))
                try:
                    found = work(serving)
                finally:
                    ASKING.reset(mark)
                self.exposures.saw(serving, user, session)
                return found, Made(serving.version, serving.value_version, serving.arm, serving.experiment)

        return await self.answering.run(run)

    async def write(self, work: Callable[[], T]) -> T:
        """What `work` gives, in a thread that may wait for the disk."""
        return await self.writing.run(work)

    async def long(self, work: Callable[[], T]) -> T:
        """What `work` gives, one after the other, in a thread that may take minutes."""
        return await self.slow.run(work)

    async def look(self, work: Callable[[Bundle, Catalogue], T]) -> tuple[T, Made]:
        """(What `work` makes of the bundle that answers and of its items, with what it was made)."""
        return await self.answer(lambda serving: work(serving.engine.bundle, self.catalogue(serving.engine)))

    def catalogue(self, engine: Any) -> Catalogue:
        """The items of an engine's bundle, made when they are first asked for; those of the newest two engines are kept."""
        with self._cataloguing:
            kept = self._catalogues.get(id(engine))
            if kept is None or kept[0] is not engine:
                table = table_of(self.options.items, engine.bundle.store.entities[ITEM].id) if self.options.items else None
                kept = self._catalogues[id(engine)] = (engine, Catalogue(engine.bundle, table))
                for old in list(self._catalogues)[:-2]:
                    del self._catalogues[old]
            return kept[1]

    async def take(self, events: Sequence[Event]) -> Receipt:
        """Write events down; they are on disk when this returns, and the next answer knows them."""
        receipt = await self.write(lambda: self.users.take(events))
        for what, count in (("accepted", receipt.accepted), ("duplicate", receipt.duplicates), ("forgotten", receipt.forgotten)):
            if count:
                self.metrics.add("banyan_events_total", count, outcome=what)
        return receipt

    def record(self, asked: Asked) -> None:
        """Keep a request for checking models on; written soon, off the request's path."""
        self._asked.append(asked)

    def forget(self, user: str) -> dict[str, int]:
        """Delete a user from the journal, the state and every kept bundle; how much it was. Raises StateError for what could not be done."""
        kept = self.folder / MODELS
        gone = erase([user], self.journal, self.users, kept if kept.is_dir() else None, compact=False)
        return {"events": gone.events, "requests": gone.asked, "notes": gone.notes, "bundles": len(gone.bundles)}

    def versions(self) -> tuple[str, int]:
        """(The active version, the version of the value model), as this worker knows them."""
        return self.live.version, self._value_version

    @property
    def clocked(self) -> bool:
        """Whether the store's events have times, and not only an order."""
        return self._clocked

    def parts(self) -> dict[str, str]:
        """What has to be there for traffic to come -> ok, or what is wrong with it, without any address."""
        found = {"model": "ok" if self.live.version else "no version answers yet", "journal": "ok", "state": "ok"}
        try:
            self.journal.pulse()
        except BanyanError:
            found["journal"] = "cannot be reached"
        if self.users.trouble():
            found["state"] = "cannot be reached; answers know what the journal knows"
        return found

    # --- beside the requests

    def follow(self) -> None:
        """Adopt what changed in the shared settings since the last look."""
        newest = self.journal.newest()
        if newest != self._settings:
            version, value = self.journal.setting("limits")
            self.limits = dict(DEFAULT) | msgspec.convert(value or {}, dict[str, LimitBody])
            self.limits_version = version
            self._settings = newest
        if self.live.adopt():
            self._adopted()
        self.trouble = self.live.trouble

    def _adopted(self) -> None:
        with self.live.serving() as serving:
            engine: Any = serving.engine
            self._clocked = engine.bundle.plan.clock != "order"
            self.through = int(engine.bundle.facts.get("through", 0))
            self._value_version = serving.value_version
        self.metrics.set("banyan_model_info", 1, version=self.live.version)
        self.metrics.set("banyan_value_version", self._value_version)

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            try:
                self.follow()
            except Exception as error:  # the journal may be gone for a while: what is served goes on being served
                self.trouble = type(error).__name__
                log.warning("cannot follow the settings", exc_info=True)
            self._write_waiting()
            self.traffic.beat()
            if time.monotonic() - self._flushed > 1:
                self._flushed = time.monotonic()
                self._flush()
                self._tidy()
            if time.monotonic() - self._counted > COUNT:
                self._counted = time.monotonic()
                self._count()

    def _tidy(self) -> None:
        """Give back the memory of the questions since the last time."""
        if self.answering.taken != self._tidied:
            self._tidied = self.answering.taken
            give_back()

    def _count(self) -> None:
        """Count outcomes of the running experiment; whichever worker comes first does it."""
        try:
            splits.advance(self.journal, self.registry)
        except Exception:  # the next minute tries again
            log.warning("cannot count outcomes", exc_info=True)

    def _flush(self) -> None:
        for what, count in self.users.looks.counts().items():
            self.metrics.add(CACHE, count - self._looks[what], found=what)
            self._looks[what] = count
        with contextlib.suppress(BanyanError):  # said already
            self.metrics.set("banyan_event_lag_events", max(0, self.journal.last() - self.through))
        try:
            self.metrics.flush()
        except OSError:
            log.warning("cannot write metrics", exc_info=True)

    def _write_waiting(self) -> None:
        try:
            if asked := _taken(self._asked, 1000):
                self.journal.record(asked)
            self.draws.flush()
            self.exposures.flush()
        except Exception:  # what is recorded serves checks only; a request must not fail for it
            log.warning("cannot record requests", exc_info=True)


def _taken(waiting: "deque[T]", most: int) -> list[T]:
    found: list[T] = []
    while waiting and len(found) < most:
        found.append(waiting.popleft())
    return found

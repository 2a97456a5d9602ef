"""A second model that answers the same requests unseen, in a thread of its own, and what was different. Requests never wait for it."""

import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from banyan.decisions.value import Value
from banyan.serving.trial import Answering

WAITING = 64  # requests that wait for the shadow; more are left out, and counted
EVERY = 30.0  # seconds between two reports

log = logging.getLogger(__name__)


@dataclass
class Differences:
    """Sums over the requests that a shadow answered; they add up over workers and reports."""

    serving: str  # the version whose answers were shown
    shadow: str
    requests: int = 0
    failed: int = 0  # of them, the shadow could not answer
    left_out: int = 0  # requests beside them that came too fast
    common: float = 0.0  # sum of shares of the shown items that the shadow shows too, in [0, 1]
    first: int = 0  # requests whose first item is the same
    milliseconds: float = 0.0
    answers: dict[str, list[float]] = field(default_factory=dict)  # answer -> [items in both, sum of shadow - shown, sum of its square]

    def add(self, shown: Any, found: Any, milliseconds: float) -> None:
        """Count one request that both have answered."""
        ours, theirs = {each.item: each.answers for each in shown.items}, {each.item: each.answers for each in found.items}
        both = ours.keys() & theirs.keys()
        self.requests += 1
        self.milliseconds += milliseconds
        self.common += len(both) / len(ours) if ours else float(not theirs)
        self.first += next(iter(ours), None) == next(iter(theirs), None)
        for item in both:
            for name in ours[item].keys() & theirs[item].keys():
                gap = float(theirs[item][name]) - float(ours[item][name])
                sums = self.answers.setdefault(name, [0.0, 0.0, 0.0])
                sums[0], sums[1], sums[2] = sums[0] + 1.0, sums[1] + gap, sums[2] + gap * gap

    def summary(self) -> dict[str, Any]:
        """Means: share of common items, share of requests with the same first item, milliseconds, and the gap of each answer with its spread."""
        fine = max(self.requests - self.failed, 1)
        gaps = {name: {"items": int(n), "mean": total / n, "root_mean_square": float(np.sqrt(square / n))} for name, (n, total, square) in self.answers.items()}
        means = {"common": self.common / fine, "same_first": self.first / fine, "milliseconds": self.milliseconds / fine}
        return {
            "serving": self.serving,
            "shadow": self.shadow,
            "requests": self.requests,
            "failed": self.failed,
            "left_out": self.left_out,
            **means,
            "gaps": gaps,
        }


def merged(reports: Iterable[Mapping[str, Any]]) -> list[Differences]:
    """The sums of many reports (`asdict` of each), one entry for each pair of versions, in order of appearance."""
    found = dict[tuple[str, str], Differences]()
    for report in reports:
        total = found.setdefault((report["serving"], report["shadow"]), Differences(report["serving"], report["shadow"]))
        for name in ("requests", "failed", "left_out", "common", "first", "milliseconds"):
            setattr(total, name, getattr(total, name) + report[name])
        for name, sums in report["answers"].items():
            total.answers[name] = [a + b for a, b in zip(total.answers.get(name, [0.0, 0.0, 0.0]), sums, strict=True)]
    return list(found.values())


@dataclass
class _Job:
    version: str
    engine: Answering
    ask: Any
    value: Value | None
    shown: Any
    serving: str
    done: Callable[[], None]


class Shadow:
    """One thread that asks a second model. `report(id, sums)` gets the sums of the requests since the last report, at most every EVERY seconds."""

    def __init__(self, report: Callable[[str, dict[str, Any]], None], waiting: int = WAITING, every: float = EVERY) -> None:
        self._report, self._every = report, every
        self._jobs: queue.Queue[_Job | None] = queue.Queue(waiting)
        self._sums: dict[tuple[str, str], Differences] = {}
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._thread: threading.Thread | None = None

    def offer(self, version: str, engine: Answering, ask: Any, value: Value | None, shown: Any, serving: str, done: Callable[[], None]) -> bool:
        """Have the request answered later; False where too many wait already. `done` is called when the engine is no longer needed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()
        try:
            self._jobs.put_nowait(_Job(version, engine, ask, value, shown, serving, done))
            return True
        except queue.Full:
            with self._lock:
                self._of(serving, version).left_out += 1
            return False

    def _of(self, serving: str, version: str) -> Differences:
        return self._sums.setdefault((serving, version), Differences(serving, version))

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._every)
            except queue.Empty:
                self.flush()
                continue
            if job is None:
                return
            self._answer(job)
            if time.monotonic() - self._last >= self._every:
                self.flush()

    def _answer(self, job: _Job) -> None:
        begin = time.perf_counter()
        try:
            found = job.engine.recommend(job.ask, job.value)
        except Exception as error:  # the shadow may fail in any way; nobody sees it
            log.warning("the shadow %s could not answer: %s", job.version, type(error).__name__)
            found = None
        finally:
            job.done()
        with self._lock:
            sums = self._of(job.serving, job.version)
            if found is None:
                sums.requests, sums.failed = sums.requests + 1, sums.failed + 1
            else:
                sums.add(job.shown, found, (time.perf_counter() - begin) * 1e3)

    def flush(self) -> None:
        """Report what was counted since the last time."""
        with self._lock:
            found, self._sums, self._last = list(self._sums.values()), {}, time.monotonic()
        for each in found:
            try:
                self._report(uuid.uuid4().hex, asdict(each))
            except Exception as error:  # a report that cannot be written is lost; answers go on
                log.warning("the differences of the shadow %s were not written down: %s", each.shadow, error)

    def close(self) -> None:
        """Answer what waits, report, and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        self.flush()

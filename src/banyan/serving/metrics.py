"""Counts and times of the service for Prometheus, added up over workers through small files. Knows no routes and no personal data.

Each worker writes what it counted to a file of its own once a second; whichever worker is asked adds up the files. Counts of a worker that ended stay.
"""

import bisect
import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

EDGES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
HELP = {
    "banyan_request_seconds": "Time to answer a request, by route.",
    "banyan_requests_total": "Requests, by route and status.",
    "banyan_events_total": "Events, by what became of them.",
    "banyan_candidates_total": "Candidates that were ranked, by source.",
    "banyan_cache_total": "Looks into the cache of users' events, by what was found.",
    "banyan_model_info": "The version that a worker answers with.",
    "banyan_value_version": "The version of the value model that a worker answers with.",
    "banyan_event_lag_events": "Events that the model was not trained on.",
    "banyan_in_flight": "Requests that are being answered.",
    "banyan_resident_bytes": "Memory of a worker.",
}
Label = tuple[tuple[str, str], ...]
MOST = 5_000  # series of one name; what comes on top is not counted


class Metrics:
    """What one worker counted, and the sum over all."""

    def __init__(self, folder: Path | None = None, worker: str | None = None) -> None:
        self.worker = worker or str(os.getpid())
        self.folder = folder
        self.began = time.time()
        self._lock = threading.Lock()
        self._counts: dict[str, dict[Label, float]] = defaultdict(dict)
        self._gauges: dict[str, dict[Label, float]] = defaultdict(dict)
        self._times: dict[str, dict[Label, list[float]]] = defaultdict(dict)

    def add(self, name: str, amount: float | int = 1, **labels: str) -> None:
        """Count."""
        self._put(self._counts[name], labels, lambda before: before + amount)

    def set(self, name: str, value: float | int, **labels: str) -> None:
        """State a number that may fall; other labels of the name are forgotten."""
        with self._lock:
            self._gauges[name] = {tuple(sorted(labels.items())): float(value)}

    def time(self, name: str, seconds: float, **labels: str) -> None:
        """Put one duration into its bin: counts of the bins, their sum."""
        label = tuple(sorted(labels.items()))
        with self._lock:
            bins = self._times[name].get(label)
            if bins is None:
                if len(self._times[name]) >= MOST:
                    return
                bins = self._times[name][label] = [0.0] * (len(EDGES) + 2)
            bins[bisect.bisect_left(EDGES, seconds)] += 1
            bins[-1] += seconds

    def _put(self, known: dict[Label, float], labels: dict[str, str], change: Any) -> None:
        label = tuple(sorted(labels.items()))
        with self._lock:
            if label in known or len(known) < MOST:
                known[label] = change(known.get(label, 0.0))

    def snapshot(self) -> dict[str, Any]:
        """What this worker counted, as JSON values."""
        with self._lock:
            self._gauges["banyan_resident_bytes"] = {(): resident()}
            return {
                "worker": self.worker,
                "at": time.time(),
                "counts": {name: [[list(label), value] for label, value in each.items()] for name, each in self._counts.items()},
                "gauges": {name: [[list(label), value] for label, value in each.items()] for name, each in self._gauges.items()},
                "times": {name: [[list(label), list(value)] for label, value in each.items()] for name, each in self._times.items()},
            }

    def flush(self) -> None:
        """Write what was counted where the other workers find it."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = self.folder / f".{self.worker}"
        aside.write_text(json.dumps(self.snapshot()), encoding="utf-8")
        aside.replace(self.folder / f"{self.worker}.json")

    def all(self) -> list[dict[str, Any]]:
        """The snapshots of all workers, this one's newest."""
        found = [self.snapshot()]
        for path in sorted(self.folder.glob("*.json")) if self.folder is not None and self.folder.is_dir() else []:
            if path.stem != self.worker:
                try:
                    found.append(json.loads(path.read_text(encoding="utf-8")))
                except (OSError, ValueError):
                    continue  # being replaced, or of a worker that was killed while it wrote
        return found

    def text(self) -> str:
        """All of it in the text format of Prometheus, version 0.0.4."""
        counts: dict[str, dict[Label, float]] = defaultdict(lambda: defaultdict(float))
        gauges: dict[str, dict[Label, float]] = defaultdict(dict)
        times: dict[str, dict[Label, list[float]]] = defaultdict(dict)
        for each in self.all():
            for name, label, value in _series(each["counts"]):
                counts[name][label] += value
            for name, label, value in _series(each["gauges"]) if time.time() - each["at"] < 10 else ():
                gauges[name][(*label, ("worker", each["worker"]))] = value
            for name, label, value in _series(each["times"]):
                known = times[name].get(label)
                times[name][label] = value if known is None else [a + b for a, b in zip(known, value, strict=True)]
        lines: list[str] = []
        for kind, families in (("counter", counts), ("gauge", gauges)):
            for name, series in sorted(families.items()):
                lines += [*_head(name, kind), *(f"{name}{_labels(label)} {_number(value)}" for label, value in sorted(series.items()))]
        for name, binned in sorted(times.items()):
            lines += [*_head(name, "histogram"), *(line for label, bins in sorted(binned.items()) for line in _bins(name, label, bins))]
        return "\n".join(lines) + "\n"

    def latency(self) -> dict[str, tuple[int, float, float]]:
        """Route -> (requests, median, 99th percentile) in seconds, as well as the bins tell."""
        total: dict[str, list[float]] = {}
        for each in self.all():
            for name, label, bins in _series(each["times"]):
                if name == "banyan_request_seconds":
                    route = dict(label)["route"]
                    total[route] = [a + b for a, b in zip(total.get(route, [0.0] * len(bins)), bins, strict=True)]
        return {route: (int(sum(bins[:-1])), quantile(bins, 0.5), quantile(bins, 0.99)) for route, bins in sorted(total.items())}

    def grown(self) -> dict[str, tuple[list[float], float]]:
        """Route -> (bins of its times with their sum last, requests that failed with 500 or more), over all workers."""
        found: dict[str, tuple[list[float], float]] = {}
        for each in self.all():
            for name, label, bins in _series(each["times"]):
                if name == "banyan_request_seconds":
                    known, failed = found.get(route := dict(label)["route"], ([0.0] * len(bins), 0.0))
                    found[route] = [a + b for a, b in zip(known, bins, strict=True)], failed
            for name, label, value in _series(each["counts"]):
                about = dict(label)
                if name == "banyan_requests_total" and about["status"] >= "500" and about["route"] in found:
                    known, failed = found[about["route"]]
                    found[about["route"]] = known, failed + value
        return found

    def total(self, name: str, **labels: str) -> float:
        """A count over all workers, of the series that have these labels."""
        wanted = set(labels.items())
        return float(sum(value for each in self.all() for found, label, value in _series(each["counts"]) if found == name and wanted <= set(label)))


def quantile(bins: list[float], share: float) -> float:
    """A quantile from the bins' counts, linear inside of a bin; 0 without any."""
    counts = bins[:-1]
    if not sum(counts):
        return 0.0
    wanted, below, seen = share * sum(counts), 0.0, 0.0
    for count, edge in zip(counts, (*EDGES, EDGES[-1]), strict=True):
        if count and seen + count >= wanted:
            return below + (edge - below) * (wanted - seen) / count
        seen, below = seen + count, edge
    return below


def resident() -> float:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    try:
        return float(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0.0


def _series(families: dict[str, Any]) -> Iterable[tuple[str, Label, Any]]:
    for name, series in families.items():
        for label, value in series:
            yield name, tuple((key, text) for key, text in label), value


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {name} {HELP.get(name, name)}", f"# TYPE {name} {kind}"]


def _labels(label: Label) -> str:
    escaped = (f'{key}="{text}"' for key, text in ((k, t.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for k, t in label))
    return "{" + ",".join(escaped) + "}" if label else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _bins(name: str, label: Label, bins: list[float]) -> list[str]:
    lines, seen = [], 0.0
    for edge, count in zip((*map(str, EDGES), "+Inf"), bins[:-1], strict=True):
        seen += count
        lines.append(f"{name}_bucket{_labels((*label, ('le', edge)))} {_number(seen)}")
    return [*lines, f"{name}_sum{_labels(label)} {bins[-1]!r}", f"{name}_count{_labels(label)} {_number(seen)}"]

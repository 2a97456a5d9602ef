"""What the console's plots show: traffic, evaluation, the shadow, an experiment over time. Knows no HTTP."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from banyan.errors import DataError
from banyan.serving import splits, wire
from banyan.serving.experiments import Tally
from banyan.serving.live import CANDIDATE, CONTROL
from banyan.serving.messages_console import (
    EvaluationAnswer,
    IncomingAnswer,
    MinuteOut,
    PointOut,
    SeriesAnswer,
    ShadowAnswer,
    SpellOut,
    TrafficAnswer,
)
from banyan.serving.sequential import difference
from banyan.serving.service import Service
from banyan.serving.shadow import merged

AUDIT = "audit.json"
BYTES = 8_000_000  # of an audit that is read
AUDITS = 5  # newest that are read
REPORTS = 100_000  # of a shadow that are added up
LOOKS = 1000  # of an experiment
FOLDERS = 500
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def traffic(service: Service, most: int) -> TrafficAnswer:
    """The newest minutes."""
    found = []
    for minute in service.traffic.minutes(most):
        routes = {r: SpellOut(count=s.count, errors=s.errors, p50_ms=s.middle * 1e3, p99_ms=s.late * 1e3) for r, s in minute.routes.items()}
        found.append(MinuteOut(at=wire.moment(int(minute.at * 1e6)), routes=routes))
    return TrafficAnswer(minutes=found)


def evaluation(runs: Path | None, facts: dict[str, Any]) -> EvaluationAnswer:
    """What the bundle's facts and the audits beside the runs say."""
    return EvaluationAnswer(
        table=list(facts.get("table") or []), metrics=dict(facts.get("metrics") or {}), calibration=dict(facts.get("calibration") or {}),
        rows=dict(facts.get("rows") or {}), notes=[str(each) for each in facts.get("notes") or []], packages=dict(facts.get("versions") or {}),
        by_scenario=[one for path in audits(runs) for one in _by_scenario(path)],
    )  # fmt: skip


def audits(folder: Path | None) -> list[Path]:
    """The newest audits in and below the folder of runs."""
    if folder is None or not folder.is_dir():
        return []
    found = [path for depth in ("", "*/", "*/*/") for path in folder.glob(depth + AUDIT) if not path.is_symlink() and path.stat().st_size <= BYTES]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:AUDITS]


def _by_scenario(path: Path) -> Iterator[dict[str, Any]]:
    try:
        told = json.loads(path.read_text(encoding="utf-8")).get("by scenario", {})
    except (ValueError, AttributeError):
        return  # being written, or no audit
    for pair, gains in told.items():
        if gains:
            yield {"audit": path.parent.name, "pair": pair, "gains": gains}


def shadow(service: Service) -> ShadowAnswer:
    """What the version in the shadow has been found to answer differently."""
    version = service.registry.layout()[1].shadow
    if not version:
        return ShadowAnswer(version="", reports=[])
    notes = service.journal.notes("outcomes", 0, REPORTS, f"shadow/{version}")
    return ShadowAnswer(version=version, reports=[each.summary() for each in merged(note.about for _, note in notes)])


def incoming(service: Service) -> IncomingAnswer:
    """The bundles that wait to be taken in."""
    folder = service.folder / "incoming"
    if not folder.is_dir():
        return IncomingAnswer(folders=[])
    found = sorted(each.name for each in folder.iterdir() if FOLDER.fullmatch(each.name) and each.is_dir() and not each.is_symlink())
    return IncomingAnswer(folders=found[:FOLDERS])


def series(service: Service, name: str) -> SeriesAnswer:
    """An experiment's difference at each moment at which users were counted. Raises DataError for one that was never begun."""
    about = next((each for each in service.journal.setting(splits.NAME)[1] or [] if each["name"] == name), None)
    if about is None:
        raise DataError(f"There was no experiment {name!r}.")
    points = []
    for change in service.journal.changes(f"experiment/{name}"[:200], LOOKS):
        tally = Tally(**change.after) if change.after else Tally()
        control, candidate = tally.of(about["outcome"], CONTROL), tally.of(about["outcome"], CANDIDATE)
        found = difference(control, candidate)
        sides = (found.control, found.candidate, found.estimate, found.low, found.high)
        one, two, estimate, low, high = (value if math.isfinite(value) else None for value in sides)
        points.append(
            PointOut(at=wire.moment(change.at), users=control.users + candidate.users, control=one, candidate=two, estimate=estimate, low=low, high=high)
        )
    return SeriesAnswer(name=name, outcome=about["outcome"], points=points)

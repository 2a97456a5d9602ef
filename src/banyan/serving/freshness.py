"""A model that keeps up: trained on what happened, judged beside the serving one on the newest days and the same rows, promoted when it is not worse.

Knows no HTTP. What a retraining found stands in the setting `retrain`.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from banyan import run as runs
from banyan.bundle import Bundle
from banyan.disk import whole
from banyan.errors import BanyanError, BundleError, ConfigError
from banyan.evaluation.certainty import Gain, corrected
from banyan.evaluation.compare import compared, seated
from banyan.serving.drift import Calibrated, Drift, calibrated, since_training
from banyan.serving.harvest import again, harvest
from banyan.serving.registry import Registry
from banyan.serving.state import Journal
from banyan.store.load import spelled_out
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training.journal import as_json
from banyan.types import TEST

RETRAIN, SCHEDULE = "retrain", "schedule"  # names of settings
TRAINING, TABLES, RUN, DONE = "training", "tables", "run", "done.json"
WHO = "banyan train --from-service"
LEAST = 100  # test rows of a task below which its comparison says nothing
LONG_AGO = 2 * 86_400  # seconds after which a training that was broken off is not taken up again

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """One task of the candidate beside the serving version, on the same rows of the newest days."""

    task: str
    metric: str
    rows: int
    candidate: float
    serving: float
    gain: float  # above 0 for better, in the metric's own unit
    low: float  # 95 % interval
    high: float
    fine: bool  # not worse than the margin allows


@dataclass(frozen=True)
class Retrained:
    """What a retraining came to."""

    version: str  # of the candidate; "" where there was nothing new
    against: str  # the version that served; "" for none
    promoted: bool
    reasons: tuple[str, ...]  # why not
    until: int  # the journal's newest event that it was trained on
    events: int  # of the journal that joined the shop's own
    at: int  # microseconds since 1970 UTC
    seconds: float
    margin: float
    tasks: tuple[Judged, ...] = ()
    calibration: tuple[Calibrated, ...] = ()  # of the serving version on the newest days
    drift: Drift | None = None  # of what came in since the serving version was trained
    notes: dict[str, Any] = field(default_factory=dict)


def retrain(
    store: Store,
    state: Path,
    journal: Journal,
    registry: Registry,
    *,
    margin: float = 0.01,
    most: int = 20_000,
    draws: int = 200,
    keep: int = 5,
    device: str | None = None,
    console: Console | None = None,
) -> Retrained:
    """Train on the shop's tables and the journal's events, judge, and promote when no task is worse beyond `margin`.

    The candidate and the serving version answer the same rows of the test part, which is the newest days where the store splits by time. A task is worse
    beyond the margin when it loses more than that share of the serving version's figure. A task that the candidate lacks, and too few rows to compare,
    speak against it too. Then the registry tries it. The first model of a service has nothing to beat. `keep` versions stay.

    Work lies in `state`/training; a retraining that was killed goes on where it stopped. Raises ConfigError, DataError, StateError; never for a
    candidate that is merely not good enough.
    """
    begin = time.monotonic()
    if not 0 <= margin < 1:
        raise ConfigError(f"The margin is {margin}; it is a share of the serving version's figure, from 0 to below 1.")
    last, serving = journal.last(), registry.active()
    before = journal.setting(RETRAIN)[1] or {}
    if serving is not None and before.get("until") == last and before.get("store") == _print(store):
        return Retrained("", serving.name, False, ("Nothing has happened since the last retraining.",), last, 0, _now(), 0.0, margin)
    folder = _begun(state, store, journal, last)
    described, found = again(store, journal, folder / TABLES) or harvest(store, journal, folder / TABLES, int(folder.name.split("-")[0]))
    fitted = runs.train(described, folder / RUN, alone=False, simple=False, most=most, console=console, device=device, facts={"through": found.until})
    beside = _judged(fitted, registry, journal, margin, most, draws, device) if serving is not None else _Beside()
    version = registry.add(fitted.folder / runs.BUNDLE, f"retrained on events up to {found.until:,}")
    reasons = [*beside.reasons, *_promoted(registry, version.name, bool(beside.reasons))]
    done = Retrained(
        version.name,
        serving.name if serving is not None else "",
        not reasons,
        tuple(reasons),
        found.until,
        found.events,
        _now(),
        time.monotonic() - begin,
        margin,
        beside.tasks,
        beside.calibration,
        beside.drift,
        {"left_out": found.left_out, "forgotten": found.forgotten},
    )
    _kept(done, folder, store, journal, registry, keep)
    return done


def _now() -> int:
    return time.time_ns() // 1000


def _print(store: Store) -> str:
    """Tells two descriptions apart."""
    return hashlib.sha256(json.dumps(spelled_out(store), sort_keys=True, default=str).encode()).hexdigest()[:16]


def _begun(state: Path, store: Store, journal: Journal, last: int) -> Path:
    """The folder of a retraining that was broken off lately, else a new one: named by the newest event, the newest tombstone and the description."""
    forgotten, described = journal.pulse().forgotten, _print(store)
    home = state / TRAINING
    home.mkdir(parents=True, exist_ok=True)
    for each in sorted(home.iterdir(), reverse=True):
        ours = each.is_dir() and each.name.split("-")[1:] == [str(forgotten), described]
        if ours and not (each / DONE).exists() and time.time() - each.stat().st_mtime < LONG_AGO:
            return each
        shutil.rmtree(each, ignore_errors=True)  # finished, or of users who were forgotten since
    folder = home / f"{last:012d}-{forgotten}-{described}"
    folder.mkdir()
    return folder


@dataclass(frozen=True)
class _Beside:
    """The candidate beside the serving version."""

    tasks: tuple[Judged, ...] = ()
    reasons: tuple[str, ...] = ()  # against the candidate
    calibration: tuple[Calibrated, ...] = ()
    drift: Drift | None = None


def _judged(fitted: runs.Run, registry: Registry, journal: Journal, margin: float, most: int, draws: int, device: str | None) -> _Beside:
    serving = registry.active()
    assert serving is not None
    theirs = Bundle.load(serving.path, device=device)
    shop, moved = open_store(fitted.store), since_training(theirs, journal)
    left = seated(fitted.folder / runs.BUNDLE, fitted.bundle, shop, TEST, most)
    try:
        right = seated(serving.path, theirs, shop, TEST, most)
        gains = corrected(compared(left, right, draws=draws, scenarios=False))
    except BanyanError as error:
        return _Beside(reasons=(f"It cannot be compared with {serving.name}: {error}",), drift=moved)
    found = tuple(_beside(each, len(left.questions[each.task]), margin) for each in gains)
    reasons = [f"{each.task}: {_said(each)}." for each in found if not each.fine]
    reasons += [f"It has no task {name!r}, which {serving.name} answers." for name in theirs.served if name not in fitted.store.tasks]
    if not any(each.rows >= LEAST for each in found):
        rows = max((each.rows for each in found), default=0)
        reasons.append(f"The newest days hold {rows} rows of the best known task, and a comparison takes {LEAST}; wait, or widen `split.test`.")
    return _Beside(found, tuple(reasons), tuple(calibrated(right.answers, right.panel, right.questions)), moved)


def _beside(gain: Gain, rows: int, margin: float) -> Judged:
    lost = gain.interval.value < -margin * abs(gain.theirs)
    value, low, high = gain.interval
    return Judged(gain.task, gain.metric, rows, gain.ours, gain.theirs, value, low, high, rows < LEAST or not lost)


def _said(each: Judged) -> str:
    loss = -each.gain / abs(each.serving) if each.serving else float("inf")
    return f"{each.metric} is {each.candidate:.4g} and that of the serving version {each.serving:.4g} on the same {each.rows:,} rows, {loss:.1%} worse"


def _promoted(registry: Registry, name: str, refused: bool) -> list[str]:
    """Promote, unless something speaks against it already; what the registry has against it."""
    if refused:
        return []
    try:
        registry.promote(name, WHO)
        return []
    except BundleError as error:
        return [str(error)]


def _kept(done: Retrained, folder: Path, store: Store, journal: Journal, registry: Registry, keep: int) -> None:
    """Write down what came of it; tables and checkpoints go, the report stays until the next retraining."""
    value = as_json({**asdict(done), "store": _print(store)})
    with whole(folder / DONE) as aside:
        aside.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    journal.set(RETRAIN, value, WHO)
    shutil.rmtree(folder / TABLES, ignore_errors=True)
    shutil.rmtree(folder / RUN / runs.BUNDLE, ignore_errors=True)
    registry.prune(keep)


def due(journal: Journal, every: float, now: float | None = None) -> float:
    """Seconds until the next retraining of a schedule of one each `every` seconds; 0 where it is due. A restart does not shift the schedule."""
    value = journal.setting(RETRAIN)[1]
    if not value:
        return 0.0
    moment = time.time() if now is None else now
    return min(max(float(value["at"]) / 1e6 + every - moment, 0.0), every)  # a clock that jumps back does not stop it


def keep_fresh(
    attempt: Callable[[], Retrained], journal: Journal, every: float, tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Retrain each `every` seconds, for ever. What goes wrong is told and tried again at the next hour, or sooner where the schedule is shorter.

    The setting `schedule` says how often, and what went wrong last.
    """
    scheduled(journal, every)
    wait = due(journal, every)
    while True:
        sleep(wait)
        try:
            tell(sentence(attempt()))
            scheduled(journal, every)
            wait = every
        except (BanyanError, OSError) as error:
            log.error("the retraining failed: %s", error)
            tell(f"The retraining failed: {error}")
            scheduled(journal, every, str(error))
            wait = min(every, 3_600.0)


def scheduled(journal: Journal, every: float, failed: str = "") -> None:
    """Write down how often a model is trained anew, where it was not written before. A journal that is away does not stop the schedule."""
    value = {"every": every, "failed": failed[:1000]}
    try:
        if journal.setting(SCHEDULE)[1] != value:
            journal.set(SCHEDULE, value, WHO)
    except BanyanError as error:
        log.warning("the schedule could not be written down: %s", error)


def sentence(done: Retrained) -> str:
    """What came of it, for a person."""
    if not done.version:
        return " ".join(done.reasons)
    what = f"{done.version}, trained on {done.events:,} events of the service ({done.seconds:.0f} s)"
    if done.promoted:
        return f"{what}, answers now" + (f" in place of {done.against}." if done.against else ".")
    return f"{what}, was not promoted; {done.against or 'nothing'} goes on answering. {' '.join(done.reasons)}"

"""A run's folder and what it is of: the description, the data and the start, so that a run goes on only as itself."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from banyan.disk import whole
from banyan.errors import ConfigError
from banyan.graft import Origin
from banyan.store import fingerprint
from banyan.store.fingerprint import Prints
from banyan.store.load import dump, load, spelled_out
from banyan.store.schema import Store
from banyan.training.resume import differences

PAGE, SOURCES, JOINT = "store.yaml", "sources.json", "joint"
START = "start.json"  # what a run that starts from a bundle started from
FREE: Mapping[str, Any] = {"training": {"seconds", "clock", "threads"}, "tasks": {"__all__": {"calibration"}}}  # what may change when a run goes on


def claim(folder: Path, store: Store, data: Prints, origin: Origin | None = None) -> None:
    """Write the description and what the tables held into the run's folder. Raises ConfigError where a run of others has begun there."""
    page, sources, start = folder / PAGE, folder / SOURCES, folder / START
    started = {} if origin is None else json.loads(json.dumps(origin.claim))
    if page.exists() and any((folder / JOINT).glob("*")):
        was, now = (spelled_out(each, leave_out=FREE) for each in (load(page), store))
        _refuse_others(folder, "of another description", differences(was, now))
        if sources.exists():
            _refuse_others(folder, "on other data", fingerprint.differences(json.loads(sources.read_text(encoding="utf-8")), data))
        held = json.loads(start.read_text(encoding="utf-8")) if start.exists() else {}
        _refuse_others(folder, "with another start", differences(held, started))
    folder.mkdir(parents=True, exist_ok=True)
    if started:
        with whole(start) as aside:
            aside.write_text(json.dumps(started, indent=1), encoding="utf-8")
    dump(store, page)
    with whole(sources) as aside:
        aside.write_text(json.dumps(data, indent=1), encoding="utf-8")


def _refuse_others(folder: Path, what: str, found: Iterable[str]) -> None:
    if differing := list(found):
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        said = "; ".join(differing[:3]) + more
        raise ConfigError(f"{folder} holds a run {what} ({said}). Give another folder, or delete this one to begin again.")

"""Training runs as their folders tell them, while they go on and after: steps, losses by task, metrics. Knows no training."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from banyan.serving.messages import ProgressOut

HISTORY = "history.jsonl"
BYTES = 4_000_000  # read of the end of a history
POINTS = 200  # of a curve
QUIET = 120.0  # seconds without a line, after which an unfinished run counts as stopped
MOST = 50  # runs


def runs(folder: Path | None, most: int = MOST) -> list[ProgressOut]:
    """The runs in and below a folder, newest first; none where there is no folder."""
    if folder is None or not folder.is_dir():
        return []
    found = sorted(_histories(folder), key=lambda path: path.stat().st_mtime, reverse=True)
    return [progress(path, folder) for path in found[:most]]


def _histories(folder: Path) -> Iterator[Path]:
    for depth in ("joint/", "*/joint/", "*/*/joint/", "*/*/*/joint/"):
        yield from (path for path in folder.glob(depth + HISTORY) if not path.is_symlink())


def progress(path: Path, folder: Path) -> ProgressOut:
    """One run, from the lines of its history."""
    home, changed = path.parent.parent, path.stat().st_mtime
    entries = list(_entries(path))
    steps = [each for each in entries if "loss" in each and "step" in each]
    judged = [each for each in entries if "loss" not in each]
    done = (home / "bundle").is_dir()
    state = "done" if done else "running" if time.time() - changed < QUIET else "stopped"
    every = max(1, len(steps) // POINTS)
    return ProgressOut(
        run=str(home.relative_to(folder)) if home != folder else home.name,
        state=state,
        step=int(steps[-1]["step"]) if steps else 0,
        losses=_numbers(steps[-1]["loss"]) if steps else {},
        metrics=_finite(judged[-1]) if judged else {},
        curve=[{"step": float(each["step"])} | _numbers(each["loss"]) for each in steps[::every]],
        changed=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(changed)),
    )


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - BYTES))
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the first line of what was read, or one that is being written
            if isinstance(entry, dict):
                yield entry


def _numbers(losses: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in losses.items() if isinstance(value, (int, float)) and math.isfinite(value)}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

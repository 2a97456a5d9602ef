"""The history of a run: one JSON line an entry, in a file that only grows."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan import disk
from banyan.errors import BanyanError

Entry = dict[str, Any]


class Journal:
    """Entries in memory and, given a path, on disk as they come. A checkpoint keeps the file's length; a resumed run cuts off what is beyond it.

    So a kill in the middle of a line costs nothing, and no entry is written twice. A number that is not finite is `null` on disk
    (JSON has no other word) and nan when it is read back; no entry holds a null of its own.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self.length = 0  # bytes

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        self.entries.append(entry)
        if self.path:
            line = json.dumps(as_json(entry), allow_nan=False, ensure_ascii=False).encode() + b"\n"
            with self.path.open("ab") as file:
                file.write(line)
            self.length += len(line)

    def sync(self) -> int:
        """Have the disk hold all entries; returns the file's length in bytes."""
        if self.path:
            disk.sync(self.path)
        return self.length

    def rewind(self, length: int) -> None:
        """Begin with the first `length` bytes of the file. Raises BanyanError where it has fewer, or other lines."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.exists():
            self.path.touch()
        with self.path.open("r+b") as file:
            begun = file.read(length)
            if file.read(1):
                file.truncate(length)
        try:
            self.entries = [from_json(json.loads(line)) for line in begun.splitlines()]
        except ValueError as error:
            raise BanyanError(f"{self.path}: {error}; the run was not started here, or the file was changed.") from error
        if len(begun) < length:
            raise BanyanError(f"{self.path}: has {len(begun)} bytes, its checkpoint counts {length}; the file was changed or removed since. Begin again.")
        self.length = length


class Means:
    """The mean loss of each view since the last line of the history."""

    def __init__(self, views: int) -> None:
        self.sums, self.counts = np.zeros(views), np.zeros(views)

    def add(self, views: Sequence[int], losses: Sequence[float]) -> None:
        """Count a step's losses (nats); views that are absent count nothing."""
        self.sums[list(views)] += losses
        self.counts[list(views)] += 1

    def take(self) -> dict[int, float]:
        """The mean of each view that had a loss; counting begins anew."""
        found = {int(view): float(self.sums[view] / self.counts[view]) for view in np.flatnonzero(self.counts)}
        self.sums[:], self.counts[:] = 0, 0
        return found

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"sums": torch.from_numpy(self.sums), "counts": torch.from_numpy(self.counts)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.sums[:], self.counts[:] = state["sums"].numpy(), state["counts"].numpy()


def as_json(value: Any) -> Any:
    """The same with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(value: Any) -> Any:
    """What `as_json` was given, as far as nan goes."""
    if isinstance(value, dict):
        return {key: from_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [from_json(each) for each in value]
    return math.nan if value is None else value

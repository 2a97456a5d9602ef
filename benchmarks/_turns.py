"""A contender's side of the talk: waits for its turn, times a round, reports. Needs the standard library only: it runs in any environment."""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIPE = "BANYAN_BENCH_PIPE"  # the environment variable that says which


@dataclass(frozen=True)
class Job:
    """What a contender is asked to train. One pass over the training rows is `rounds` rounds of `steps` steps of `batch` rows."""

    table: str  # folder
    experts: int
    layers: tuple[int, ...]
    tower: tuple[int, ...]
    width: int
    batch: int
    steps: int
    rounds: int
    seed: int = 0
    fused: bool = False  # a peer's optimiser is Adam(fused=True)
    bf16: bool = False

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return Path(self.table)

    @property
    def round_rows(self) -> int:
        """Rows of a round."""
        return self.steps * self.batch

    @staticmethod
    def read() -> "Job":
        """The job on the command line."""
        found = json.loads(sys.argv[1])
        return Job(**{**found, "layers": tuple(found["layers"]), "tower": tuple(found["tower"])})


class Turns:
    """One line of JSON a report, through a pipe of its own: peers print as they like."""

    def __init__(self) -> None:
        self._out = os.fdopen(int(os.environ[PIPE]), "w", buffering=1)
        self._began = 0.0, 0.0

    def say(self, **facts: Any) -> None:
        """Report."""
        print(json.dumps(facts), file=self._out, flush=True)

    def begin(self) -> None:
        """Wait for the word, then start the clocks."""
        if not sys.stdin.readline():
            raise SystemExit("nobody asks any more")
        self._began = time.perf_counter(), time.process_time()

    def end(self, rows: int) -> None:
        """Stop the clocks: wall seconds, and CPU seconds of all threads."""
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self.say(rows=rows, wall=wall, cpu=cpu)

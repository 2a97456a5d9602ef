"""The parent's side: starts every contender in a process of its own and gives them turns, one at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _peers
from benchmarks._turns import PIPE, Job

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Times:
    """What one contender did; the first round warms up and is not in here."""

    cpu: list[float] = field(default_factory=list)  # samples a CPU second, by round
    wall: list[float] = field(default_factory=list)  # samples a second
    log_loss: list[float] = field(default_factory=list)  # nats, held out, of each label


class Contender:
    """One process; `name` is a script of `contenders/`, with `-fused` or `-bf16` behind it for another row of the same."""

    def __init__(self, name: str, job: Job, log: Path) -> None:
        script = name.removesuffix("-fused").removesuffix("-bf16")
        self.name, self.log = name, log / f"{name}.log"
        peer = script in _peers.VERSIONS
        paths = [str(ROOT)] if peer else [str(ROOT), *(p for p in sys.path if p)]
        ours, theirs = os.pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", PIPE: str(theirs)}
        command = [_peers.python(script) if peer else sys.executable, "-m", f"benchmarks.contenders.{script.replace('-', '_')}", json.dumps(asdict(job))]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, pass_fds=[theirs], cwd=log, env=environment, text=True)
        os.close(theirs)
        self._reports = os.fdopen(ours)

    def hear(self) -> dict[str, Any]:
        """Its next report. Raises RuntimeError with the end of its log where it has died."""
        line = self._reports.readline()
        if not line:
            raise RuntimeError(f"{self.name} stopped:\n{self.log.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def turn(self) -> dict[str, Any]:
        """Let it train a round."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.hear()

    def stop(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reports.close()


def race(jobs: Mapping[str, Job], folder: Path, tell: Callable[[str], None]) -> dict[str, Times]:
    """Every contender's pass over the same rows, in alternating rounds; every second round goes backwards through the list."""
    found = {name: Times() for name in jobs}
    contenders: list[Contender] = []
    try:
        for name, job in jobs.items():
            contenders.append(Contender(name, job, folder))
        for each in contenders:
            each.hear()
            tell(f"{each.name} is ready")
        rounds = next(iter(jobs.values())).rounds
        for number in range(rounds):
            for each in contenders if number % 2 == 0 else reversed(contenders):
                said = each.turn()
                cpu, wall = said["rows"] / said["cpu"], said["rows"] / said["wall"]
                tell(f"round {number}/{rounds - 1}  {each.name:22} {cpu:9,.0f} samples a CPU second  {wall:9,.0f} a second{'  (warming up)' * (number == 0)}")
                if number:
                    found[each.name].cpu.append(cpu)
                    found[each.name].wall.append(wall)
        for each in contenders:
            found[each.name].log_loss = each.hear()["log_loss"]
            tell(f"{each.name:22} held-out log loss {' '.join(f'{x:.4f}' for x in found[each.name].log_loss)}")
    finally:
        for each in contenders:
            each.stop()
    return found

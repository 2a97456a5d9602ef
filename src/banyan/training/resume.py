"""What a run keeps so that it can stop at any moment and go on: its whole state in checkpoints, and the best weights beside them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from banyan import parts
from banyan.errors import BanyanError
from banyan.model import Network
from banyan.store.schema import TaskSpec, Training
from banyan.training import checkpoint
from banyan.training.budget import Budget
from banyan.types import Array

NETWORK = "network"
Moving = tuple[Callable[[], Mapping[str, Tensor]], Callable[[dict[str, Tensor]], object]]  # gives its state as named tensors; takes it back


class Kept:
    """The folder of a run. Without a folder nothing is written, and the best weights are held in memory."""

    def __init__(self, folder: Path | None, device: torch.device, moving: Mapping[str, Moving], same: Mapping[str, Any]) -> None:
        """`moving`: name -> a part of the run that changes with the steps, one of them NETWORK. `same`: what must be alike for a run to go on."""
        self.folder, self.device, self.moving, self.same = folder, device, moving, same
        self.best: dict[str, Tensor] = {}  # without a folder; else in the file that `best_file` names, written once an improvement
        self.best_file: dict[str, str] = {}

    def keep_best(self, step: int) -> None:
        """Remember the network's weights as the best so far."""
        state = self.moving[NETWORK][0]()
        if self.folder:
            self.best_file = checkpoint.write(self.folder / f"best-{step:09d}.safetensors", state)
        else:
            self.best = {key: t.detach().clone() for key, t in state.items()}

    def restore_best(self) -> None:
        """Give the network its best weights, if any were kept. Raises BundleError where their file was changed."""
        best = checkpoint.read(self.folder, self.best_file) if self.folder and self.best_file else self.best
        if best:
            self.moving[NETWORK][1](best)

    def save(self, facts: Mapping[str, Any]) -> None:
        """Write a checkpoint of all that moves, of torch's generators, and of `facts` (JSON)."""
        if self.folder is None:
            return
        tensors = {key: tensor for name, (state, _) in self.moving.items() for key, tensor in checkpoint.pack(name, state()).items()}
        tensors["rng"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["rng_cuda"] = torch.cuda.get_rng_state(self.device)
        checkpoint.save(self.folder, tensors, {**facts, "best": self.best_file, "options": self.same}, keep=self.best_file.values())

    def resume(self) -> dict[str, Any] | None:
        """Bring all that moves to where the newest checkpoint stands and return its facts; None where there is none.

        Raises BanyanError where that run had other options, BundleError where its files were changed.
        """
        found = checkpoint.newest(self.folder) if self.folder else None
        if found is None:
            return None
        tensors, facts = found
        if differing := "; ".join(differences(facts["options"], self.same)):
            raise BanyanError(f"{self.folder}: holds a run with other options ({differing}); give another folder, or delete this one to begin again.")
        for name, (_, load) in self.moving.items():
            load(checkpoint.unpack(name, tensors))
        self.best_file = facts["best"]
        torch.set_rng_state(tensors["rng"])
        if "rng_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng_cuda"], self.device)
        return facts


def identity(
    network: Network, tasks: Mapping[str, TaskSpec], options: Training, balancing: parts.Spec, rows: Mapping[str, Array], budget: Budget
) -> dict[str, Any]:
    """What must be the same for a run to go on, as JSON has it. Limits of time and threads may change: they change no step."""
    shapes = {key: [str(t.dtype), *t.shape] for key, t in network.state_dict().items()}
    part, given = parts.spec(balancing)
    same = {
        "training": options.model_dump(mode="json", exclude={"seconds", "clock", "threads"}),
        "tasks": {task: spec.model_dump(mode="json", exclude={"calibration"}) for task, spec in tasks.items()},
        "balancing": {"part": part, **given},
        "rows": {name: len(each) for name, each in rows.items()},
        "rows a step": budget.shares,
        "steps": budget.steps,
        "network": hashlib.sha256(json.dumps(shapes).encode()).hexdigest(),
    }
    if network.auxiliary_specs:
        same["auxiliary"] = {name: spec.model_dump(mode="json") for name, spec in network.auxiliary_specs.items()}
    plain: dict[str, Any] = json.loads(json.dumps(same))
    return plain


def differences(was: Any, now: Any, where: str = "") -> Iterator[str]:
    """A phrase for each value that is not what it was."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*was, *now]):
            yield from differences(was.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif was != now:
        yield f"{where} is another one" if where == "network" else f"{where} was {was!r} and is {now!r}"

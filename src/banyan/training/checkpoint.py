"""Checkpoints: a folder of safetensors and JSON, written aside, synced to disk and renamed, so that a killed run finds a whole one."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from banyan.errors import BundleError

PREFIX = "checkpoint-"


def save(folder: Path, number: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Path:
    """Write checkpoint `number` of a run and remove the older ones. Until the last rename the older one stays whole."""
    folder.mkdir(parents=True, exist_ok=True)
    final, aside = folder / f"{PREFIX}{number:09d}", folder / f".writing-{number:09d}"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir()
    save_file({key: t.detach().contiguous().cpu().clone() for key, t in tensors.items()}, aside / "tensors.safetensors")
    (aside / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    for each in (aside / "tensors.safetensors", aside / "facts.json", aside):
        sync(each)
    if final.exists():
        shutil.rmtree(final)
    aside.rename(final)
    sync(folder)
    for old in folder.glob(f"{PREFIX}*"):
        if old != final:
            shutil.rmtree(old)
    return final


def newest(folder: Path) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
    """(number, tensors, facts) of the newest whole checkpoint of a run, or None. Raises BundleError where it cannot be read."""
    found = sorted(folder.glob(f"{PREFIX}*"))
    if not found:
        return None
    last = found[-1]
    try:
        facts = json.loads((last / "facts.json").read_text(encoding="utf-8"))
        return int(last.name.removeprefix(PREFIX)), load_file(last / "tensors.safetensors"), facts
    except (OSError, ValueError, SafetensorError) as error:
        raise BundleError(f"{last}: the checkpoint cannot be read ({error}); delete the folder to begin again.") from error


def sync(path: Path) -> None:
    """Have the disk hold a file or a folder's entries before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def pack(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under a prefix."""
    return {f"{prefix}/{key}": torch.as_tensor(value) for key, value in state.items()}


def unpack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` put under a prefix."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in tensors.items() if key.startswith(f"{prefix}/")}

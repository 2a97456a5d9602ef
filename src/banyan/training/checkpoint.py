"""Checkpoints: a folder of safetensors and JSON, written aside, synced to disk and renamed, so that a killed run finds a whole one.

Knows no training. What seldom changes and is large (the best weights) lies beside it in a file of its own, named in the facts.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from banyan import disk
from banyan.errors import BanyanError, BundleError

PREFIX = "checkpoint-"
TENSORS, FACTS = "tensors.safetensors", "facts.json"


def save(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], keep: Collection[str] = ()) -> Path:
    """Write the next checkpoint of a run; then remove the older ones and every file of `write` that `keep` does not name.

    A name is never used twice, so that at every moment the newest folder of that name is whole. Raises BanyanError where the disk refuses.
    """
    found = _found(folder)
    final = folder / f"{PREFIX}{1 + (_number(found[-1]) if found else 0):09d}"
    aside = disk.aside_of(final)
    try:
        _clear(folder)
        aside.mkdir(parents=True)
        save_file(_plain(tensors), aside / TENSORS)
        disk.sync(aside / TENSORS)
        (aside / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        disk.sync(aside / FACTS)
        disk.sync(aside)
        aside.rename(final)
        disk.sync(folder)
    except (OSError, SafetensorError) as error:
        raise BanyanError(f"{folder}: the checkpoint cannot be written ({error}); the one before it is whole. Make room, then start again.") from error
    for old in found:
        shutil.rmtree(old)
    for loose in folder.glob("*.safetensors"):
        if loose.name not in keep:
            loose.unlink()
    return final


def newest(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """(tensors, facts) of the newest checkpoint of a run, or None. Raises BundleError where it cannot be read."""
    found = _found(folder)
    if not found:
        return None
    try:
        return load_file(found[-1] / TENSORS), json.loads((found[-1] / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise BundleError(f"{found[-1]}: the checkpoint cannot be read ({error}); delete {folder} to begin again.") from error


def write(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Write tensors into a file of their own, aside and renamed; returns its name and SHA-256, for a checkpoint's facts."""
    try:
        with disk.whole(path) as aside:
            save_file(_plain(tensors), aside)
    except (OSError, SafetensorError) as error:
        raise BanyanError(f"{path}: cannot be written ({error}); the last checkpoint is whole. Make room, then start again.") from error
    return {"file": path.name, "sha256": disk.sha256(path)}


def read(folder: Path, named: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of a file that `write` made. Raises BundleError where it is missing or was changed."""
    path = folder / named["file"]
    if not path.exists() or disk.sha256(path) != named["sha256"]:
        raise BundleError(f"{path}: {'was changed' if path.exists() else 'is missing'} since the checkpoint was written; delete {folder} to begin again.")
    return load_file(path)


def pack(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under a prefix."""
    return {f"{prefix}/{key}": torch.as_tensor(value) for key, value in state.items()}


def unpack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `pack` put under a prefix."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in tensors.items() if key.startswith(f"{prefix}/")}


def _found(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}*"), key=_number)


def _number(path: Path) -> int:
    return int(path.name.removeprefix(PREFIX))


def _clear(folder: Path) -> None:
    """Remove what a killed run had begun to write."""
    for rest in folder.glob(disk.ASIDE.format("*")):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What safetensors takes: on the CPU, contiguous, no two on one storage. Copies only what must be."""
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for key, tensor in tensors.items():
        each = tensor.detach().cpu().contiguous()
        storage = each.untyped_storage().data_ptr()
        plain[key] = each.clone() if storage in storages else each
        storages.add(storage)
    return plain

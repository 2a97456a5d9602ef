"""The folder of a bundle on disk: written aside, synced and renamed; read only after every file's hash was checked. Knows no model."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from banyan.disk import aside_of, sha256, sync
from banyan.errors import BundleError
from banyan.types import Array

FORMAT = 3
MANIFEST = "manifest.json"
MANIFEST_BYTES = 4 << 20
JSON_BYTES = 2 << 30  # of one JSON file
MOST_BYTES = 256 << 30  # of one file
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,120}")  # a file of the folder itself: no slash, no leading dot
SHA = re.compile(r"[0-9a-f]{64}")


def write(folder: Path, fill: Callable[[Path], None], facts: Mapping[str, Any]) -> Path:
    """Have `fill` write files into an empty folder aside, add the manifest, sync all, then put it in the place of `folder`.

    `facts` join the manifest. A bundle that stood there is replaced at the last moment; any other folder with files is refused (BundleError).
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} exists and is no bundle; name a new folder, or an old bundle that may be replaced.")
    aside, old = aside_of(folder), folder.with_name(f".{folder.name}.old")
    _remove(aside)
    aside.mkdir()
    fill(aside)
    files = {each.name: {"bytes": each.stat().st_size, "sha256": sha256(each)} for each in sorted(aside.iterdir())}
    manifest = {"format": FORMAT, **facts, "files": files}
    (aside / MANIFEST).write_text(json.dumps({**manifest, "digest": digest(manifest)}, indent=1, sort_keys=True), encoding="utf-8")
    for each in (*aside.iterdir(), aside):
        sync(each)
    _remove(old)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    sync(folder.parent)
    _remove(old)
    return folder


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)


def digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's own content, its `digest` left out."""
    plain = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check(folder: Path, needed: Sequence[str]) -> dict[str, Any]:
    """The manifest of a bundle whose files are all there and all as they were written. Raises BundleError that names the file."""
    manifest = _manifest(folder)
    files = manifest["files"]
    for name in needed:
        if name not in files:
            raise BundleError(f"{folder / MANIFEST} does not list {name}, which every bundle has; the bundle is not whole. Save it anew.")
    for name, stated in files.items():
        _check_file(folder, name, stated)
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BundleError(f"There is no folder {folder}; name the folder of a bundle, such as runs/first/bundle.")
    if not path.is_file():
        raise BundleError(f"{folder} has no {MANIFEST}; it is no bundle, or its writing never ended.")
    if path.stat().st_size > MANIFEST_BYTES:
        raise BundleError(f"{path} has {path.stat().st_size:,} bytes; a manifest has at most {MANIFEST_BYTES:,}.")
    with reading(path):
        manifest = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError(f"{path} lists no files; it is no manifest of a bundle.")
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"{path}: the bundle has format {manifest.get('format')!r} (written by banyan {manifest.get('banyan', 'of unknown version')}); "
            f"this version reads format {FORMAT}. Save it anew, or load it with the version that wrote it."
        )
    if manifest.get("digest") != digest(manifest):
        raise BundleError(f"{path} was changed after it was written; fetch or save the bundle anew.")
    return manifest


def _check_file(folder: Path, name: str, stated: Any) -> None:
    if not PLAIN.fullmatch(name):
        raise BundleError(f"{folder / MANIFEST} names the file {name!r}; a bundle's files lie in its own folder under plain names.")
    if not isinstance(stated, dict) or not isinstance(stated.get("bytes"), int) or not SHA.fullmatch(str(stated.get("sha256"))):
        raise BundleError(f"{folder / MANIFEST}: {name} comes without its size and hash.")
    path = folder / name
    if path.is_symlink() or not path.is_file():
        what = "is a link; a bundle holds its files itself" if path.is_symlink() else "is missing"
        raise BundleError(f"{path} {what}. Fetch or save the bundle anew.")
    size = path.stat().st_size
    if size != stated["bytes"]:
        raise BundleError(f"{path} has {size:,} bytes and had {stated['bytes']:,} when it was written; fetch or save the bundle anew.")
    most = JSON_BYTES if name.endswith(".json") else MOST_BYTES
    if size > most:
        raise BundleError(f"{path} has {size:,} bytes; at most {most:,} are read.")
    if sha256(path) != stated["sha256"]:
        raise BundleError(f"{path} was changed after it was written (its hash differs); fetch or save the bundle anew.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading a file becomes a BundleError that names it."""
    try:
        yield
    except BundleError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, RecursionError, SafetensorError) as error:
        raise BundleError(f"{path} cannot be read as part of a bundle ({type(error).__name__}: {str(error)[:300]}); fetch or save it anew.") from error


def read_json(path: Path) -> Any:
    """The file's JSON value. Raises BundleError."""
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_arrays(path: Path) -> dict[str, Array]:
    """The file's arrays by name, in numpy's types. Raises BundleError."""
    with reading(path):
        return {key: np.ascontiguousarray(value) for key, value in load_file(path).items()}

"""Language models by name or folder: found on this machine or fetched, checked, and known by their content. Knows no feature and no network.

Only weights in safetensors are read, and no code that comes with a model is run.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from banyan.errors import ConfigError, MissingExtraError

MODELS = "BANYAN_MODELS"  # environment variable: a folder in which models lie by their last name
WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]  # what is fetched: neither pickled weights nor code
CONFIG_BYTES = 16 << 20
OWN = "sentence_transformers."  # begins the classes that a sentence-transformers model may name


def found(model: str) -> Path:
    """The folder of a model, checked: `model` itself, the folder of its last name in `$BANYAN_MODELS`, or what the hub keeps under its name.

    Raises ConfigError where there is none, where its weights are no safetensors, and where it wants code of its own to be run; MissingExtraError
    when it has to be fetched and cannot be without a package.
    """
    places = [Path(model), *([Path(os.environ[MODELS]) / Path(model).name] if os.environ.get(MODELS) else [])]
    folder = next((each for each in places if each.is_dir()), None)
    return _checked(folder if folder is not None else _fetched(model), model)


def _fetched(model: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        raise MissingExtraError(f"The language model {model!r}", "models") from error
    try:
        return Path(snapshot_download(model, allow_patterns=WANTED))
    except (OSError, ValueError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"The language model {model!r} is no folder on this machine, and the hub gave none of that name ({reason}). Name a folder, or lay one "
            f"called {Path(model).name!r} into the folder that the environment variable {MODELS} names."
        ) from error


def _checked(folder: Path, model: str) -> Path:
    """The folder, unless something in it must not be read."""
    if not any(folder.rglob("*.safetensors")):
        pickled = sorted(each.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl") for each in folder.rglob(pattern))
        what = f"its weights are in {pickled[0]}, a pickle, which could run any code when it is read" if pickled else "it has none"
        raise ConfigError(f"The language model {model!r} ({folder}) needs its weights in safetensors; {what}. Save it anew with save_pretrained.")
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ConfigError(f"The language model {model!r} ({folder}) has no config.json; name the folder that save_pretrained wrote.")
    for path in (folder / "config.json", folder / "tokenizer_config.json"):
        if path.is_file() and (foreign := _read(path, dict).get("auto_map")):
            raise ConfigError(f"{path} asks for code of its own ({next(iter(foreign))}), and no code that comes with a model is run; choose another.")
    if (folder / "modules.json").is_file():
        for each in _read(folder / "modules.json", list):
            if not str(each.get("type", "")).startswith(OWN):
                raise ConfigError(f"{folder / 'modules.json'} names the class {each.get('type')!r}; only those of sentence-transformers are built.")
    return folder


def _read(path: Path, kind: type) -> Any:
    """A JSON file of a model. Raises ConfigError where it is too large, or holds something else."""
    if path.stat().st_size > CONFIG_BYTES:
        raise ConfigError(f"{path} has {path.stat().st_size:,} bytes; at most {CONFIG_BYTES:,} are read.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no JSON ({error}); fetch the model anew.") from error
    if not isinstance(value, kind):
        raise ConfigError(f"{path} holds a {type(value).__name__}; a {kind.__name__} stands there in a model.")
    return value


def digest(folder: Path) -> str:
    """What tells one model from another: a hash of the files of its folder and of their names, wherever the folder lies."""
    files = sorted((each for each in folder.rglob("*") if each.is_file() and not each.name.startswith(".")), key=lambda each: str(each.relative_to(folder)))
    return _digest(folder, tuple((str(each.relative_to(folder)), each.stat().st_size, each.stat().st_mtime_ns) for each in files))


@lru_cache(maxsize=64)
def _digest(folder: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """The hash, computed once a process while no file changes."""
    made = hashlib.blake2b(digest_size=16)
    for name, size, _ in files:
        made.update(f"{name}\0{size}\0".encode())
        with (folder / name).open("rb") as stream:
            for block in iter(partial(stream.read, 1 << 20), b""):
                made.update(block)
    return made.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers while a model is read: a bundle is loaded without a word."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # see above


def same(model: str, expected: Mapping[str, str]) -> Path:
    """`found`, and its content is the one that `expected` (model -> digest) states, where it does. Raises ConfigError as well where it is another."""
    folder = found(model)
    if model in expected and digest(folder) != expected[model]:
        raise ConfigError(
            f"{folder} is not the language model {model!r} that was trained with: its files have the hash {digest(folder)}, and {expected[model]} is asked "
            "for. Lay the right one there, or train again."
        )
    return folder

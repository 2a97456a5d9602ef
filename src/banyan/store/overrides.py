"""`model.sharing=ple` on the command line -> the same in the description, before it is checked."""

from collections.abc import Sequence
from typing import Any

import yaml

from banyan.errors import ConfigError

FAMILIES = ("sharing", "balancing", "history", "cross")  # of the model: `sharing=ple` is short for `model.sharing=ple`
_DEFAULT_PARTS = {"sharing": "mmoe", "balancing": "fixed", "history": "target"}


def apply(values: dict[str, Any], overrides: Sequence[str]) -> dict[tuple[str | int, ...], str]:
    """Change `values` in place; returns path -> the override that set it. Raises ConfigError for an override that cannot be read."""
    done: dict[tuple[str | int, ...], str] = {}
    for override in overrides:
        path, value = _read(override)
        done[_set(values, path, value, override)] = override
    return done


def _read(override: str) -> tuple[list[str], Any]:
    name, equals, text = override.partition("=")
    words = [each.strip() for each in name.split(".")]
    if not equals or not all(words):
        raise ConfigError(f"The setting {override!r} cannot be read; write path=value, such as model.sharing=ple or training.epochs=5.")
    try:
        value = yaml.safe_load(text) if text.strip() else None
    except yaml.YAMLError as error:
        raise ConfigError(f"The setting {override!r}: {text!r} is no YAML value. Quote text that holds signs such as : or {{.") from error
    return (["model", *words] if words[0] in FAMILIES else words), value


def _set(values: dict[str, Any], words: list[str], value: Any, override: str) -> tuple[str | int, ...]:
    here, path = values, []
    while True:
        key, words = _longest(here, words)
        path.append(key)
        if not words:
            here[key] = value
            return tuple(path)
        below = here.get(key)
        if not isinstance(below, dict):
            here[key] = below = _opened(below, path, override)
        here = below


def _longest(here: dict[str, Any], words: list[str]) -> tuple[str, list[str]]:
    """The longest run of words that is a key already (names may hold dots), else the first word."""
    for n in range(len(words), 1, -1):
        if ".".join(words[:n]) in here:
            return ".".join(words[:n]), words[n:]
    return words[0], words[1:]


def _opened(short: Any, path: list[str], override: str) -> dict[str, Any]:
    """A short form such as `ple`, `users.parquet` or `category` as the mapping that it stands for."""
    last, parent = path[-1], path[-2] if len(path) > 1 else ""
    if last in FAMILIES or parent == "encoders":
        return {"part": short or _DEFAULT_PARTS.get(last)}
    if short is None:
        return {}
    if last in ("table", "known"):
        return {"path": short}
    if parent == "features":
        return {"kind": short}
    raise ConfigError(f"The setting {override!r}: {'.'.join(path)} is {short!r}, which has no keys of its own.")

"""What a long course of trials has done so far: one JSON line a trial, whole or not there, so that a killed run goes on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from banyan.errors import BanyanError, ConfigError
from banyan.training.journal import as_json, from_json


class Ledger:
    """Key -> what a trial gave, in memory and in a file that only grows. Its first line says what must be alike for a run to go on.

    A line that a kill tore is cut off. A number that is not finite is null in the file, and nan when it is read back.
    """

    def __init__(self, path: Path, same: Mapping[str, Any]) -> None:
        """Raises ConfigError where the file belongs to other settings, BanyanError where it is no ledger."""
        self.path, self.lines = path, dict[str, Any]()
        path.parent.mkdir(parents=True, exist_ok=True)
        same = {key: json.dumps(as_json(value), ensure_ascii=False, sort_keys=True) for key, value in same.items()}  # as text, since nan equals nothing
        found = self._read()
        if not found:
            self._write({"same": same})
        elif (was := found[0].get("same")) != same:
            differing = [key for key in {**(was or {}), **same} if (was or {}).get(key) != same.get(key)]
            raise ConfigError(f"{path.parent} holds a run with another {', '.join(differing[:3])}. Give another folder, or delete this one to begin again.")
        self.lines = {line["key"]: line["value"] for line in found[1:]}

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            os.truncate(self.path, len(whole))
        try:
            return [from_json(json.loads(line)) for line in whole.splitlines()]
        except ValueError as error:
            raise BanyanError(f"{self.path}: {error}; the file was changed. Delete it to begin again.") from error

    def _write(self, line: Mapping[str, Any]) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, json.dumps(as_json(dict(line)), allow_nan=False, ensure_ascii=False).encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def __getitem__(self, key: str) -> Any:
        return self.lines[key]

    def add(self, key: str, value: Any) -> None:
        """Keep what a trial gave. A key is added once."""
        self._write({"key": key, "value": value})
        self.lines[key] = value

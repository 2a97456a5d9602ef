"""Bundles of a few bytes and engines of a few lines: what the registry's tests promote."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from banyan.bundle import folder
from banyan.serving.registry import Registry
from banyan.serving.settings import FileSettings
from banyan.serving.trial import Replay

NAMES = ("click.click", "buy.buy", "item.price")


@dataclass(frozen=True)
class Ask:
    """A request."""

    user: str = ""
    k: int = 3
    scenario: str = ""


@dataclass(frozen=True)
class Placed:
    item: str
    score: float
    answers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranked:
    items: list[Placed]


class Engine:
    """Answers with what its bundle's one file says; counts its requests and whether it was closed."""

    opened: list["Engine"] = []

    def __init__(self, path: Path) -> None:
        self.said = json.loads((path / "engine.json").read_text())
        if self.said.get("broken"):
            raise RuntimeError("the weights do not fit")
        self.path, self.names, self.closed, self.asked = path, tuple(self.said.get("names", NAMES)), False, 0
        Engine.opened.append(self)

    def recommend(self, ask: Any, value: Any) -> Ranked:
        assert not self.closed, "asked after it was closed"
        self.asked += 1
        if self.said.get("fails"):
            raise ValueError("no such scenario")
        score, answer = self.said.get("score", 1.0), self.said.get("answer", 0.5)
        answers = {each: answer for each in self.names if not each.startswith("item.")}
        items = self.said.get("items", ["a", "b", "c"])
        return Ranked([Placed(item, score - place, answers) for place, item in enumerate(items)])

    def close(self) -> None:
        assert not self.closed
        self.closed = True


@pytest.fixture(autouse=True)
def _forget_engines() -> None:
    Engine.opened = []


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle that `Engine` opens: `bundle("one", score=2.0)`."""

    def make(name: str, **said: Any) -> Path:
        return folder.write(tmp_path / "made" / name, lambda aside: (aside / "engine.json").write_text(json.dumps({"called": name, **said})) and None, {})

    return make


@pytest.fixture
def settings(tmp_path: Path) -> FileSettings:
    return FileSettings(tmp_path / "settings")


@pytest.fixture
def asks() -> list[Ask]:
    return [Ask(f"u{i}", 3, "home" if i % 2 else "") for i in range(12)]


@pytest.fixture
def registry(tmp_path: Path, settings: FileSettings, asks: list[Ask]) -> Registry:
    return Registry(tmp_path / "registry", settings, Replay(Engine, lambda: asks))


@pytest.fixture
def engine() -> type[Engine]:
    return Engine


@pytest.fixture
def ask() -> type[Ask]:
    return Ask

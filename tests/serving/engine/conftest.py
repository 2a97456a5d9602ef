"""Bundles of the shop of every kind, in several makes: what one request is answered from must not hang on any of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from banyan.bundle import Bundle, save
from banyan.features.build import build
from banyan.model import Network
from banyan.serving.asking import EngineOptions
from banyan.serving.engine import Engine
from banyan.store.shop import Shop


@dataclass(frozen=True)
class Happened:
    """A live event."""

    id: str
    user: str
    item: str | None
    behaviour: str
    time: int
    scenario: str = ""
    value: float | None = None
    session: str = ""
    query: str = ""


@dataclass
class Live:
    """An engine with the live events that it is given."""

    bundle: Bundle
    engine: Engine
    events: dict[str, list[Happened]] = field(default_factory=dict)

    def happens(self, user: str, *events: tuple[str, str, int]) -> None:
        """(item, behaviour, hours after all that the bundle knows)."""
        mine = self.events.setdefault(user, [])
        for item, behaviour, hours in events:
            mine.append(Happened(f"e{len(mine)}", user, item, behaviour, self.at(hours), "home"))

    def at(self, hours: int) -> int:
        """A moment some hours after all that the bundle knows."""
        return self.bundle.now + (hours * 3_600_000_000 if self.bundle.plan.clock == "time" else hours)

    def handed_over(self) -> Bundle:
        """The bundle that got the events by `with_events`."""
        rows = [each for mine in self.events.values() for each in mine]
        clock = {"time": pl.Datetime("us"), "order": pl.Int64}.get(self.bundle.plan.clock)
        frame = {
            "user_id": [e.user for e in rows],
            "item_id": [e.item for e in rows],
            "event": [e.behaviour for e in rows],
            "page": [e.scenario for e in rows],
        }
        if clock is not None:
            frame["ts"] = pl.Series([e.time for e in rows]).cast(clock)
        return self.bundle.with_events(pl.DataFrame(frame))


def restless(network: Network) -> Network:
    """Every parameter moved, so that each part of a row has its say."""
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        network.embeddings.weight += 0.3 * torch.randn_like(network.embeddings.weight)
    return network


Made = Callable[..., Live]


@pytest.fixture(scope="session")
def made(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Callable[..., dict[str, pl.DataFrame]], tmp_path_factory: Any) -> Made:
    """A function from a change of (description, tables) and options to an engine over a new bundle; bundles are made once a name."""
    bundles: dict[str, Bundle] = {}

    def make(name: str = "plain", change: Callable[[dict[str, Any], dict[str, pl.DataFrame]], None] | None = None, **options: Any) -> Live:
        if name not in bundles:
            page, frames = described(), tables()
            if change is not None:
                change(page, frames)
            shop = opened(frames, page)
            data = build(shop)
            torch.manual_seed(3)
            network = restless(Network(data.plan, shop.store.model, shop.store.tasks))
            folder: Path = tmp_path_factory.mktemp("bundle")
            bundles[name] = Bundle.load(save(folder / "bundle", network, data, shop.store), device="cpu")
        events: dict[str, list[Happened]] = {}

        def recent(user: str) -> Sequence[Happened]:
            return events.get(user, [])

        return Live(bundles[name], Engine(bundles[name], recent, EngineOptions(**options)), events)

    return make


@pytest.fixture
def live(made: Made) -> Live:
    """The plain one, nothing having happened."""
    return made()

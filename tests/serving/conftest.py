"""A service with a real journal, real keys and limits, and an engine of a few lines that answers what a test tells it to."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.testing import TestClient

from banyan.bundle import folder as files
from banyan.errors import ConfigError
from banyan.serving.api import create
from banyan.serving.asking import Ask, Placed, Profile, Ranked
from banyan.serving.keys import Keys
from banyan.serving.limits import Shared
from banyan.serving.live import Live
from banyan.serving.metrics import Metrics
from banyan.serving.registry import Registry
from banyan.serving.service import Options, Service
from banyan.serving.state import journal_at, user_state_at

ITEMS = tuple(f"i{n}" for n in range(30))


@dataclass
class FakeEngine:
    """Answers items in their order; `before` is called first and may wait or fail."""

    users: Any = None
    before: Callable[[Any], None] = lambda ask: None
    asks: list[Any] = field(default_factory=list)
    names: tuple[str, ...] = ("bought.cart", "bought.buy", "item.price")
    bundle: Any = None

    def recommend(self, ask: Ask, value: Any = None) -> Ranked:
        self.asks.append(ask)
        self.before(ask)
        seen = {event.item for event in self.users.recent(ask.user, session=ask.session)} if self.users else set()
        items = [item for item in ask.items or ITEMS if item not in seen and item not in ask.filters.items_out]
        return Ranked([Placed(item, 1.0 - n / 100, {"bought.buy": 0.5}, ("popular",)) for n, item in enumerate(items[: ask.k])], {"popular": len(items)})

    search = rank = recommend

    def similar(self, item: str, k: int = 20, by: str = "taste") -> Ranked:
        return self.recommend(Ask(k=k))

    def explain(self, ask: Ask, value: Any = None) -> Placed:
        assert ask.items is not None
        return Placed(ask.items[0], 0.5, {"bought.buy": 0.5})

    def predict(self, table: str, rows: list[dict[str, Any]], tasks: Any = None) -> list[dict[str, float]]:
        if table != "viewed":
            raise ConfigError(f"The bundle has no samples table {table!r}.")
        return [{"bought.buy": 0.25} for _ in rows]

    def forecast(self, table: str, rows: list[dict[str, Any]]) -> tuple[str, list[tuple[dict[str, Any], dict[str, float]]]]:
        return "weekly", [(dict(row), {"demand.1": 3.0}) for row in rows]

    def offers(self, table: str, rows: list[dict[str, Any]], k: int) -> tuple[str, list[tuple[int, float, dict[str, float]]]]:
        return "campaigns", [(place, 1.0, {"redeemed.p": 0.5}) for place in range(min(k, len(rows)))]

    def profile(self, user: str) -> Profile:
        return Profile(user, True, {"city": "a"}, {"age.x": 0.5}, {"cat": {"p": 1.0}}, 3)

    def numbers(self, items: Sequence[str]) -> dict[str, list[float]]:
        return {"item.price": [float(len(each)) for each in items]}

    def close(self) -> None:
        pass


@dataclass
class House:
    """A service, its client, and a key of each role."""

    service: Service
    client: TestClient[Any]
    keys: dict[str, str]
    engine: FakeEngine

    def headers(self, role: str = "answers", **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[role]}"} | more

    def post(self, path: str, body: Any, role: str = "answers", **more: str) -> Any:
        return self.client.post(path, json=body, headers=self.headers(role, **more))

    def get(self, path: str, role: str = "answers") -> Any:
        return self.client.get(path, headers=self.headers(role))


def made(folder: Path, **options: Any) -> tuple[Service, FakeEngine, dict[str, str]]:
    journal = journal_at(folder)
    users = user_state_at(journal, "")
    engine = FakeEngine(users, bundle=SimpleNamespace(plan=SimpleNamespace(clock="time", behaviours=("view", "buy")), facts={}, now=int(time.time() * 1e6)))
    keys = Keys(folder / "keys.json", {})
    known = {role: keys.add(role, [role])[1] for role in ("events", "answers", "admin")}
    registry = Registry(folder / "fakes", journal)  # not where users are forgotten: these are no bundles
    nothing = files.write(folder / "made", lambda aside: (aside / "engine.json").write_text("{}") and None, {})
    registry.promote(registry.add(nothing).name, "test")
    live = Live(registry, lambda path: engine)
    service = Service(
        journal=journal, users=users, live=live, registry=registry, keys=keys, meter=Shared(folder / "limits.bin"), metrics=Metrics(folder / "metrics"),
        folder=folder, options=Options(**options),
    )  # fmt: skip
    return service, engine, known


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., House]]:
    open_clients: list[TestClient[Any]] = []

    def build(**options: Any) -> House:
        service, engine, known = made(tmp_path / f"house{len(open_clients)}", **options)
        client = TestClient(create(service), raise_server_exceptions=False)  # type: ignore[arg-type]
        client.__enter__()
        open_clients.append(client)
        return House(service, client, known, engine)

    yield build
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture
def house(make: Callable[..., House]) -> House:
    return make()

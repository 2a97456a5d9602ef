"""`banyan train --from-service` on a real bundle, engine and service folder: refused in a sentence where it cannot be, promoted where it may."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from typer.testing import CliRunner

from banyan.bundle import Bundle, save
from banyan.cli import app
from banyan.errors import BundleError
from banyan.features.build import build
from banyan.model import Network
from banyan.serving.asking import Ask
from banyan.serving.house import House
from banyan.serving.live import Live
from banyan.serving.state import Event, user_state_at
from banyan.store.shop import Shop

BEGIN, DAY = 1_700_000_000_000_000, 86_400_000_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--every", "24h"], "goes with --from-service"),
        (["--from-service", "nowhere"], "There is no folder nowhere"),
        (["--from-service", ".", "--every", "soon"], "no span of time"),
        (["--from-service", ".", "--every", "5s"], "shorter than a minute"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    options: list[str], says: str, described: Callable[[], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("store.yaml").write_text(yaml.safe_dump(described(), sort_keys=False))
    done = CliRunner().invoke(app, ["train", "store.yaml", *options])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


@pytest.fixture
def made(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tmp_path: Path) -> Callable[..., Path]:
    """A bundle of the shop with weights as they began."""

    def make(name: str, seed: int, *, tasks: tuple[str, ...] = ("bought", "next")) -> Path:
        page = described()
        page["tasks"] = {task: page["tasks"][task] for task in tasks}
        page["samples"] = {key: page["samples"][key] for key in ("viewed", "next")}
        shop = opened(None, page)
        data = build(shop)
        torch.manual_seed(seed)
        network = Network(data.plan, shop.store.model, shop.store.tasks)
        return save(tmp_path / name, network, data, shop.store, {})

    return make


def test_real_bundles_are_tried_swapped_and_refused(made: Callable[..., Path], tmp_path: Path) -> None:
    house = House(tmp_path / "service")
    house.state.mkdir()
    journal = house.journal()
    users = user_state_at(journal)
    registry = house.registry(journal, users)
    one, two, lacking = (registry.add(each) for each in (made("one", 1), made("two", 2), made("lacking", 3, tasks=("bought",))))
    found = registry.promote(one.name, "test")
    assert {"bought.cart", "bought.buy", "next", "item.price"} <= set(found.names)
    live = Live(registry, house.opening(users))
    live.adopt()
    users.take([Event("e1", "u1", "i3", "view", BEGIN + 41 * DAY)])
    live.set_value({"": "bought.buy + 0.1*next"}, "test")
    live.adopt()
    with live.serving(user="u1") as serving:
        before = serving.engine.recommend(Ask(user="u1", k=5), serving.value)
        assert len(before.items) == 5
        registry.promote(two.name, "test")
        assert live.adopt()
        again = serving.engine.recommend(Ask(user="u1", k=5), serving.value)
        assert [(each.item, each.score) for each in again.items] == [(each.item, each.score) for each in before.items]
    with live.serving(user="u1") as serving:
        assert serving.version == two.name
        after = serving.engine.recommend(Ask(user="u1", k=5), serving.value)
    assert [each.score for each in after.items] != [each.score for each in before.items]
    with pytest.raises(BundleError, match="does not answer next"):
        registry.promote(lacking.name, "test")
    assert registry.layout()[1].active == two.name
    live.close()
    journal.close()


@pytest.mark.slow
def test_the_command_trains_on_the_events_of_a_service_and_promotes(
    tables: Callable[..., dict[str, pl.DataFrame]], described: Callable[[], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = described()
    for name, frame in tables().items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    page["tasks"] = {task: page["tasks"][task] for task in ("bought", "next")}
    page["samples"] = {key: page["samples"][key] for key in ("viewed", "next")}
    page["training"] = {"epochs": 1, "steps": 4, "batch": 128, "bf16": False}
    Path("store.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    house = House(tmp_path / "service")
    house.state.mkdir()
    journal = house.journal()
    rng = np.random.default_rng(0)
    times = BEGIN + 41 * DAY + np.sort(rng.integers(0, 12 * DAY, 900))
    words = rng.choice(["view", "cart", "buy"], 900, p=[0.5, 0.3, 0.2])
    journal.append([Event(str(i), f"u{rng.integers(27)}", f"i{rng.integers(18)}", str(words[i]), int(times[i])) for i in range(900)])
    command = ["train", "store.yaml", "--from-service", "service", "--margin", "0.9", "--draws", "20", "--most", "500", "--device", "cpu"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "answers now" in " ".join(done.output.split())
    active = house.registry(journal, user_state_at(journal)).active()
    assert active is not None
    assert Bundle.load(active.path, device="cpu").facts["through"] == 900
    assert "Nothing has happened" in CliRunner().invoke(app, command).output
    journal.close()

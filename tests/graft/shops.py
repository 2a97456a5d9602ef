"""Two small shops that know much of each other: the second writes its features, tables and tasks in another order, and has some of its own."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.graft import Origin
from banyan.model import Network
from banyan.store.schema import Store
from banyan.store.shop import Shop

USERS, ITEMS, ROWS = 40, 30, 400
TITLE = {"kind": "text", "buckets": 64}
DESCRIPTION: dict[str, Any] = {
    "store": "first",
    "entities": {
        "user": {"table": "u.parquet", "id": "user", "features": {"city": "category", "age": "number", "moods": "tags"}},
        "item": {"table": "i.parquet", "id": "item", "features": {"brand": "category", "price": "number", "title": TITLE, "look": "vector"}},
    },
    "events": {"table": "e.parquet", "user": "user", "item": "item", "behaviour": "event", "time": "ts", "scenario": "page"},
    "samples": {
        "shown": {
            "table": "s.parquet", "user": "user", "item": "item", "time": "ts", "scenario": "page", "features": {"place": "number", "device": "category"},
            "labels": {"kept": "kept", "group": "group", "cart": "cart", "buy": "buy"},
        },
        "next": {"recipe": "next_item", "behaviours": ["view"]},
    },
    "tasks": {
        "kept": {"kind": "binary", "samples": "shown", "label": "kept"},
        "bought": {"kind": "funnel", "samples": "shown", "stages": ["cart", "buy"]},
        "group": {"kind": "classes", "samples": "shown", "label": "group"},
        "next": {"kind": "ranking", "samples": "next", "negatives": 10},
    },
    "split": {"by": "time", "valid": "14d", "test": "14d"},
    "model": {"width": 4, "length": 5, "sharing": {"part": "mmoe", "layers": [8]}, "cross": {"part": "dcn", "rank": 4}},
    "training": {"batch": 128, "epochs": 1, "steps": 2, "bf16": False},
}  # fmt: skip


def tables(folder: Path, seed: int = 3) -> None:
    """A shop's files."""
    rng = np.random.default_rng(seed)
    begin, days = 1_700_000_000, 90 * 86_400

    def moments(count: int) -> pl.Series:
        return pl.from_epoch(pl.Series(np.sort(rng.integers(0, days, count)) + begin), time_unit="s")

    users, items = [f"u{i}" for i in range(USERS)], [f"i{i}" for i in range(ITEMS)]
    rows = {"user": rng.choice(users, ROWS), "item": rng.choice(items, ROWS), "ts": moments(ROWS), "page": rng.choice(["home", "search"], ROWS)}
    cart = rng.integers(0, 2, ROWS)
    frames = {
        "u": {"user": users, "city": rng.choice(["a", "b", "c"], USERS), "age": rng.uniform(20, 60, USERS),
              "moods": [["calm", "glad"][: i % 3] for i in range(USERS)]},
        "i": {"item": items, "brand": rng.choice(["p", "q", "r", "s"], ITEMS), "price": rng.uniform(1, 9, ITEMS),
              "title": [f"red shirt {i}" for i in range(ITEMS)],
              "look": [[float(i % 3), 1.0, float(i % 5)] for i in range(ITEMS)]},
        "e": {**rows, "event": rng.choice(["view", "buy"], ROWS, p=[0.8, 0.2])},
        "s": {**rows, "place": rng.uniform(0, 5, ROWS), "device": rng.choice(["phone", "desk"], ROWS), "kept": rng.integers(0, 2, ROWS),
              "group": rng.choice(["x", "y", "z"], ROWS), "cart": cart, "buy": cart * rng.integers(0, 2, ROWS)},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in frames.items():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")


def turned(description: dict[str, Any]) -> dict[str, Any]:
    """The same shop, all of it written in the opposite order."""
    found = copy.deepcopy(description)
    for entity in found["entities"].values():
        entity["features"] = dict(reversed(entity["features"].items()))
    found["samples"]["shown"]["features"] = dict(reversed(found["samples"]["shown"]["features"].items()))
    for key in ("entities", "samples", "tasks"):
        found[key] = dict(reversed(found[key].items()))
    return found


def written(folder: Path, description: dict[str, Any], seed: int = 3) -> Path:
    """The shop on disk; returns its page."""
    tables(folder, seed)
    (folder / "store.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return folder / "store.yaml"


@dataclass
class Side:
    """A shop that was read, its arrays and a network with weights drawn at random."""

    shop: Shop
    data: Data
    network: Network

    @property
    def store(self) -> Store:
        return self.shop.store

    @property
    def feeder(self) -> Feeder:
        return Feeder(self.data, {name: task_options(self.store, name) for name in self.store.tasks}, 0.0)

    def origin(self, **options: Any) -> Origin:
        return Origin(self.network, self.store, self.data.stock, "digest", **options)


def drawn(shop: Shop, origin: Origin | None = None, seed: int = 0) -> Side:
    """A network of a shop: every weight drawn, then what `origin` gives."""
    data = build(shop, None, origin)
    torch.manual_seed(seed)
    network = Network(data.plan, shop.store.model, shop.store.tasks)
    with torch.no_grad():
        for key, each in network.state_dict().items():
            if each.is_floating_point() and "moments" not in key:
                each.copy_(0.3 * torch.randn(each.shape))
    if origin is not None:
        origin.plant(network, shop.store)
    return Side(shop, data, network.eval())

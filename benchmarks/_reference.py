"""A bundle of a fixed size, whatever the machine: a drawn store of views, carts and purchases under an MMoE with 8 experts [256,128].

Its weights are those that a seed draws. What a network says has no part in how long it takes to say it, so nothing is trained.
"""

from pathlib import Path

import numpy as np
import polars as pl
import torch
import yaml

from banyan.bundle import save
from banyan.features.build import build
from banyan.model import Network
from banyan.store.open import open_store
from banyan.types import Array

DAYS = 60
VIEWS, CARTS, PURCHASES = 20, 2, 1  # of 23 events
SHARING = {"part": "mmoe", "experts": 8, "layers": [256, 128]}


def reference(folder: Path, items: int = 10_000, users: int = 2_000, events: int = 69_000) -> Path:
    """The bundle in a folder, made there unless it is there."""
    bundle = folder / "bundle"
    if bundle.exists():
        return bundle
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in _tables(items, users, events).items():
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "store.yaml").write_text(yaml.safe_dump(_page(), sort_keys=False))
    shop = open_store(folder / "store.yaml")
    data = build(shop)
    torch.manual_seed(0)
    return save(bundle, Network(data.plan, shop.store.model, shop.store.tasks).eval(), data, shop.store)


def _tables(items: int, users: int, events: int) -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(0)

    def words(name: str, count: int, rows: int) -> pl.Series:
        return _words(name, rng.integers(count, size=rows, dtype=np.int32))

    each = VIEWS + CARTS + PURCHASES
    kinds = pl.Series(["view", "cart", "purchase"]).gather(np.repeat([0, 1, 2], [events * VIEWS // each, events * CARTS // each, events * PURCHASES // each]))
    rows = len(kinds)
    liked = np.minimum((rng.pareto(1.0, rows) * items / 50).astype(np.int64), items - 1)
    days = rng.random(rows) * DAYS
    log = pl.DataFrame(
        {
            "user_id": words("u", users, rows),
            "item_id": _words("i", liked),
            "event": kinds,
            "ts": pl.Series((1.7e15 + days * 86_400e6).astype(np.int64)).cast(pl.Datetime("us")),
            "page": words("page", 4, rows),
        }
    ).sort("ts")
    known = {"item_id": _words("i", np.arange(items)), "price": rng.lognormal(3, 1, items)}
    features = {"category": 60, "brand": 300, "colour": 20, "season": 5}
    people = {"user_id": _words("u", np.arange(users)), "city": words("city", 50, users), "age": words("age", 7, users)}
    return {"items": pl.DataFrame(known | {name: words(name, count, items) for name, count in features.items()}), "users": pl.DataFrame(people), "events": log}


def _words(name: str, numbers: Array) -> pl.Series:
    return pl.select(pl.lit(name) + pl.Series(numbers).cast(pl.String)).to_series()


def _page() -> dict[str, object]:
    kinds = dict.fromkeys(("category", "brand", "colour", "season"), "category")
    return {
        "store": "reference",
        "entities": {
            "user": {"table": "users.parquet", "id": "user_id", "features": {"city": "category", "age": "category"}},
            "item": {"table": "items.parquet", "id": "item_id", "features": {**kinds, "price": "number"}},
        },
        "events": {"table": "events.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts", "scenario": "page"},
        "samples": {
            "viewed": {"recipe": "outcomes", "after": "view", "within": "7d", "labels": {"cart": "cart", "buy": "purchase"}},
            "next": {"recipe": "next_item", "behaviours": ["view"], "most": 5},
        },
        "tasks": {
            "cart": {"kind": "binary", "samples": "viewed", "label": "cart"},
            "buy": {"kind": "binary", "samples": "viewed", "label": "buy"},
            "next": {"kind": "ranking", "samples": "next"},
        },
        "split": {"by": "time", "valid": "7d", "test": "7d"},
        "model": {"sharing": SHARING, "width": 16},
    }

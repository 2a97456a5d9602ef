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

USERS, DAYS = 2_000, 60
VIEWS, CARTS, PURCHASES = 60_000, 6_000, 3_000
SHARING = {"part": "mmoe", "experts": 8, "layers": [256, 128]}


def reference(folder: Path, items: int = 10_000) -> Path:
    """The bundle in a folder, made there unless it is there."""
    bundle = folder / "bundle"
    if bundle.exists():
        return bundle
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in _tables(items).items():
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "store.yaml").write_text(yaml.safe_dump(_page(), sort_keys=False))
    shop = open_store(folder / "store.yaml")
    data = build(shop)
    torch.manual_seed(0)
    return save(bundle, Network(data.plan, shop.store.model, shop.store.tasks).eval(), data, shop.store)


def _tables(items: int) -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(0)

    def words(name: str, count: int, rows: int) -> list[str]:
        return [f"{name}{each}" for each in rng.integers(count, size=rows)]

    rows = VIEWS + CARTS + PURCHASES
    liked = np.minimum((rng.pareto(1.0, rows) * items / 50).astype(np.int64), items - 1)
    days = rng.random(rows) * DAYS
    events = pl.DataFrame(
        {
            "user_id": [f"u{each}" for each in rng.integers(USERS, size=rows)],
            "item_id": [f"i{each}" for each in liked],
            "event": ["view"] * VIEWS + ["cart"] * CARTS + ["purchase"] * PURCHASES,
            "ts": pl.Series((1.7e15 + days * 86_400e6).astype(np.int64)).cast(pl.Datetime("us")),
            "page": words("page", 4, rows),
        }
    ).sort("ts")
    known = {"item_id": [f"i{each}" for each in range(items)], "price": rng.lognormal(3, 1, items)}
    kinds = {"category": 60, "brand": 300, "colour": 20, "season": 5}
    people = {"user_id": [f"u{each}" for each in range(USERS)], "city": words("city", 50, USERS), "age": words("age", 7, USERS)}
    return {"items": pl.DataFrame(known | {name: words(name, count, items) for name, count in kinds.items()}), "users": pl.DataFrame(people), "events": events}


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

"""A small store of every kind of task, trained for ten steps: once for all tests of this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from banyan.bundle import Bundle, save
from banyan.evaluation.calibrate import calibrate
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.open import open_store
from banyan.store.shop import Shop
from banyan.training.loop import Fit

USERS, ITEMS, EVENTS = 60, 40, 2500
DESCRIPTION = {
    "store": "corner shop",
    "entities": {
        "user": {"table": "u.parquet", "id": "user_id", "features": {"city": "category", "age": "category", "joined": "time"}},
        "item": {
            "table": "i.parquet",
            "id": "item_id",
            "features": {"cat": "category", "price": "number", "title": "text", "colours": "tags", "look": "vector"},
        },
    },
    "events": {"table": "e.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts", "scenario": "page", "value": "amount"},
    "samples": {
        "viewed": {"recipe": "outcomes", "after": "view", "within": "7d", "labels": {"cart": "cart", "buy": "buy"}},
        "next": {"recipe": "next_item", "behaviours": ["cart", "buy"]},
        "people": {"recipe": "attributes", "of": "user", "labels": {"age": "age"}, "split": {"by": "user"}},
        "weekly": {"recipe": "counts", "of": "view", "by": ["item.cat"], "every": "week", "ahead": 2},
        "shown": {
            "table": "s.parquet",
            "user": "who",
            "item": "what",
            "time": "at",
            "scenario": "page",
            "labels": {"grade": "stars", "spent": "spent", "moods": "moods"},
            "features": {"place": {"kind": "number", "training_only": 1}, "device": "category"},
        },
    },
    "tasks": {
        "carted": {"kind": "binary", "samples": "viewed", "label": "cart", "calibration": "platt"},
        "bought": {"kind": "funnel", "samples": "viewed", "stages": ["cart", "buy"], "calibration": "isotonic"},
        "next": {"kind": "ranking", "samples": "next", "negatives": 20},
        "age": {"kind": "classes", "samples": "people", "label": "age", "calibration": "temperature"},
        "demand": {"kind": "count", "samples": "weekly", "calibration": "scale"},
        "grade": {"kind": "graded", "samples": "shown", "label": "grade", "calibration": "temperature"},
        "spent": {"kind": "amount", "samples": "shown", "label": "spent", "calibration": {"part": "isotonic", "bins": 20}},
        "moods": {"kind": "tags", "samples": "shown", "label": "moods"},
    },
    "split": {"by": "time", "valid": "14d", "test": "14d"},
    "model": {"length": 6, "pair_last": 9, "behaviours": ["cart", "buy"], "width": 8},
    "training": {"batch": 256, "epochs": 1, "steps": 10, "bf16": False},
}


@dataclass
class Trained:
    """All that a test may ask for."""

    folder: Path  # of the tables
    shop: Shop
    data: Data
    feeder: Feeder
    network: Network
    frames: dict[str, pl.DataFrame]
    path: Path  # of the saved bundle


def tables(folder: Path) -> dict[str, pl.DataFrame]:
    """The shop's files."""
    rng = np.random.default_rng(5)
    ids = {"user": [f"u{i}" for i in range(USERS)], "item": [f"i{i}" for i in range(ITEMS)]}
    begin, days = 1_700_000_000, 100 * 86_400

    def moments(count: int, span: int = days) -> pl.Series:
        return pl.from_epoch(pl.Series(np.sort(rng.integers(0, span, count)) + begin), time_unit="s")

    who = rng.choice(ids["user"], EVENTS, p=np.arange(USERS, 0, -1) / (USERS * (USERS + 1) / 2))  # some with many events, some with few
    shown = 600
    frames = {
        "u": pl.DataFrame({"user_id": ids["user"], "city": rng.choice(["a", "b", "c"], USERS), "age": rng.choice(["x", "y"], USERS), "joined": moments(USERS)}),
        "i": pl.DataFrame(
            {
                "item_id": ids["item"],
                "cat": rng.choice(["p", "q", "r"], ITEMS),
                "price": rng.lognormal(size=ITEMS),
                "title": [f"red shirt {i}" for i in range(ITEMS)],
                "colours": [["red", "blue"][: 1 + i % 2] for i in range(ITEMS)],
                "look": [[float(i % 3), 1.0, float(i % 5)] for i in range(ITEMS)],
            }
        ),
        "e": pl.DataFrame(
            {
                "user_id": who,
                "item_id": rng.choice(ids["item"], EVENTS),
                "event": rng.choice(["view", "cart", "buy"], EVENTS, p=[0.6, 0.25, 0.15]),
                "ts": moments(EVENTS),
                "page": rng.choice(["home", "search"], EVENTS),
                "amount": rng.lognormal(size=EVENTS),
            }
        ),
        "s": pl.DataFrame(
            {
                "who": rng.choice([*ids["user"], "u-unlisted"], shown),
                "what": rng.choice([*ids["item"], "i-unlisted"], shown),
                "at": moments(shown),
                "page": rng.choice(["home", "search"], shown),
                "place": rng.integers(1, 9, shown).astype(float),
                "device": rng.choice(["phone", "desk", None], shown),
                "stars": rng.integers(1, 6, shown),
                "spent": np.where(rng.random(shown) < 0.5, 0.0, rng.lognormal(size=shown)),
                "moods": [["calm", "glad"][: i % 3] for i in range(shown)],
            }
        ),
    }
    later = frames["i"].with_columns(pl.col("price") * 2, since=pl.lit("2024-02-01"))  # of what is sold at another price from then on
    frames["versions"] = pl.concat([frames["i"].with_columns(since=pl.lit("2023-01-01")), later.head(ITEMS // 2)])
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return frames


def trained(folder: Path, change: Callable[[dict], None] | None = None) -> Trained:
    """The store trained and saved; `change` edits its description first."""
    import copy

    description = copy.deepcopy(DESCRIPTION)
    if change is not None:
        change(description)
    frames = tables(folder)
    (folder / "store.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    shop = open_store(folder / "store.yaml")
    data = build(shop)
    tasks = shop.store.tasks
    feeder = Feeder(data, {name: task_options(shop.store, name) for name in tasks}, 0.1)
    torch.manual_seed(0)
    network = Network(data.plan, shop.store.model, tasks)
    Fit(network, feeder, tasks, shop.store.training, "fixed", depth=0).run()
    calibrate(network, feeder, tasks)
    path = save(folder / "bundle", network, data, shop.store, {"metrics": {"carted": {"auc": 0.61, "gauc": float("nan")}}, "notes": shop.notes})
    return Trained(folder, shop, data, feeder, network, frames, path)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def bundle(run: Trained) -> Bundle:
    return Bundle.load(run.path, device="cpu")  # whose answers are those of the run


@pytest.fixture(scope="session")
def train() -> Callable[..., Trained]:
    return trained

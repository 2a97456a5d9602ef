"""A checkerboard shop on disk: a user buys only items of its own colour, twice each week by turns; an item is liked or it is not."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from banyan.evaluation.evaluate import evaluate, validator
from banyan.features.build import build, task_options
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.open import open_store
from banyan.training.loop import Fit
from banyan.types import TEST

USERS, ITEMS, DAYS = 60, 40, 70
STORE = """
store: Black <b>&</b> white
entities:
  user: {table: users.parquet, id: user_id, features: {city: category, taste: category}}
  item: {table: items.parquet, id: item_id, features: {shade: category}}
events: {table: events.parquet, user: user_id, item: item_id, behaviour: event, time: ts, scenario: page}
samples:
  next: {recipe: next_item, behaviours: [buy]}
  rated: {table: rated.parquet, user: user_id, item: item_id, time: ts, labels: {liked: liked, rare: rare}}
  people: {recipe: attributes, of: user, labels: {taste: taste}, split: {by: user, valid: 0.2, test: 0.3}}
  weekly: {recipe: counts, of: buy, by: [item.shade], every: week}
tasks:
  next: {kind: ranking, samples: next, negatives: 20}
  liked: {kind: binary, samples: rated, label: liked}
  rare: {kind: binary, samples: rated, label: rare}
  taste: {kind: classes, samples: people, label: taste}
  demand: {kind: count, samples: weekly}
split: {by: time, valid: 14d, test: 14d}
model: {width: 8, sharing: {part: bottom, layers: [16]}, length: 20}
training: {batch: 128, epochs: 2, threads: 1}
"""


def _write(folder: Path) -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(USERS), DAYS)
    day = np.tile(np.arange(DAYS), USERS)
    # the same walk over the own colour for all: every item of a colour is as popular as the next
    item = 2 * ((user * 7 + day * 3) % (ITEMS // 2)) + user % 2
    time = pl.from_epoch(pl.Series(1_704_067_200 + day * 86_400 + user))  # from Monday 2024-01-01
    page = np.where(rng.random(len(user)) < 0.5, "home", "<i>search</i>")
    pl.DataFrame({"user_id": user, "item_id": item, "event": ["buy"] * len(user), "ts": time, "page": page}).write_parquet(folder / "events.parquet")
    people = np.arange(USERS)
    pl.DataFrame({"user_id": people, "city": rng.choice(["x", "y"], USERS), "taste": np.where(people % 3 == 0, "sweet", "salty")}).write_parquet(
        folder / "users.parquet"
    )
    shade = ["black" if i % 2 else "white" for i in range(ITEMS)]
    pl.DataFrame({"item_id": np.arange(ITEMS), "shade": shade}).write_parquet(folder / "items.parquet")
    rows = 1500
    asked = rng.integers(0, ITEMS, rows)
    liked = (rng.random(rows) < np.where(asked < ITEMS // 2, 0.9, 0.1)).astype(int)
    rare = pl.Series(np.where(np.arange(rows) % 5 == 0, liked, -1)).replace(-1, None)
    when = pl.from_epoch(pl.Series(1_704_067_200 + rng.integers(0, DAYS * 86_400, rows)))
    pl.DataFrame({"user_id": rng.integers(0, USERS, rows), "item_id": asked, "ts": when, "liked": liked, "rare": rare}).write_parquet(folder / "rated.parquet")
    (folder / "store.yaml").write_text(STORE, encoding="utf-8")


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The checkerboard shop with its arrays, a network after two epochs, and its evaluation on the test part."""
    folder = tmp_path_factory.mktemp("board")
    _write(folder)
    shop = open_store(folder / "store.yaml")
    data = build(shop)
    store = shop.store
    feeder = Feeder(data, {t: task_options(store, t) for t in store.tasks}, 0.1)
    torch.manual_seed(0)
    network = Network(data.plan, store.model, store.tasks)
    fit = Fit(network, feeder, store.tasks, store.training, "fixed", evaluate=validator(feeder, store.tasks), depth=0)
    record = fit.run()
    evaluation = evaluate(network, feeder, store.tasks, TEST, by_scenario=True, intervals=30)
    return SimpleNamespace(shop=shop, store=store, data=data, feeder=feeder, network=network, fit=fit, record=record, evaluation=evaluation)

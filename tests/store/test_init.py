"""`init`: what it writes from ordinary files loads and opens without a change."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.store.init import init
from banyan.store.open import open_store
from banyan.types import TRAIN

DRAW = np.random.default_rng(0)
USERS, ITEMS, N = 80, 50, 4000
BEGIN = datetime(2024, 1, 1)


def users():
    return pl.DataFrame(
        {
            "customer_id": range(1000, 1000 + USERS),
            "email": [f"{k}@shop.example" for k in range(USERS)],
            "age_group": DRAW.choice(["young", "old"], USERS),
            "joined": [f"2023-0{1 + k % 9}-01" for k in range(USERS)],
            "newsletter": DRAW.choice([True, False], USERS),
        }
    )


def items():
    return pl.DataFrame(
        {
            "product_id": [f"p{k}" for k in range(ITEMS)],
            "title": [f"A fine thing number {k} in blue" for k in range(ITEMS)],
            "category": [f"c{k % 5}" for k in range(ITEMS)],
            "list price": DRAW.random(ITEMS).round(2),
            "tags": [f"t{k % 3}|t{k % 7}" for k in range(ITEMS)],
            "photo": [f"https://shop.example/{k}.jpg" for k in range(ITEMS)],
            "currency": ["EUR"] * ITEMS,
        }
    )


def events(days=90, behaviours=("view", "add_to_cart", "purchase")):
    ends = sorted(DRAW.random(N))
    return pl.DataFrame(
        {
            "customer_id": 1000 + DRAW.integers(0, USERS, N),
            "product_id": [f"p{k}" for k in DRAW.integers(0, ITEMS, N)],
            "event_type": DRAW.choice(list(behaviours), N),
            "timestamp": [(BEGIN + timedelta(days=days * e)).isoformat(sep=" ", timespec="seconds") for e in ends],
            "page": DRAW.choice(["home", "search"], N),
            "amount": DRAW.random(N).round(2),
        }
    )


def opened(folder, frames):
    for name, frame in frames.items():
        frame.write_csv(folder / name)
    text = init([folder / name for name in frames], folder)
    (folder / "store.yaml").write_text(text)
    return open_store(folder / "store.yaml"), text


def test_users_items_and_events_open_as_they_are(tmp_path):
    shop, text = opened(tmp_path, {"users.csv": users(), "items.csv": items(), "events.csv": events()})
    store = shop.store
    assert store.events.model_dump(include={"user", "item", "behaviour", "time", "scenario", "value"}) == {
        "user": "customer_id", "item": "product_id", "behaviour": "event_type", "time": "timestamp", "scenario": "page", "value": "amount",
    }  # fmt: skip
    assert {k: f.kind for k, f in store.entities["user"].features.items()} == {"age_group": "category", "joined": "time", "newsletter": "category"}
    kinds = {"title": "text", "category": "category", "list price": "number", "tags": "tags"}
    assert {k: f.kind for k, f in store.entities["item"].features.items()} == kinds
    assert set(store.tasks) == {"bought", "next", "demand"}
    assert store.tasks["bought"].stages == ["cart", "buy"]
    assert all((table.part == TRAIN).any() for table in shop.samples.values())
    assert "email: left out, looks personal" in text
    assert "currency: left out, holds one value" in text


@pytest.mark.parametrize("days", [0.5, 3, 30, 400])
def test_events_alone_open_whatever_time_they_span(tmp_path, days):
    shop, _ = opened(tmp_path, {"log.csv": events(days)})
    assert shop.log.clock == "time"
    assert "bought" in shop.store.tasks
    assert all((table.part == TRAIN).any() for table in shop.samples.values())


def test_purchases_only_ask_what_comes_back(tmp_path):
    shop, _ = opened(tmp_path, {"orders.csv": events(200).drop("event_type"), "items.csv": items()})
    assert shop.store.tasks["again"].kind == "binary"
    assert shop.samples["again"].labels["again"].n_unique() == 2


def test_events_without_a_time_are_a_set(tmp_path):
    shop, text = opened(tmp_path, {"pairs.csv": events().select("customer_id", "product_id", "event_type")})
    assert shop.log.clock == "none"
    assert shop.store.split.by == "leave_one_out"
    assert "nobody knows what came first" in text


def test_labelled_rows_without_events(tmp_path):
    n = 300
    judged = pl.DataFrame(
        {"product_id": [f"p{k % ITEMS}" for k in range(n)], "query": [f"word {k % 40}" for k in range(n)], "relevance": [1 + k % 3 for k in range(n)]}
    )
    shop, _ = opened(tmp_path, {"judgements.csv": judged, "items.csv": items()})
    assert shop.store.tasks["judgements"].kind == "graded"
    assert len(shop.samples["judgements"]) == n


def test_a_plain_table_is_split_at_random(tmp_path):
    n = 300
    plain = pl.DataFrame({"a": DRAW.normal(size=n), "b": DRAW.choice(["x", "y"], n), "answer": DRAW.integers(0, 2, n)})
    shop, text = opened(tmp_path, {"plain.csv": plain})
    assert "split: {by: random, valid: 0.1, test: 0.2}" in text
    assert set(shop.samples["plain"].part.tolist()) == {0, 1, 2}


def test_files_that_are_called_after_the_parts_are_one_table(tmp_path):
    frames = {f"{name}.csv": pl.DataFrame({"a": DRAW.normal(size=n), "y": DRAW.integers(0, 2, n)}) for name, n in (("train", 60), ("val", 20), ("test", 30))}
    shop, text = opened(tmp_path, frames)
    assert list(shop.samples) == ["train"]
    assert "files: {valid: val.csv, test: test.csv}" in text
    assert np.bincount(shop.samples["train"].part).tolist() == [60, 20, 30]


def test_what_cannot_be_predicted_is_refused(tmp_path):
    items().write_csv(tmp_path / "items.csv")
    with pytest.raises(ConfigError, match="nothing to predict"):
        init([tmp_path / "items.csv"], tmp_path)
    with pytest.raises(ConfigError, match="There is no file"):
        init([tmp_path / "itms.csv"], tmp_path)

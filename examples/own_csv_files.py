"""Three CSV files become one model: describe the store, check it, train, predict. Run: python examples/own_csv_files.py [FOLDER]"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

import banyan

STORE = """
store: corner shop
entities:
  user: {table: users.csv, id: user_id, features: {city: category, age_group: category}}
  item: {table: items.csv, id: item_id, features: {title: text, brand: category, price: number}}
events: {table: events.csv, user: user_id, item: item_id, behaviour: event, time: ts, value: price}
samples:
  viewed: {recipe: outcomes, after: view, within: 7d, labels: {cart: cart, buy: purchase}}
  next: {recipe: next_item, behaviours: purchase}
  people: {recipe: attributes, of: user, labels: {age: age_group}, split: {by: user}}
tasks:
  bought: {kind: funnel, samples: viewed, stages: [cart, buy]}
  next: {kind: ranking, samples: next}
  age: {kind: classes, samples: people, label: age}
split: {by: time, valid: 14d, test: 14d}
model: {sharing: ple, balancing: uncertainty}
training: {epochs: 10, batch: 512}
"""


def write_files(folder: Path, users: int = 300, items: int = 120, views: int = 12_000, seed: int = 0) -> None:
    """A shop in which the young like one half of the brands and the old the other, over 90 days. What is bought lay in the cart, so `next` is easy."""
    draw = np.random.default_rng(seed)
    young, brand = draw.random(users) < 0.5, draw.integers(0, 6, items)
    price = draw.lognormal(2.0, 0.6, items).round(2)
    cities = np.array(["Lyon", "Porto", "Graz"])
    pl.DataFrame(
        {"user_id": np.arange(users), "city": cities[draw.integers(0, 3, users)], "age_group": np.where(young, "under 40", "40 and over")},
    ).write_csv(folder / "users.csv")
    pl.DataFrame(
        {"item_id": np.arange(items), "title": [f"brand {b} article {i}" for i, b in enumerate(brand)], "brand": [f"b{b}" for b in brand], "price": price},
    ).write_csv(folder / "items.csv")
    user, item = draw.integers(0, users, views), draw.integers(0, items, views)
    liked = young[user] == (brand[item] < 3)
    when = np.datetime64("2026-01-01", "ms") + 1000 * draw.integers(0, 90 * 86_400, views)
    cart = draw.random(views) < np.where(liked, 0.4, 0.1)
    bought = cart & (draw.random(views) < 0.5)
    steps = [(np.arange(views), "view", 0), (np.flatnonzero(cart), "cart", 60), (np.flatnonzero(bought), "purchase", 600)]  # rows, behaviour, seconds later
    events = [
        pl.DataFrame({"user_id": user[row], "item_id": item[row], "event": [name] * len(row), "ts": when[row] + 1000 * late, "price": price[item[row]]})
        for row, name, late in steps
    ]
    pl.concat(events).sort("ts").write_csv(folder / "events.csv")


def main(folder: Path, users: int = 300, views: int = 12_000, settings: list[str] | None = None) -> banyan.Run:
    """Describe, train, answer. `settings` such as training.epochs=1 change the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_files(folder, users=users, views=views)
    (folder / "store.yaml").write_text(STORE)  # `banyan init users.csv items.csv events.csv` writes a first version of this page
    store = banyan.load(folder / "store.yaml", settings or [])  # `banyan check store.yaml` says what the data can support
    run = banyan.train(store, folder / "run")
    print(run.table())
    asked = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [5, 6, 5], "ts": ["2026-04-01T12:00:00"] * 3})
    print(run.bundle.predict("viewed", asked))
    return run


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/own_csv_files"))

"""A shop with many events and few labels, which asks for auxiliary tasks and for pseudo-labels."""

from pathlib import Path

import numpy as np
import polars as pl

PEOPLE, THINGS = 40, 20
PAGE = """
store: scarce
entities:
  user: {table: users.parquet, id: user_id, features: {city: category, taste: category}}
  item: {table: items.parquet, id: item_id, features: {shade: category}}
events: {table: events.parquet, user: user_id, item: item_id, time: ts}
samples:
  rated: {table: rated.parquet, user: user_id, item: item_id, labels: {liked: liked}, split: {by: user, valid: 0.2, test: 0.2}}
  people: {recipe: attributes, of: user, labels: {taste: taste}, split: {by: user, valid: 0.2, test: 0.2}}
tasks:
  liked: {kind: binary, samples: rated, pseudo_labels: {confidence: 0.0, ratio: 2}}
  taste: {kind: classes, samples: people, pseudo_labels: {after: 2, confidence: 0.0, soft: true}}
auxiliary: {masked: {kind: masked_events, histories: 16}, views: {kind: contrastive, histories: 16}, upcoming: {kind: next_event, weight: 0.3}}
split: {by: time, valid: 0.1, test: 0.1}
model: {width: 4, sharing: {part: mmoe, layers: [8], dropout: 0.2}}
training: {batch: 24, epochs: 4, steps: 3, threads: 1, bf16: false, lr: 0.01, patience: 9, pretrain: 4}
"""


def scarce(place: Path) -> Path:
    """Write the shop into a folder; the path of its page."""
    rng = np.random.default_rng(0)
    people, things = np.arange(PEOPLE), np.arange(THINGS)
    taste = pl.Series(np.where(people % 3 == 0, "sweet", "salty")).set(pl.Series(people % 4 == 1), None)
    pl.DataFrame({"user_id": people, "city": rng.choice(["x", "y"], PEOPLE), "taste": taste}).write_parquet(place / "users.parquet")
    pl.DataFrame({"item_id": things, "shade": rng.choice(["black", "white"], THINGS)}).write_parquet(place / "items.parquet")
    who, what = rng.integers(0, PEOPLE, 300), rng.integers(0, THINGS, 300)
    liked = pl.Series((rng.random(300) < np.where((who + what) % 2, 0.8, 0.2)).astype(int)).set(pl.Series(np.arange(300) % 3 > 0), None)
    pl.DataFrame({"user_id": who, "item_id": what, "liked": liked}).write_parquet(place / "rated.parquet")
    when = pl.from_epoch(pl.Series(1_700_000_000 + rng.integers(0, 90, 400) * 86_400))
    pl.DataFrame({"user_id": rng.integers(0, PEOPLE, 400), "item_id": rng.integers(0, THINGS, 400), "ts": when}).write_parquet(place / "events.parquet")
    (place / "store.yaml").write_text(PAGE, encoding="utf-8")
    return place / "store.yaml"

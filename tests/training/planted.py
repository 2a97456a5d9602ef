"""A store in which two tasks follow one number, and a third follows another."""

from pathlib import Path

import numpy as np
import polars as pl

from banyan.store.load import load
from banyan.store.schema import Store

ROWS = 900
STORE = """
store: planted
entities:
  user: {table: users.parquet, id: user_id, embed_id: false, features: {age: number}}
samples:
  asked:
    {table: asked.parquet, user: user_id, time: at, scenario: page, features: {left: number, right: number}, labels: {same: same, like: like, other: other}}
tasks:
  same: {kind: binary, samples: asked, label: same}
  like: {kind: binary, samples: asked, label: like}
  other: {kind: binary, samples: asked, label: other}
split: {by: user, valid: 0.3, test: 0.3}
model: {width: 2, sharing: {part: bottom, layers: [4]}, wide: false, products: false, history: null}
training: {batch: 300, epochs: 6, steps: 10, threads: 1, bf16: false, lr: 0.03, patience: 9}
"""


def planted(folder: Path, rows: int = ROWS, seed: int = 0) -> Store:
    """Write the tables and the page; `same` and `like` follow `left`, `other` follows `right`."""
    rng = np.random.default_rng(seed)
    users = np.arange(rows // 3)
    pl.DataFrame({"user_id": users, "age": rng.normal(size=len(users))}).write_parquet(folder / "users.parquet")
    left, right = rng.normal(size=(2, rows))
    chance = {"same": left, "like": left, "other": right}
    labels = {name: (rng.random(rows) < 1 / (1 + np.exp(-4 * score))).astype(int) for name, score in chance.items()}
    who, page = rng.permutation(np.repeat(users, 3))[:rows], rng.choice(["home", "search"], rows)
    at = pl.from_epoch(pl.Series(1_700_000_000 + rng.integers(0, 90 * 86_400, rows)), time_unit="s")
    pl.DataFrame({"user_id": who, "at": at, "page": page, "left": left, "right": right, **labels}).write_parquet(folder / "asked.parquet")
    (folder / "store.yaml").write_text(STORE, encoding="utf-8")
    return load(folder / "store.yaml")

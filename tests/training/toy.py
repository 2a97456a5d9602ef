"""A shop of 40 people and 30 things with two samples tables of unlike size, for tests of the loop.

As a program it trains (`toy.py TABLES RUN BALANCER EPOCHS`), and first begins that run once for every further argument, each time in a
process of its own that is killed: `12+0.004` from outside, 4 ms after the 12th line of its history; `sync:7` as it hands the disk its 7th file.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from banyan import disk
from banyan.evaluation.evaluate import validator
from banyan.features.build import build
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training import loop
from banyan.training.loop import Fit

loop.WRITING = 1.0  # checkpoints as often as may be


def unsynced(path: Path) -> None:
    """In place of `disk.sync`, which is slow: a process that is killed loses nothing that the system holds."""


disk.sync = unsynced

PEOPLE, THINGS, ROWS = 40, 30, 400
STORE = """
store: toy
entities:
  user: {table: users.parquet, id: user_id, features: {city: category, age: number, taste: category}}
  item: {table: items.parquet, id: item_id, features: {shade: category}}
samples:
  rated: {table: rated.parquet, user: user_id, item: item_id, labels: {liked: liked, rare: rare}}
  people: {recipe: attributes, of: user, labels: {taste: taste}}
tasks:
  liked: {kind: binary, samples: rated, label: liked}
  rare: {kind: binary, samples: rated, label: rare}
  taste: {kind: classes, samples: people, label: taste}
split: {by: user, valid: 0.2, test: 0.1}
model: {width: 4, sharing: {part: mmoe, layers: [8], dropout: 0.2}}
training: {batch: 24, epochs: 3, steps: 9, threads: 1, bf16: false, lr: 0.01, patience: 9}
"""


@dataclass
class Toy:
    """The shop, described and as arrays."""

    store: Store
    data: Data


def toy(folder: Path) -> Toy:
    """Write the shop into a folder and open it."""
    rng = np.random.default_rng(0)
    people, things = np.arange(PEOPLE), np.arange(THINGS)
    city, taste = rng.choice(["x", "y"], PEOPLE), np.where(people % 3 == 0, "sweet", "salty")
    pl.DataFrame({"user_id": people, "city": city, "age": rng.normal(40, 9, PEOPLE), "taste": taste}).write_parquet(folder / "users.parquet")
    pl.DataFrame({"item_id": things, "shade": rng.choice(["black", "white"], THINGS)}).write_parquet(folder / "items.parquet")
    who, what = rng.integers(0, PEOPLE, ROWS), rng.integers(0, THINGS, ROWS)
    liked = (rng.random(ROWS) < np.where((who + what) % 2, 0.8, 0.2)).astype(int)
    rare = pl.Series(np.where(np.arange(ROWS) % 40 == 0, 1 - liked, -1)).replace(-1, None)
    pl.DataFrame({"user_id": who, "item_id": what, "liked": liked, "rare": rare}).write_parquet(folder / "rated.parquet")
    (folder / "store.yaml").write_text(STORE, encoding="utf-8")
    shop = open_store(folder / "store.yaml")
    return Toy(shop.store, build(shop))


def fit(toy: Toy, folder: Path | None = None, balancing: Any = "gradnorm", *, validate: Any = None, watch: Any = None, **changes: Any) -> Fit:
    """A run of the toy; `changes` are options of the training, or of `Fit`."""
    training = toy.store.training.model_copy(update={k: v for k, v in changes.items() if k in type(toy.store.training).model_fields})
    rest = {k: v for k, v in changes.items() if k not in type(training).model_fields}
    feeder = Feeder(toy.data, {}, id_dropout=0.2)
    torch.manual_seed(training.seed)
    network = Network(toy.data.plan, toy.store.model, toy.store.tasks)
    evaluate = validate or validator(feeder, toy.store.tasks)
    options = {"checkpoint_seconds": 0.0, "log_every": 3, **rest}
    return Fit(network, feeder, toy.store.tasks, training, balancing, evaluate=evaluate, folder=folder, watch=watch, **options)


class Beat:
    """A watch that writes a byte a line."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def step(self, *_: object) -> None:
        os.write(self.pipe, b".")

    def epoch(self, *_: object) -> None:
        pass


def kill_at_sync(number: int) -> None:
    """Have this process die as it syncs its `number`-th file or folder."""
    calls = iter(range(1, 1_000_000))

    def dying(path: Path) -> None:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    disk.sync = dying


def begin_and_kill(moment: str, *args: Any, **options: Any) -> None:
    """Start the run in another process and kill it."""
    lines, _, delay = moment.partition("+")
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        if not delay:
            kill_at_sync(int(moment.partition(":")[2]))
        fit(*args, watch=Beat(writes), **options).run()
        os._exit(0)  # the run ended before its end was due
    os.close(writes)
    if delay:
        for _ in range(int(lines)):
            os.read(reads, 1)
        time.sleep(float(delay))
        os.kill(child, signal.SIGKILL)
    how = os.waitpid(child, 0)[1]
    os.close(reads)
    assert os.WIFSIGNALED(how), f"{moment}: the run had ended"
    assert os.WTERMSIG(how) == signal.SIGKILL


if __name__ == "__main__":
    tables, run, part = toy(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
    for moment in sys.argv[5:]:
        begin_and_kill(moment, tables, run, part, epochs=int(sys.argv[4]))
    fit(tables, run, part, epochs=int(sys.argv[4])).run()

"""A generated table shaped like AliExpress: 16 categorical columns, 8 numbers, 2 labels that depend on them. Knows no contender."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS, NUMBERS, LABELS = 16, 8, ("click", "buy")
FEWEST, MOST = 10, 500_000  # values of the smallest and of the largest column
ZIPF = 1.05
BASE = (-1.6, -3.0)  # log odds of the labels before any effect: rates of roughly a fifth and a fifteenth
HELD = 0.1  # share of the rows that no contender trains on


@dataclass
class Table:
    """The first `train` rows train; the others are held out."""

    ids: Array  # (n, 16) int32, each column from 0
    numbers: Array  # (n, 8) float32
    labels: Array  # (n, 2) float32, 0 or 1
    sizes: list[int]  # values of each column
    train: int


def sizes() -> list[int]:
    """Values of each column, evenly spaced on a logarithmic scale: 973 thousand rows of embeddings altogether."""
    return [round(s) for s in np.geomspace(FEWEST, MOST, COLUMNS)]


def make(rows: int, train: int, seed: int = 0) -> Table:
    """A table of `rows` rows, the same for the same seed."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((rows, NUMBERS), np.float32)
    log_odds = _of_numbers(numbers, rng)
    ids = np.empty((rows, COLUMNS), np.int32)
    for column, size in enumerate(sizes()):
        ids[:, column] = _zipf(rows, size, rng)
        click = rng.standard_normal(size)
        log_odds[:, 0] += 0.25 * click[ids[:, column]]
        log_odds[:, 1] += 0.25 * (0.7 * click + 0.7 * rng.standard_normal(size))[ids[:, column]]  # the tasks agree in part
    labels = rng.random((rows, 2)) < 1 / (1 + np.exp(-log_odds))
    return Table(ids, numbers, labels.astype(np.float32), sizes(), train)


def _zipf(rows: int, size: int, rng: np.random.Generator) -> Array:
    """Ids whose frequency falls as rank^-1.05; which id has which rank is drawn."""
    mass = np.cumsum(np.arange(1, size + 1) ** -ZIPF)
    rank = np.searchsorted(mass, rng.random(rows) * mass[-1])
    return np.asarray(rng.permutation(size)[np.minimum(rank, size - 1)], np.int32)


def _of_numbers(numbers: Array, rng: np.random.Generator) -> Array:
    """(n, 2) log odds: a line, a bend and a product, so that a network has something to learn."""
    lines = rng.normal(0, 0.3, (NUMBERS, 2))
    bends = 0.4 * np.abs(numbers[:, :1]) + 0.3 * numbers[:, 1:2] * numbers[:, 2:3]
    return np.asarray(numbers @ lines + bends + np.array(BASE), np.float64)


def save(table: Table, folder: Path) -> None:
    """Write a table where contenders in other environments can read it."""
    for name in ("ids", "numbers", "labels"):
        np.save(folder / f"{name}.npy", getattr(table, name))
    np.save(folder / "sizes.npy", np.array([*table.sizes, table.train]))


def load(folder: Path) -> Table:
    """What `save` wrote."""
    *found, train = np.load(folder / "sizes.npy").tolist()
    ids, numbers, labels = (np.load(folder / f"{name}.npy") for name in ("ids", "numbers", "labels"))
    return Table(ids, numbers, labels, found, train)


def log_loss(probability: Array, label: Array) -> list[float]:
    """Log loss (nats) of each column of answers (n, 2)."""
    p = np.clip(np.asarray(probability, np.float64), 1e-7, 1 - 1e-7)
    return [float(x) for x in -(label * np.log(p) + (1 - label) * np.log(1 - p)).mean(0)]

"""Planted stores for the benchmark of transfer: written with vocabularies and feature sets of their own, joined, and thinned to a share of their rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from banyan.store.schema import Store
from banyan.store.several import join
from banyan.store.world import World
from banyan.types import TEST, TRAIN, VALID, Array

TASKS = ("bought", "keeps", "returns", "loyal", "vip", "interests", "redeemed", "relevance")
LEAST = 10  # rows of a table's training, and of its validation


def write(world: World, number: int, folder: Path) -> Path:
    """The store as files: the first has no pictures' vectors, the second no channels, the third calls its brands makers. Returns its page."""
    page = world.write(folder, oracles=False)
    described = yaml.safe_load(page.read_text())
    described["store"] = f"store-{number + 1}"
    described["tasks"] = {name: described["tasks"][name] for name in TASKS}
    described["samples"] = {name: each for name, each in described["samples"].items() if name in {task["samples"] for task in described["tasks"].values()}}
    described["training"]["passes_of"] = {}
    users, items = (described["entities"][name]["features"] for name in ("user", "item"))
    if number == 0:
        del items["look"]
    if number == 1:
        del users["channel"]
    if number == 2:
        items["maker"] = {"kind": items.pop("brand"), "column": "brand"}
    page.write_text(yaml.safe_dump(described, sort_keys=False))
    return page


def joined(stores: Sequence[Store], folder: Path) -> Store:
    """The stores as one."""
    return join(stores, folder)[0]


def thinned(world: World, page: Path, share: float, folder: Path) -> Path:
    """The same store with a share of its rows: of every table's training and validation rows, and of the events before the test. The test is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([world.seed, round(1 / share)])
    for path in page.parent.glob("*.parquet"):
        frame = pl.read_parquet(path)
        if path.stem in world.samples:
            frame = frame.filter(_kept(rng, world.samples[path.stem].part, share))
        elif path.stem == "events":
            frame = frame.filter(_kept(rng, world.calendar.part(frame["ts"].dt.epoch("us").to_numpy()), share))
        frame.write_parquet(folder / path.name)
    (folder / "store.yaml").write_text(page.read_text())
    return folder / "store.yaml"


def _kept(rng: np.random.Generator, part: Array, share: float) -> pl.Series:
    """Which rows stay: all of the test, and of training and validation a share each, `LEAST` rows at least."""
    kept = part == TEST
    for each in (TRAIN, VALID):
        rows = np.flatnonzero(part == each)
        kept[rng.permutation(rows)[: max(LEAST, round(share * len(rows)))]] = True
    return pl.Series(kept)


def settings(share: float, options: dict[str, Any]) -> list[str]:
    """The same budget for both sides: about as many steps for few rows as for many, in smaller ones."""
    batch = int(np.clip(round(options["batch"] * share), 64, options["batch"]))
    return [f"training.batch={batch}", f"training.epochs={options['epochs']}", f"training.patience={options['epochs']}", "training.bf16=false", *options["set"]]

"""Beauty to Toys: what a store of item sequences gains by starting from another's, where no item, no user and no attribute's code is common to both.

What can move is how a past is read and what leads from there to an item's vector. Attributes are numbers of each store's own, which happen to be the
same numbers: `share` says so.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import banyan
from benchmarks import _ranked
from benchmarks.next_item import PAGE, tables

OLD, NEW = "Beauty", "Toys_and_Games"
SHARES = (1 / 27, 1 / 9, 1 / 3)
SIDES = ("scratch", "bundle")
APART = {"item.attributes": False}


def run(options: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    """What the last line says."""
    seeds = []
    for seed in range(options.first, options.first + options.seeds):
        folder = options.folder / "sequences" / f"seed-{seed}"
        old = _page(options.sequences, OLD, 1.0, folder / "old")
        sets = [f"training.epochs={options.epochs}", f"training.seed={seed}", *options.set]
        if not (folder / "old-run" / "bundle").is_dir():
            _train(old, folder / "old-run", sets, None)
            tell(f"seed {seed}: {OLD} trained")
        seeds.append({side: {_name(share): _one(options, share, side, folder, sets, tell) for share in SHARES} for side in SIDES})
    levels = {side: {_name(s): [seed[side][_name(s)]["ndcg@10"] for seed in seeds] for s in SHARES} for side in SIDES}
    recall = {side: {_name(s): [seed[side][_name(s)]["recall@10"] for seed in seeds] for s in SHARES} for side in SIDES}
    return {"benchmark": "transfer", "from": OLD, "to": NEW, "seeds": len(seeds), "ndcg@10": levels, "recall@10": recall}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The entry in RESULTS.md."""
    found = [f"- {result['seeds']} seeds; a share of the users of {NEW}, judged on the last items of the same users, both sides alike", ""]
    found += ["| users | NDCG@10 from scratch | from Beauty | recall@10 from scratch | from Beauty |", "| --- | --- | --- | --- | --- |"]
    for share in result["ndcg@10"]["scratch"]:
        cells = [" ".join(f"{value:.4f}" for value in result[key][side][share]) for key in ("ndcg@10", "recall@10") for side in SIDES]
        found.append(f"| {share} | {' | '.join(cells)} |")
    return found


def _name(share: float) -> str:
    return "1" if share == 1 else f"1/{round(1 / share)}"


def _page(data: Path, name: str, share: float, folder: Path) -> Path:
    """The store of a share of the users: the same ones in every seed, and those of a smaller share among those of a larger one."""
    if (folder / "store.yaml").exists():
        return folder / "store.yaml"
    page = copy.deepcopy(PAGE)
    page["store"], page["model"]["signals"], page["model"]["width"] = name, {}, 32
    page["tasks"]["next"] |= {"blend": "together", "negatives": 500}
    made = tables(data / f"{name}_sequences.parquet", data / f"{name}_item_attributes.parquet")
    users = made["events"]["user"].unique().sort()
    kept = users.gather(np.sort(np.random.default_rng(0).permutation(len(users))[: round(share * len(users))]))
    return _ranked.write(folder, page, made | {"events": made["events"].filter(pl.col("user").is_in(kept.implode()))})


def _one(options: argparse.Namespace, share: float, side: str, folder: Path, sets: list[str], tell: Callable[[str], None]) -> dict[str, float]:
    label = f"{side}-{_name(share).replace('/', '-of-')}"
    ledger = folder / f"{label}.json"
    if ledger.exists():
        return dict(json.loads(ledger.read_text()))
    began = time.process_time()
    page = _page(options.sequences, NEW, share, folder / f"new-{_name(share).replace('/', '-of-')}")
    batch = f"training.batch={int(np.clip(round(1024 * share), 64, 1024))}"
    run_ = _train(page, folder / label, [*sets, batch], folder / "old-run" / "bundle" if side == "bundle" else None)
    found = {key: float(run_.evaluation.figures["next"][key]) for key in ("ndcg@10", "recall@10")} | {"cpu_seconds": time.process_time() - began}
    ledger.write_text(json.dumps(found))
    tell(f"{_name(share)} of the users of {NEW}, from {side}: NDCG@10 {found['ndcg@10']:.4f} ({found['cpu_seconds']:.0f} CPU s)")
    return found


def _train(page: Path, folder: Path, sets: list[str], bundle: Path | None) -> Any:
    start: dict[str, Any] = {} if bundle is None else {"start_from": bundle, "share": APART}
    return banyan.train(banyan.load(page, sets), folder, alone=False, simple=False, draws=0, most=None, **start)

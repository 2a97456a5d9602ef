"""A purchase that may still come: what do the ways of learning from open windows cost, where the true chance of every row is known?

    python -m benchmarks.delayed --seeds 3

A shelf that changes: items come and go, so much of what is asked about began to be seen only shortly before training ends. The chance of a
purchase within 14 days of a view hangs on the user and the item, its delay on neither. Chances are compared with the true ones on
test rows, of all items that training saw and of those of which it saw open windows only. The last line printed is a JSON
object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from banyan import inference, parts
from banyan.evaluation.evaluate import validator
from banyan.features.build import build
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.training.loop import Fit
from banyan.types import TEST, TRAIN, Array
from benchmarks import _report

DAYS, LIVE, WITHIN = 100, 40, 14
SECONDS = 86_400
STORE: dict[str, Any] = {
    "store": "a shelf that changes",
    "entities": {
        "user": {"table": "users.parquet", "id": "user_id", "features": {"segment": "category"}},
        "item": {"table": "items.parquet", "id": "item_id", "features": {"price": "number"}},
    },
    "events": {"table": "events.parquet", "user": "user_id", "item": "item_id", "behaviour": "event", "time": "ts"},
    "samples": {"viewed": {"recipe": "outcomes", "after": "view", "within": f"{WITHIN}d", "labels": {"buy": "purchase"}}},
    "tasks": {"bought": {"kind": "binary", "samples": "viewed"}},
    "split": {"by": "time", "valid": f"{WITHIN + 3}d", "test": f"{WITHIN + 6}d"},
    "model": {"width": 8, "sharing": {"part": "bottom", "layers": [32]}, "history": None, "pairs": False, "statistics": False, "id_dropout": 0.02},
    "training": {"batch": 512, "epochs": 12, "threads": 1, "bf16": False},
}


@dataclass(frozen=True)
class Shelf:
    """The truth: log odds of a purchase are the user's and the item's added up."""

    user: Array
    item: Array

    def chance(self, user: Array, item: Array) -> Array:
        """The probability that a view ends in a purchase within the window."""
        return np.asarray(1 / (1 + np.exp(-(self.user[user] + self.item[item]))))


def write(folder: Path, views: int, seed: int, users: int = 2000, items: int = 300) -> Shelf:
    """The shop's files, and the truth behind them. Delays are log-normal with a median of 3 days, drawn again where they exceed the window."""
    rng = np.random.default_rng(seed)
    segment, price = rng.integers(0, 5, users), rng.lognormal(size=items)
    shelf = Shelf(0.5 * (segment - 2) + 0.4 * rng.normal(size=users), -1.6 - 0.5 * np.log(price) + 0.9 * rng.normal(size=items))
    launch = rng.uniform(-LIVE, DAYS, items)
    when = rng.uniform(0, DAYS, views)
    user, item = rng.integers(0, users, views), rng.integers(0, items, views)
    for _ in range(60):  # an item that is not on the shelf is drawn again
        away = (when < launch[item]) | (when > launch[item] + LIVE)
        item[away] = rng.integers(0, items, int(away.sum()))
    bought = rng.random(views) < shelf.chance(user, item)
    wait = rng.lognormal(np.log(3.0), 1.0, views)
    while (late := wait > WITHIN).any():
        wait[late] = rng.lognormal(np.log(3.0), 1.0, int(late.sum()))
    _, first = np.unique(user * items + item, return_index=True)  # one view a pair, so that a purchase is that view's
    keep = np.zeros(views, bool)
    keep[first] = True
    bought, seen = bought & keep & (when + wait < DAYS), keep
    time = np.concatenate([when[seen], (when + wait)[bought]])
    frame = {"user_id": np.r_[user[seen], user[bought]], "item_id": np.r_[item[seen], item[bought]]}
    event = ["view"] * int(seen.sum()) + ["purchase"] * int(bought.sum())
    pl.DataFrame({**frame, "event": event, "ts": pl.from_epoch(pl.Series((1_700_000_000 + time * SECONDS).astype(np.int64)))}).write_parquet(
        folder / "events.parquet"
    )
    pl.DataFrame({"user_id": np.arange(users), "segment": segment.astype(str)}).write_parquet(folder / "users.parquet")
    pl.DataFrame({"item_id": np.arange(items), "price": price}).write_parquet(folder / "items.parquet")
    return shelf


def run(folder: Path, shelf: Shelf, method: str, seed: int) -> dict[str, float]:
    """Train with one method; figures against the true chances of the test rows whose item training saw."""
    described = {**STORE, "tasks": {"bought": {**STORE["tasks"]["bought"], "delayed": method}}}
    (folder / "store.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    store = load(folder / "store.yaml", [f"training.seed={seed}"])
    shop = open_store(store)
    data, table = build(shop), shop.samples["viewed"]
    assert shop.cut is not None
    assert table.time is not None
    feeder = feeder_of(data, store)
    torch.manual_seed(seed)
    network = Network(data.plan, store.model, store.tasks)
    Fit(network, feeder, store.tasks, store.training, "fixed", evaluate=validator(feeder, store.tasks), depth=0).run()
    rows = np.flatnonzero(table.part == TEST)
    user, item = (shop.entities[name].ids[table.entities[name][rows] - 1].astype(np.int64) for name in ("user", "item"))
    number = table.entities["item"]
    early = (table.part != TEST) & (table.time < shop.cut[0])
    known = np.isin(number[rows], number[early])
    fresh = known & ~np.isin(number[rows], number[early & (table.time + (WITHIN * SECONDS * 1_000_000) < shop.cut[0])])
    answer = inference.predict(network, feeder, "viewed", rows, ["bought"])["bought"][:, 0].astype(np.float64)
    true = shelf.chance(user, item)
    return {**_figures(answer[known], true[known], ""), **_figures(answer[fresh], true[fresh], "_new"), "training_rows": float((table.part == TRAIN).sum())}


def _figures(answer: Array, true: Array, name: str) -> dict[str, float]:
    """Cross entropy above that of the truth (nats), and the mean answer over the mean truth, less 1."""
    p = np.clip(answer, 1e-7, 1 - 1e-7)
    regret = true * np.log(true / p) + (1 - true) * np.log((1 - true) / (1 - p))
    return {f"regret{name}": float(regret.mean()), f"bias{name}": float(p.mean() / true.mean() - 1), f"rows{name}": float(len(p))}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delayed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="shops and runs")
    parser.add_argument("--views", type=int, default=60_000)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, float]]] = {method: [] for method in parts.names("delayed")}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as place:
            shelf = write(Path(place), options.views, seed)
            for method, each in found.items():
                each.append(run(Path(place), shelf, method, seed))
                print(f"seed {seed} {method:10} {' '.join(f'{key} {value:.4f}' for key, value in each[-1].items())}", flush=True)
    methods = {method: {key: _spread([e[key] for e in each]) for key in each[0]} for method, each in found.items()}
    result = {"benchmark": "delayed", "seeds": options.seeds, "views": options.views, "methods": methods}
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.delayed", *given]), result))
    print(json.dumps(result), flush=True)
    return result


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else 0.0}


def _entry(command: str, result: dict[str, Any]) -> str:
    columns = ("regret", "bias", "regret_new", "bias_new", "training_rows")
    head = f"| method | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}"
    rows = [f"| {method} | {' | '.join(_shown(each[c]) for c in columns)} |" for method, each in result["methods"].items()]
    said = f"{result['seeds']} shops of {result['views']:,} views, one run each; mean and standard deviation."
    more = "regret: nats above the true chances' cross entropy. _new: items of which training saw open windows only. bias: mean answer over mean truth, less 1."
    facts = [*_report.facts(command, _report.versions({})), f"- {said} {more}"]
    return "\n".join(["\n## delayed labels\n", *facts, "", head, *rows, ""])


def _shown(figure: dict[str, float]) -> str:
    return f"{figure['mean']:,.0f}" if figure["mean"] > 100 else f"{figure['mean']:.4f} ± {figure['sd']:.4f}"


if __name__ == "__main__":
    main()

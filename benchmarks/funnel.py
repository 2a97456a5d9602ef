"""Next purchase by full ranking in a view, cart, buy log without time: one model, judged on what its users had touched and on what they had not.

    python -m benchmarks.funnel --data FOLDER --seeds 3

`FOLDER` holds `train_pairs.parquet` (user, item, behavior: view, cart or buy) and `test_buy.parquet` (user, item: one purchase a user, which is no
training pair). One of a user's training purchases, drawn at random, is the validation; the epochs are chosen on it by a model fitted without it,
and the model is fitted once more with it. From one model: `mixed` ranks all items but the user's purchases; `observed` is the part of it whose
item is in the user's training pairs, `unobserved_in_mixed` the other part; `unobserved` ranks, for those, all items that the user never touched.
Ties count against us.
`--apart` first removes from training the views and carts of the very item that a user's test asks for.

The last line printed is a JSON object with `HR@10` and `NDCG@10` of each; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import _ranked, _report

BEHAVIOURS = ["view", "cart", "buy"]
PAGE: dict[str, Any] = {
    "store": "view, cart, buy",
    "entities": {"user": {"id": "user", "embed_id": False}, "item": {"id": "item"}},
    "events": {"table": "events.parquet", "user": "user", "item": "item", "behaviour": "behavior"},
    "samples": {"next": {"recipe": "next_item", "behaviours": ["buy"]}},
    "tasks": {
        "next": {
            "kind": "ranking",
            "samples": "next",
            "negatives": 1500,
            "normalise": True,
            "temperature": 0.07,
            "blend": "after",
            "leave_out": ["buy"],
        }
    },
    "split": {"by": "leave_one_out"},
    "model": {
        "width": 64,
        "length": 60,
        "sharing": "linear",
        "history": "mean",
        "id_dropout": 0.0,
        "statistics": False,
        "products": False,
        "signals": {
            "taste": {"part": "ease", "behaviours": {"buy": 1.0}, "l2": 20.0},
            "touched": {"part": "ease", "behaviours": {"buy": 1.0, "cart": 0.5, "view": 0.3}, "l2": 100.0},
            "bought": {"part": "rate", "of": "buy", "per": "view"},
            "carted": {"part": "rate", "of": "buy", "per": "cart"},
        },
    },
    "training": {"epochs": 3, "batch": 512, "lr": 0.002, "embedding_lr": 0.01},
}
SLICES = ("mixed", "observed", "unobserved", "unobserved_in_mixed")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    tell = _report.clock()

    with tempfile.TemporaryDirectory() as scratch:
        page = _ranked.write(options.folder or Path(scratch), PAGE, tables(options.data, options.apart))
        seeds = [_one(page, seed, options.set, tell) for seed in range(options.first, options.first + options.seeds)]
    facts = {"epochs": [each["epochs"] for each in seeds], "cpu_seconds": round(sum(each["cpu_seconds"] for each in seeds))}
    found = {name: _ranked.mean([each[name] for each in seeds]) for name in SLICES if seeds[0][name]}
    result = {"benchmark": "funnel", "data": options.data.name, "apart": options.apart, "seeds": len(seeds), **facts, **found}
    command = shlex.join(["python", "-m", "benchmarks.funnel", *given])
    _report.append(options.results, _entry(result, command))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.funnel", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of train_pairs.parquet and test_buy.parquet")
    parser.add_argument("--apart", action="store_true", help="remove views and carts of the item that a user's test asks for from training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--folder", type=Path, help="where the tables and store.yaml are kept; nowhere unless given")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def tables(folder: Path, apart: bool) -> dict[str, pl.DataFrame]:
    """`events`: the training pairs, each user's test purchase behind them, so that leave-one-out holds it out."""
    pairs = pl.read_parquet(folder / "train_pairs.parquet").select("user", "item", "behavior")
    test = pl.read_parquet(folder / "test_buy.parquet").select("user", "item")
    if apart:
        pairs = pairs.join(test, on=["user", "item"], how="anti", maintain_order="left")
    pairs = pairs.sample(fraction=1, shuffle=True, seed=0)  # the file says nothing of order: an item's place in it goes with its popularity
    bought = test.with_columns(behavior=pl.lit("buy"))
    return {"events": pl.concat([pairs, bought], how="vertical_relaxed")}


def _one(page: Path, seed: int, sets: Sequence[str], tell: _ranked.Tell) -> dict[str, Any]:
    fitted = _ranked.fit(page, seed, sets, tell)
    data, network = fitted.again
    rows, mixed = _ranked.test_ranks(data, network, ["buy"])
    _, untouched = _ranked.test_ranks(data, network, BEHAVIOURS)
    table = data.tables[_ranked.SAMPLES]
    assert table.moment is not None
    assert table.targets is not None
    wanted = table.targets[1][table.targets[0][rows]].astype(np.int64)
    by, item = data.stock.had(table.moment.take(rows), BEHAVIOURS)
    size = len(data.stock.entities["item"])
    seen = np.isin(np.arange(len(rows)) * size + wanted, by * size + item)
    slices = {"mixed": mixed, "observed": mixed[seen], "unobserved": untouched[~seen], "unobserved_in_mixed": mixed[~seen]}
    found: dict[str, Any] = {name: _ranked.figures(ranks, "HR@10", "NDCG@10") for name, ranks in slices.items()}
    tell(f"seed {seed}: {found}")
    return {**found, "epochs": fitted.record.best_epoch + 1, "cpu_seconds": fitted.cpu_seconds}


def _entry(result: dict[str, Any], command: str) -> str:
    said = [f"- {result['seeds']} seeds; epochs chosen {result['epochs']}; CPU seconds {result['cpu_seconds']}"]
    if result["apart"]:
        said.append("- views and carts of the item that a user's test asks for are removed from training")
    rows = [f"| {name} | {' | '.join(_ranked.shown(result[name]))} |" for name in SLICES if name in result]
    lines = [*_report.facts(command, _report.versions({})), *said, "", "| slice | HR@10 | NDCG@10 |", "| --- | --- | --- |", *rows]
    return "\n".join([f"\n## funnel, {result['data']}\n", *lines, ""])


if __name__ == "__main__":
    main()

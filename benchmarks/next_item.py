"""Next item by full ranking: one model over ordered item lists, beside item-kNN over the same sequences.

    python -m benchmarks.next_item --sequences sequences.parquet --attributes attributes.parquet --seeds 3

`--sequences` holds `user` and `items` (a list, oldest first), `--attributes` holds `item` and `attributes` (a list of codes). A user's last item
is the test, the one before it the validation. All items are ranked but those of the user's history, and ties count against us. The
epochs are chosen on validation by a model fitted without it; then the model is fitted once more on training and validation. The same
`store.yaml` is written for every file.

The last line printed is a JSON object: `R@10`, `N@10`, `sd`, `knn` of the fit on training and validation, and the same under `train` for the
fit on training alone. An entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import _ranked, _report

PAGE: dict[str, Any] = {
    "store": "next item",
    "entities": {
        "user": {"id": "user", "embed_id": False},
        "item": {"table": "items.parquet", "id": "item", "features": {"attributes": "tags"}},
    },
    "events": {"table": "events.parquet", "user": "user", "item": "item", "order": "place"},
    "samples": {"next": {"recipe": "next_item", "sequences": True}},
    "tasks": {
        "next": {
            "kind": "ranking",
            "samples": "next",
            "negatives": 1500,
            "normalise": True,
            "temperature": 0.07,
            "blend": "after",
            "leave_out": ["event"],
        }
    },
    "split": {"by": "leave_one_out"},
    "model": {
        "width": 64,
        "sharing": "linear",
        "history": {"part": "transformer", "blocks": 1, "dropout": 0.4},
        "id_dropout": 0.0,
        "pairs": False,
        "statistics": False,
        "products": False,
        "signals": {"near": "neighbours", "like": "alike"},
        "signal_pairs": False,
    },
    "training": {"epochs": 10, "batch": 1024, "lr": 0.001, "embedding_lr": 0.005, "patience": 10},
}
MASKED = ["event"]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    tell = _report.clock()

    with tempfile.TemporaryDirectory() as scratch:
        page = _ranked.write(options.folder or Path(scratch), PAGE, tables(options.sequences, options.attributes))
        seeds = [_one(page, seed, options.set, tell, alone=seed == options.first) for seed in range(options.first, options.first + options.seeds)]
    result = _result(options.sequences.stem, seeds)
    command = shlex.join(["python", "-m", "benchmarks.next_item", *given])
    _report.append(options.results, _entry(result, command))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.next_item", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sequences", type=Path, required=True, help="Parquet: user, items (a list, oldest first)")
    parser.add_argument("--attributes", type=Path, required=True, help="Parquet: item, attributes (a list)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--folder", type=Path, help="where the tables and store.yaml are kept; nowhere unless given")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def tables(sequences: Path, attributes: Path) -> dict[str, pl.DataFrame]:
    """`events` with a row an item of a list, and `items` with their attributes as tags."""
    lists = pl.read_parquet(sequences).select("user", "items").filter(pl.col("items").list.len() > 0)
    flat = lists.explode("items", empty_as_null=True, keep_nulls=True).rename({"items": "item"})
    events = flat.with_columns(pl.int_range(pl.len()).over("user").alias("place"))
    told = pl.read_parquet(attributes).select("item", pl.col("attributes").cast(pl.List(pl.String)))
    items = events.select(pl.col("item").unique().sort()).join(told.unique("item", maintain_order=True), on="item", how="left", maintain_order="left")
    return {"events": events, "items": items}


def _one(page: Path, seed: int, sets: Sequence[str], tell: _ranked.Tell, *, alone: bool) -> dict[str, Any]:
    """`alone`: also what item-kNN finds by itself, which no seed moves."""
    fitted = _ranked.fit(page, seed, sets, tell)
    found: dict[str, Any] = {"epochs": fitted.record.best_epoch + 1, "cpu_seconds": fitted.cpu_seconds}
    for name, (data, network) in (("train", fitted.chosen), ("train+valid", fitted.again)):
        _, ranks = _ranked.test_ranks(data, network, MASKED)
        found[name] = _ranked.figures(ranks, "R@10", "N@10")
        if alone:
            found[f"knn {name}"] = _ranked.figures(_ranked.signal_ranks(data, "near", MASKED), "R@10", "N@10")
        tell(f"seed {seed}, fit: {name}: {found[name]}" + (f"; item-kNN {found[f'knn {name}']}" if alone else ""))
    return found


def _result(name: str, seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    both = {fit: {**_ranked.mean([each[fit] for each in seeds]), "knn": seeds[0][f"knn {fit}"]} for fit in ("train", "train+valid")}
    facts = {"epochs": [each["epochs"] for each in seeds], "cpu_seconds": round(sum(each["cpu_seconds"] for each in seeds))}
    return {"benchmark": "next_item", "sequences": name, "seeds": len(seeds), **facts, "fit": "train+valid", **both["train+valid"], "train": both["train"]}


def _entry(result: dict[str, Any], command: str) -> str:
    said = [f"- {result['seeds']} seeds; epochs chosen {result['epochs']}; CPU seconds {result['cpu_seconds']}"]
    lines = [*_report.facts(command, _report.versions({})), *said, "", "| fit | | R@10 | N@10 |", "| --- | --- | --- | --- |"]
    for fit, found in (("train", result["train"]), ("train+valid", result)):
        own = {key: found[key] for key in ("R@10", "N@10", "sd")}
        lines += [f"| {fit} | banyan | {' | '.join(_ranked.shown(own))} |", f"| {fit} | item-kNN | {' | '.join(_ranked.shown(found['knn']))} |"]
    return "\n".join([f"\n## next item, {result['sequences']}\n", *lines, ""])


if __name__ == "__main__":
    main()

"""Search relevance: one model over queries and titles, beside BM25 and gradient-boosted trees on the same pair features.

    python -m benchmarks.search --judgements judgements.parquet --seeds 3

The file holds `search_term`, `product_title`, `relevance` (1 to 3) and, where it has one, `product_uid`, a catalogue number; `--test` names another
file of the kind that judges. Without it the queries with int(md5(term), 16) % 5 == 1 are held out. Of the others every tenth chooses the epochs;
then the model is fitted once more on all of them. Titles are a catalogue, and all of it is known: of a list nothing but the query and the one title is
read for an answer, and not which titles were judged together.

The last line printed is a JSON object: `rmse`, `spearman`, `ndcg@10` (gain relevance - 1, queries with at least 3 judgements), their `sd` over seeds,
and the same of `bm25`, `trees` and `stacked`. An entry goes to RESULTS.md.
"""

import argparse
import hashlib
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from banyan import inference, metrics
from banyan.evaluation.evaluate import validator
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.refit import refit
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.training.loop import Fit
from banyan.types import TEST, Array
from benchmarks import _ranked, _report

TASK, SAMPLES, TREES = "relevance", "judged", 400
WORDS = {"kind": "text", "buckets": 50_000}
MEANING = {"kind": "text", "encoder": "frozen"}
PAGE: dict[str, Any] = {
    "store": "search",
    "entities": {
        "item": {"table": "items.parquet", "id": "item", "embed_id": False, "features": {"title": WORDS, "meaning": {**MEANING, "column": "title"}}},
        "query": {"table": "queries.parquet", "id": "query", "embed_id": False, "features": {"term": WORDS, "sense": {**MEANING, "column": "term"}}},
    },
    "samples": {SAMPLES: {"table": "judged.parquet", "query": "query", "item": "item", "labels": {"relevance": "relevance"}}},
    "tasks": {TASK: {"kind": "graded", "samples": SAMPLES, "label": "relevance", "levels": [1, 2, 3], "tower": [32], "dropout": 0.2}},
    "split": {"by": "given", "column": "part"},
    "model": {
        "width": 16,
        "sharing": {"part": "bottom", "dropout": 0.3},
        "products": False,  # of words that a few queries hold little more than those queries is learned
        "pair_pieces": True,
        "encoders": {"text": {"part": "text", "dropout": 0.3}, "vector": {"part": "vector", "dropout": 0.5}},
    },
    "training": {"epochs": 12, "batch": 512, "lr": 0.001, "embedding_lr": 0.00003, "patience": 12, "weight_decay": 0.1},
}  # fmt: skip
NUMBERED = {"number": {"kind": "number", "bins": 32}}

Fits = Callable[[Array, Array, Array], Array]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    tell = _report.clock()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        found = tables(options.judgements, options.test)
        path = _ranked.write(folder, page(found["items"]), found)
        texts = Texts(folder / "texts.sqlite")
        seeds = [_one(path, seed, options.set, texts, tell, simple=seed == 0 and not options.alone) for seed in range(options.seeds)]
    mean = _ranked.mean([each["banyan"] for each in seeds])
    spent = {"epochs": [each["epochs"] for each in seeds], "cpu_seconds": round(sum(each["cpu_seconds"] for each in seeds))}
    result = {"benchmark": "search", "judgements": options.judgements.stem, "seeds": options.seeds, **spent, **mean, **seeds[0]["simple"]}
    if not options.alone:
        _report.append(options.results, _entry(result, shlex.join(["python", "-m", "benchmarks.search", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--judgements", type=Path, required=True, help="Parquet: search_term, product_title, relevance; product_uid if there is one")
    parser.add_argument("--test", type=Path, help="Parquet of the same columns that judges; a fifth of the queries unless given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--alone", action="store_true", help="the model without the baselines, and no entry")
    parser.add_argument("--folder", type=Path, help="where the tables, store.yaml and the vectors of the texts are kept; nowhere unless given")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def page(items: pl.DataFrame) -> dict[str, Any]:
    """The store; where items have a catalogue number it is a feature: how long a thing has been on offer is known when it is searched."""
    if "number" not in items.columns:
        return PAGE
    entities = PAGE["entities"]
    return {**PAGE, "entities": {**entities, "item": {**entities["item"], "features": {**entities["item"]["features"], **NUMBERED}}}}


def tables(judgements: Path, test: Path | None) -> dict[str, pl.DataFrame]:
    """Items, queries and judged pairs of them with their `part`."""
    rows = _read(judgements)
    shares = rows["search_term"].map_elements(_share, pl.Int64)
    held, chosen = (shares % 5 == 1, shares // 5 % 10 == 0) if test is None else (shares < 0, shares % 10 == 0)
    part = pl.select(pl.when(held).then(pl.lit("test")).when(chosen).then(pl.lit("valid")).otherwise(pl.lit("train")).alias("part"))
    rows = pl.concat([rows, part], how="horizontal")
    if test is not None:
        rows = pl.concat([rows, _read(test).with_columns(pl.lit("test").alias("part"))])
    key = ["product_title", *(["number"] if "number" in rows.columns else [])]
    items = rows.select(key).unique(maintain_order=True).with_row_index("item")
    queries = rows.select("search_term").unique(maintain_order=True).with_row_index("query")
    judged = rows.join(items, on=key, how="left", nulls_equal=True, maintain_order="left").join(queries, on="search_term", how="left", maintain_order="left")
    return {
        "items": items.rename({"product_title": "title"}),
        "queries": queries.rename({"search_term": "term"}),
        "judged": judged.select("query", "item", "relevance", "part"),
    }


def _share(term: str) -> int:
    """A query's own number, below 50: which part it belongs to."""
    return int(hashlib.md5(term.encode(), usedforsecurity=False).hexdigest(), 16) % 50


def _read(path: Path) -> pl.DataFrame:
    """The columns that are read; a catalogue number that is one becomes `number`."""
    frame = pl.read_parquet(path)
    if lacking := [each for each in ("search_term", "product_title", "relevance") if each not in frame.columns]:
        raise SystemExit(f"{path} has no column {lacking[0]!r}; it has {', '.join(frame.columns)}.")
    numbered = "product_uid" in frame.columns and frame["product_uid"].dtype.is_numeric()
    number = [pl.col("product_uid").cast(pl.Float64).alias("number")] if numbered else []
    return frame.select(pl.col("search_term").cast(pl.String), pl.col("product_title").cast(pl.String), pl.col("relevance").cast(pl.Float64), *number)


def _one(path: Path, seed: int, sets: Sequence[str], texts: Texts, tell: Callable[[str], None], *, simple: bool) -> dict[str, Any]:
    began = time.process_time()
    store = load(path, [*sets, f"training.seed={seed}"])
    data = build(open_store(store), texts)
    tell(f"seed {seed}: {len(data.plan.pair)} pair features; CPU seconds {time.process_time() - began:.0f}")
    feeder = Feeder(data, {TASK: task_options(store, TASK)}, store.model.id_dropout)
    torch.manual_seed(seed)
    network, look = Network(data.plan, store.model, store.tasks), validator(feeder, store.tasks)

    def told(network: Network) -> dict[str, dict[str, float]]:
        found = look(network)
        tell(f"seed {seed}: validation {', '.join(f'{key} {value:.4f}' for key, value in found[TASK].items() if key in ('rmse', 'spearman'))}")
        return found

    record = Fit(network, feeder, store.tasks, store.training, store.model.balancing, evaluate=told).run()
    tell(f"seed {seed}: best after {record.best_epoch + 1} epochs, test {judge(data, answers(data, network))}; once more on training and validation")
    again = answers(*refit(store, network, record, texts))
    found = {"banyan": judge(data, again), "epochs": record.best_epoch + 1, "cpu_seconds": time.process_time() - began}
    tell(f"seed {seed}: {found['banyan']}")
    return {**found, "simple": baselines(data, seed, tell) if simple else {}}


def answers(data: Data, network: Network) -> Array:
    """(n,) the expected grade of every row of the test part."""
    rows = data.tables[SAMPLES].rows(TEST)
    return np.asarray(inference.predict(network, Feeder(data), SAMPLES, rows, [TASK])[TASK])[:, 0]


def judge(data: Data, said: Array) -> dict[str, float]:
    """The three figures on the test part."""
    table = data.tables[SAMPLES]
    rows = table.rows(TEST)
    grade = table.labels[TASK].value[rows, 0].astype(float)
    return {"rmse": metrics.rmse(said, grade), "spearman": metrics.spearman(said, grade), "ndcg@10": ndcg(said, grade, table.entities["query"][rows])}


def ndcg(said: Array, grade: Array, query: Array, k: int = 10, least: int = 3) -> float:
    """Mean over queries with `least` judgements or more, one of them above the lowest grade; gain grade - 1, ties in the order of the file."""
    found = []
    for each in np.unique(query):
        mine = np.flatnonzero(query == each)
        gain = grade[mine] - 1
        if len(mine) >= least and gain.max() > 0:
            discount = 1 / np.log2(np.arange(2, min(len(mine), k) + 2))
            order = np.argsort(-said[mine], kind="stable")[:k]
            found.append(float(gain[order] @ discount / (np.sort(gain)[::-1][:k] @ discount)))
    return float(np.mean(found)) if found else float("nan")


def baselines(data: Data, seed: int, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """BM25 normalised by the query, trees on all numbers of the model, and trees that also read what a ridge makes of the vectors of query and title."""
    table, names = data.tables[SAMPLES], data.plan.pair
    assert table.pair is not None
    test, fitted = table.rows(TEST), np.flatnonzero(table.part != TEST)
    grade, query, item = table.labels[TASK].value[:, 0].astype(float), table.entities["query"], table.entities["item"]
    inputs = np.concatenate([table.pair, data.stock.entities["item"].numbers[item]], 1)
    q, t = data.stock.entities["query"].dense["sense"][query], data.stock.entities["item"].dense["meaning"][item]
    at = {each: next(i for i, name in enumerate(names) if name.endswith(f":{each}")) for each in ("bm25", "mean_idf", "words")}
    bm25, rarity, count = (table.pair[:, place] for place in at.values())
    bm25 = bm25 / np.maximum(rarity * np.expm1(3 * count), 1e-6)  # of what the query's own words could give
    found = {"bm25": judge(data, bm25[test])}
    found["bm25"].pop("rmse")  # it is no grade
    tell(f"BM25 {found['bm25']}")
    found["trees"] = judge(data, _trees(inputs[fitted], grade[fitted], inputs[test], seed))
    tell(f"trees {found['trees']}")
    both = np.concatenate([q * t, np.abs(q - t)], 1)
    guess = _out_of_fold(both, grade, query, fitted, test)
    stacked = np.concatenate([inputs, guess[:, None]], 1)
    found["stacked"] = judge(data, _trees(stacked[fitted], grade[fitted], stacked[test], seed))
    tell(f"stacked {found['stacked']}")
    return found


def _trees(inputs: Array, grade: Array, asked: Array, seed: int) -> Array:
    import lightgbm

    options = {
        "objective": "l2", "learning_rate": 0.04, "num_leaves": 31, "min_data_in_leaf": 40, "feature_fraction": 0.5, "bagging_fraction": 0.8,
        "bagging_freq": 1, "lambda_l2": 5.0, "verbose": -1, "num_threads": 1, "seed": seed,
    }  # fmt: skip
    return np.asarray(lightgbm.train(options, lightgbm.Dataset(inputs, grade), TREES).predict(asked))


def _out_of_fold(inputs: Array, grade: Array, query: Array, fitted: Array, test: Array, folds: int = 4, strength: float = 10.0) -> Array:
    """(n,) a ridge's guess of every row: of a fitted one by a ridge that has not seen its query."""
    inputs = (inputs - inputs[fitted].mean(0)) / (inputs[fitted].std(0) + 1e-6)

    def guess(rows: Array, asked: Array) -> Array:
        x, y = inputs[rows].astype(np.float64), grade[rows]
        weights = np.linalg.solve(x.T @ x + strength * len(x) / 100 * np.eye(x.shape[1]), x.T @ (y - y.mean()))
        return np.asarray(inputs[asked] @ weights + y.mean())

    found = np.zeros(len(grade))
    found[test] = guess(fitted, test)
    for fold in range(folds):
        held = query[fitted] % folds == fold
        found[fitted[held]] = guess(fitted[~held], fitted[held])
    return found


def _entry(result: Mapping[str, Any], command: str) -> str:
    said = [f"- {result['seeds']} seeds; epochs chosen {result['epochs']}; CPU seconds {result['cpu_seconds']}"]
    lines = [*_report.facts(command, _report.versions({})), *said, "", "| | RMSE | Spearman | NDCG@10 |", "| --- | --- | --- | --- |"]
    own = {key: result[key] for key in ("rmse", "spearman", "ndcg@10", "sd")}
    lines.append(f"| banyan | {' | '.join(_ranked.shown(own))} |")
    for name in ("bm25", "trees", "stacked"):
        figures = result.get(name, {})
        lines.append(f"| {name} | {' | '.join(f'{figures[key]:.4f}' if key in figures else '' for key in ('rmse', 'spearman', 'ndcg@10'))} |")
    return "\n".join([f"\n## search, {result['judgements']}\n", *lines, ""])


if __name__ == "__main__":
    main()

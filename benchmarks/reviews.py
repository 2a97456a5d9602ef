"""What a review says, in two languages: rating, recommended and department of English ones, sentiment and category of Chinese ones, by one network.

    python -m benchmarks.reviews --data FOLDER --seeds 3

`FOLDER` holds `reviews_en/*.parquet` (Title, Review Text, Rating, Recommended IND, Department Name) and `reviews_zh/*.parquet` (review, label, cat).
Held out are the rows whose number, from 0, has md5 mod 5 == 1. Nothing but the words is read: neither the item's id nor its class nor the age. All reviews
are one entity with one text encoder; each language has a samples table of its own. Of the other rows every tenth chooses the epochs; then the model
is fitted once more on all of them. Rows without a department are no rows of that task.

The last line printed is a JSON object: task -> figure -> mean, sd over seeds, and the figure of a linear model for each task. An entry goes to RESULTS.md.
"""

import argparse
import hashlib
import json
import shlex
import statistics
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
from benchmarks import _ranked, _report, _review_baselines

ENGLISH = {"rating": "Rating", "recommended": "Recommended IND", "department": "Department Name"}
CHINESE = {"sentiment": "label", "category": "cat"}
KINDS = {"rating": "classes", "recommended": "binary", "department": "classes", "sentiment": "binary", "category": "classes"}
REACH = {
    "rating": {"accuracy": 0.670, "rmse": 0.650},
    "recommended": {"auc": 0.956},
    "department": {"accuracy": 0.853},
    "sentiment": {"auc": 0.978, "accuracy": 0.935},
    "category": {"accuracy": 0.892},
}
WORDS = {"kind": "text", "buckets": 1_000_000, "grams": 500}
PAGE: dict[str, Any] = {
    "store": "reviews",
    "entities": {
        "review": {
            "table": "reviews.parquet",
            "id": "review",
            "embed_id": False,
            "features": {"text": WORDS, "meaning": {"kind": "text", "column": "text", "encoder": "frozen"}},
        }
    },
    "samples": {
        name: {"table": f"{name}.parquet", "review": "review", "labels": {task: task for task in tasks}}
        for name, tasks in (("english", ENGLISH), ("chinese", CHINESE))
    },
    "tasks": {
        task: {"kind": KINDS[task], "samples": name, "label": task, "tower": [], "dropout": 0.1}
        for name, tasks in (("english", ENGLISH), ("chinese", CHINESE))
        for task in tasks
    },
    "split": {"by": "given", "column": "part"},
    "model": {
        "width": 48,
        "sharing": {"part": "linear", "width": 64, "dropout": 0.1},
        "history": None,
        "wide": False,
        "encoders": {"text": {"part": "text", "hidden": 64, "dropout": 0.6}, "vector": {"part": "vector", "dropout": 0.1}},
    },
    "training": {"epochs": 8, "batch": 256, "lr": 0.001, "patience": 3, "weight_decay": 0.01, "mix": "rows"},
}

Tell = Callable[[str], None]
Found = dict[str, dict[str, float]]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    tell, began = _report.clock(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        path = _ranked.write(folder, PAGE, tables(options.data))
        texts = Texts(folder / "texts.sqlite")
        runs = [_one(path, seed, options.set, texts, tell) for seed in range(options.seeds)]
        data = build(open_store(load(path, options.set)), texts)
    result: dict[str, Any] = {"benchmark": "reviews", "seeds": options.seeds, "set": options.set, "epochs": [epochs for _, epochs in runs]}
    result |= {task: {key: _row([found[task][key] for found, _ in runs], REACH[task][key]) for key in REACH[task]} for task in KINDS}
    if options.baselines:
        result["baselines"] = _review_baselines.found(*labelled(data, options.data), tell)
    result["cpu_seconds"] = round(time.process_time() - began)
    if not options.quiet:
        _report.append(options.results, _entry(result, shlex.join(["python", "-m", "benchmarks.reviews", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reviews", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of reviews_en/ and reviews_zh/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--no-baselines", dest="baselines", action="store_false")
    parser.add_argument("--quiet", action="store_true", help="no entry in RESULTS.md")
    parser.add_argument("--folder", type=Path, help="where the tables, store.yaml and the vectors of the texts are kept; nowhere unless given")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def tables(folder: Path) -> dict[str, pl.DataFrame]:
    """The reviews of both languages, and for each language the labels with their `part`."""
    found = {}
    for name, tasks in (("english", ENGLISH), ("chinese", CHINESE)):
        rows = _read(folder, name, tasks)
        number = pl.Series("review", [f"{name} {i}" for i in range(len(rows))])
        labels = [rows[column].cast(pl.String if KINDS[task] == "classes" else pl.Int8).alias(task) for task, column in tasks.items()]
        found[name] = (pl.DataFrame([number, _said(rows, name)]), pl.DataFrame([number, *labels, pl.Series("part", [_part(i) for i in range(len(rows))])]))
    return {"reviews": pl.concat([each for each, _ in found.values()]), **{name: labels for name, (_, labels) in found.items()}}


def _read(folder: Path, name: str, tasks: Mapping[str, str]) -> pl.DataFrame:
    place = folder / f"reviews_{name[:2] if name == 'english' else 'zh'}"
    files = sorted(place.glob("*.parquet"))
    if not files:
        raise SystemExit(f"{place} holds no Parquet file.")
    rows = pl.read_parquet(files)
    wanted = [*tasks.values(), *(("Title", "Review Text") if name == "english" else ("review",))]
    if lacking := [each for each in wanted if each not in rows.columns]:
        raise SystemExit(f"{place} has no column {lacking[0]!r}; it has {', '.join(rows.columns)}.")
    return rows


def _said(rows: pl.DataFrame, name: str) -> pl.Series:
    """The words of each review: an English one's title before its text."""
    if name == "chinese":
        return rows["review"].cast(pl.String).alias("text")
    return rows.select(pl.concat_str(["Title", "Review Text"], separator="\n", ignore_nulls=True).alias("text"))["text"]


def _part(row: int) -> str:
    number = int(hashlib.md5(str(row).encode(), usedforsecurity=False).hexdigest(), 16)
    return "test" if number % 5 == 1 else "valid" if number // 5 % 10 == 0 else "train"


def _one(path: Path, seed: int, sets: Sequence[str], texts: Texts, tell: Tell) -> tuple[Found, int]:
    """(Task -> figure -> value on the held-out rows, the epochs chosen)."""
    store = load(path, [*sets, f"training.seed={seed}"])
    data = build(open_store(store), texts)
    feeder = Feeder(data, {task: task_options(store, task) for task in store.tasks}, store.model.id_dropout)
    torch.manual_seed(seed)
    network, look = Network(data.plan, store.model, store.tasks), validator(feeder, store.tasks, most=None)

    def told(network: Network) -> dict[str, dict[str, float]]:
        found = look(network)
        tell(f"seed {seed}: validation {'; '.join(f'{task} ' + ' '.join(f'{found[task].get(key, 0):.4f}' for key in REACH[task]) for task in found)}")
        return found

    record = Fit(network, feeder, store.tasks, store.training, store.model.balancing, evaluate=told).run()
    again = judged(*refit(store, network, record, texts))
    tell(f"seed {seed}: best after {record.best_epoch + 1} epochs; test, fitted once more: {again}")
    return again, record.best_epoch + 1


def judged(data: Data, network: Network) -> Found:
    """Every task's figures on the held-out rows."""
    found: Found = {}
    for name, tasks in (("english", ENGLISH), ("chinese", CHINESE)):
        table = data.tables[name]
        rows = table.rows(TEST)
        said = inference.predict(network, Feeder(data), name, rows, list(tasks))
        for task in tasks:
            label = table.labels[task]
            seen = label.seen[rows].reshape(len(rows), -1)[:, 0]
            found[task] = figures(task, np.asarray(said[task])[seen], label.value[rows].reshape(len(rows), -1)[seen, 0], network.task(task).target.classes)
    return found


def figures(task: str, said: Array, truth: Array, classes: Sequence[str]) -> dict[str, float]:
    """The figures that the task is judged by. The RMSE of a rating is that of its expectation."""
    if KINDS[task] == "binary":
        return {"auc": metrics.auc(said[:, 0], truth), "accuracy": float(((said[:, 0] > 0.5) == truth).mean())}
    found = {"accuracy": float((said.argmax(1) == truth).mean())}
    if task == "rating":
        value = np.array([float(each) for each in classes])
        found["rmse"] = float(np.sqrt(np.mean((said @ value - value[truth.astype(int)]) ** 2)))
    return found


def labelled(data: Data, folder: Path) -> tuple[dict[str, list[str]], dict[str, tuple[str, Array, Array]], Array]:
    """(Language -> the texts, task -> (language, its labels as they stand in the file, which rows are held out), the frozen vectors of the English ones)."""
    texts, tasks = dict[str, list[str]](), dict[str, tuple[str, Array, Array]]()
    for name, columns in (("english", ENGLISH), ("chinese", CHINESE)):
        rows = _read(folder, name, columns)
        held = np.array([_part(i) == "test" for i in range(len(rows))])
        texts[name] = _said(rows, name).fill_null("").to_list()
        tasks |= {task: (name, rows[column].to_numpy(), held) for task, column in columns.items()}
    entity = data.stock.entities["review"]
    return texts, tasks, np.asarray(entity.dense["meaning"][data.tables["english"].entities["review"]])


def _row(values: Sequence[float], reach: float) -> dict[str, Any]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None, "reach": reach}


def _entry(result: Mapping[str, Any], command: str) -> str:
    said = f"- {result['seeds']} seeds; epochs chosen {result['epochs']}; CPU seconds {result['cpu_seconds']}"
    head = "| task | figure | banyan, all tasks in one | a linear model for each task | sought |\n| --- | --- | --- | --- | --- |"
    lines = [*_report.facts(command, _report.versions({})), said, "", head]
    for task in KINDS:
        for key, row in result[task].items():
            base = result.get("baselines", {}).get(task, {}).get(key)
            spread = "" if row["sd"] is None else f" +- {row['sd']:.4f}"
            lines.append(f"| {task} | {key} | {row['mean']:.4f}{spread} | {'-' if base is None else f'{base:.4f}'} | {row['reach']:g} |")
    return "\n".join(["\n## reviews\n", *lines, ""])


if __name__ == "__main__":
    main()

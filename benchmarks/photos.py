"""What photos and names say of items, all attributes by one network: answered from the photo alone, the name alone, and both.

    python -m benchmarks.photos --data FOLDER

`FOLDER` holds `fashion_catalogue/catalogue.parquet` (a column of picture bytes, a name, attributes; items with md5(id) mod 5 == 1 are held out) and
`clothing_128/photos.parquet` (phone photos with a label, whether it is for kids, and a sender; five folds by sender, as even as they can be), or one
of the two (`--only`). In training each item goes now and then without its photo or without its name (`absent`), so that one model answers from
either. A seventh of the training items, or of the training senders, chooses the number of epochs; settings were chosen there too. The model of the
catalogue is then fitted to that seventh as well (`training.refit`; the baselines are, too); that of phone photos is not, since among training senders
alone, judged on some of them, a last fit lost (accuracy .696 to .645, .666 to .618). Baselines of the same run:
MobileNetV2's last vector beside colour histograms, and tf-idf of words with a linear SVM, each attribute by itself.

The last line printed is a JSON object; an entry goes to RESULTS.md, and `--picture FILE.svg` draws the confusion of the commonest types.
"""

import argparse
import hashlib
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from banyan.evaluation.evaluate import Evaluation, evaluate, validator
from banyan.features.build import build, task_options
from banyan.features.columns import Values
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.refit import refit
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training.loop import Fit
from banyan.training.record import Record
from banyan.types import TEST, VALID, Array
from benchmarks import _confusion, _photo_baselines, _report

WAYS = ("photo", "name", "both")
REACH = {
    "photo": {"articleType": 0.87, "baseColour": 0.70, "gender": 0.90, "usage": 0.92},
    "name": {"articleType": 0.979, "baseColour": 0.955, "gender": 0.998, "usage": 0.951},
    "both": {"articleType": 0.979, "baseColour": 0.955, "gender": 0.998, "usage": 0.951},
    "clothing": {"accuracy": 0.72, "f1": 0.54, "auc": 0.83},
}
FOLDS = 5
IMAGE = {"part": "image", "hidden": 384, "dropout": 0.3}
PAGE: dict[str, Any] = {
    "model": {
        "width": 256,
        "sharing": {"part": "linear", "width": 96, "dropout": 0.1},  # what photo and name say of a class adds up, and either may be missing
        "history": None,
        "wide": False,
        "encoders": {"image": IMAGE, "text": {"part": "text", "hidden": 0, "dropout": 0.3, "pool": "root"}},
    },
    "training": {"epochs": 14, "batch": 128, "lr": 2e-3, "embedding_lr": 0.02, "weight_decay": 0.02, "patience": 6, "bf16": False},
}
NAME = {"kind": "text", "letters": [2, 5], "grams": 256, "buckets": 100_000, "absent": 0.45}
TOWER = {"tower": [], "smoothing": 0.1}
Tell = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    tell, began = _report.clock(), time.process_time()
    options.folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"benchmark": "photos", "seeds": options.seeds, "set": options.set}
    for name, run in (("fashion", _fashion), ("clothing", _clothing)):
        if name in options.only:
            result[name] = run(options, tell)
    result["cpu_seconds"] = round(time.process_time() - began)
    _report.append(options.results, _entry(result, shlex.join(["python", "-m", "benchmarks.photos", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of fashion_catalogue/ and clothing_128/")
    parser.add_argument("--only", nargs="*", default=["fashion", "clothing"], choices=["fashion", "clothing"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many of the five folds are judged")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--network", default="mobilenet", help="what looks at the photos: mobilenet, or a vision model of transformers")
    parser.add_argument("--no-baselines", dest="baselines", action="store_false")
    parser.add_argument("--picture", type=Path, help="an SVG file of the confusion of types, from the photo alone")
    parser.add_argument("--folder", type=Path, default=Path("runs/photos"), help="where tables and the vectors of the photos are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def hashed(value: object) -> int:
    """The number whose remainder says which part a thing is in."""
    return int(hashlib.md5(str(value).encode()).hexdigest(), 16)


def _fashion(options: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    table = pl.read_parquet(options.data / "fashion_catalogue" / "catalogue.parquet")
    photo = next(name for name, kind in table.schema.items() if kind == pl.Binary)
    words = {name: table[name].n_unique() for name, kind in table.schema.items() if kind == pl.String}
    name = max(words, key=words.__getitem__)  # the one that says something else of nearly every item
    attributes = [each for each in words if each != name]
    part = ["test" if h % 5 == 1 else "valid" if h // 5 % 7 == 0 else "train" for h in map(hashed, table["id"])]
    features = {photo: {"kind": "image", "network": options.network, "absent": 0.2}, name: NAME}
    page = _written(
        options.folder / "fashion", table.select("id", photo, name), table.select(attributes), part, features, dict.fromkeys(attributes, "classes"), refit=True
    )
    seeds, drawn = [], None
    for seed in range(options.seeds):
        fitted = _fitted(page, seed, options)
        lack = {"photo": [name], "name": [photo], "both": []}
        chosen_by = {way: _judged(fitted, lack[way], VALID).figures for way in WAYS}
        epochs, last = fitted.record.best_epoch + 1, _refitted(fitted, options)
        found, data = {way: _judged(last, lack[way]) for way in WAYS}, last.data
        rows = int((data.tables["items"].part == TEST).sum())
        seeds.append({way: {task: _accuracy(each, task, rows) for task in attributes} for way, each in found.items()})
        drawn = found["photo"], data
        shown = [each for each in REACH["photo"] if each in attributes]
        for what, each in (("valid", {way: {t: chosen_by[way][t]["accuracy"] for t in shown} for way in WAYS}), ("test", seeds[-1])):
            tell(f"fashion, seed {seed}, best after {epochs} epochs, {what}: {'; '.join(f'{w} ' + ' '.join(f'{each[w][t]:.4f}' for t in shown) for w in WAYS)}")
    if options.picture and drawn:
        _confusion.draw(options.picture, *drawn, "articleType" if "articleType" in attributes else attributes[0])
    result: dict[str, Any] = {"rows": rows, **{way: {t: _row([s[way][t] for s in seeds], REACH[way].get(t)) for t in attributes} for way in WAYS}}
    if options.baselines:
        wanted = [each for each in attributes if each in REACH["photo"]] or attributes
        vectors = data.stock.entities["item"].dense[photo][1:]
        result["baselines"] = _photo_baselines.fashion(table.sort(pl.col("id").cast(pl.String)), vectors, name, wanted, hashed, tell)
    return result


def _clothing(options: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    table = pl.read_parquet(options.data / "clothing_128" / "photos.parquet").with_row_index("row")
    photo = next(name for name, kind in table.schema.items() if kind == pl.Binary)
    yes = next(name for name, kind in table.schema.items() if kind == pl.Boolean)
    sender, folds = np.array([hashed(each) for each in table["sender_id"]], object), _folds(table["sender_id"])
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for fold in range(options.folds):
        part = np.where(folds == fold, "test", np.where(sender // FOLDS % 7 == 0, "valid", "train")).tolist()
        labels = table.select("label", pl.col(yes).cast(pl.Int8))
        page = _written(
            options.folder / f"clothing-{fold}",
            table.select(pl.col("row").alias("id"), photo),
            labels,
            part,
            {photo: {"kind": "image", "network": options.network}},
            {"label": "classes", yes: "binary"},
            refit=False,
        )
        for seed in range(options.seeds):
            fitted = _refitted(_fitted(page, seed, options), options)
            found, rows, data = _judged(fitted, []), part.count("test"), fitted.data
            ours.append({"accuracy": _accuracy(found, "label", rows), "f1": found.figures["label"]["f1"], "auc": found.figures[yes]["auc"]})
        if options.baselines:
            order = table.with_columns(pl.Series("part", part)).sort(pl.col("row").cast(pl.String))
            theirs.append(_photo_baselines.clothing(order, data.stock.entities["item"].dense[photo][1:], yes))
        tell(f"clothing, fold {fold}: {_means(ours[-options.seeds :])}; baseline {_means(theirs[-1:])}")
    keys = ("accuracy", "f1", "auc")
    by_seed = [{k: statistics.fmean(each[k] for each in ours[seed :: options.seeds]) for k in keys} for seed in range(options.seeds)]
    found_all = {"rows": len(table), "folds": options.folds, **{k: _row([each[k] for each in by_seed], REACH["clothing"][k]) for k in keys}}
    return found_all | ({"baselines": {k: statistics.fmean(each[k] for each in theirs) for k in keys}} if theirs else {})


def _folds(groups: pl.Series) -> Array:
    """(n,) the fold of each row: groups from the largest to the smallest, each to the fold with the fewest rows."""
    counts, sizes, fold_of = groups.value_counts().sort(["count", groups.name], descending=[True, False]), [0] * FOLDS, {}
    for group, count in counts.iter_rows():
        fold_of[group] = sizes.index(min(sizes))
        sizes[fold_of[group]] += count
    return groups.replace_strict(fold_of, return_dtype=pl.Int8).to_numpy()


def _means(rows: Sequence[dict[str, float]]) -> str:
    return " ".join(f"{key} {statistics.fmean(each[key] for each in rows):.4f}" for key in (rows[0] if rows else ()))


def _written(
    folder: Path, items: pl.DataFrame, labels: pl.DataFrame, part: Sequence[str], features: dict[str, Any], tasks: dict[str, str], *, refit: bool
) -> Path:
    """The store's tables and page."""
    folder.mkdir(parents=True, exist_ok=True)
    items.write_parquet(folder / "items.parquet")
    labels.with_columns(items["id"], pl.Series("part", part)).write_parquet(folder / "labels.parquet")
    page = {
        "store": folder.name,
        "entities": {"item": {"table": "items.parquet", "id": "id", "embed_id": False, "features": features}},
        "samples": {"items": {"table": "labels.parquet", "item": "id", "labels": {key: key for key in tasks}, "split": {"by": "given", "column": "part"}}},
        "tasks": {key: {"kind": kind, "samples": "items", "label": key, **(TOWER if kind == "classes" else {})} for key, kind in tasks.items()},
        **PAGE,
    }
    page["training"] = {**PAGE["training"], "refit": refit}
    path = folder / "store.yaml"
    path.write_text(yaml.safe_dump(page, sort_keys=False), encoding="utf-8")
    return path


@dataclass
class _Fitted:
    """A network, and what it answers from."""

    store: Store
    data: Data
    network: Network
    record: Record

    @property
    def feeder(self) -> Feeder:
        return Feeder(self.data, {task: task_options(self.store, task) for task in self.store.tasks}, self.store.model.id_dropout)


def _fitted(page: Path, seed: int, options: argparse.Namespace) -> _Fitted:
    store = load(page, [*options.set, f"training.seed={seed}"])
    data = build(open_store(store), Texts(options.folder / "texts.sqlite"))
    torch.manual_seed(seed)
    found = _Fitted(store, data, Network(data.plan, store.model, store.tasks, store.auxiliary), Record())
    evaluate_ = validator(found.feeder, store.tasks, most=None)
    found.record = Fit(found.network, found.feeder, store.tasks, store.training, store.model.balancing, evaluate=evaluate_).run()
    return found


def _refitted(chosen: _Fitted, options: argparse.Namespace) -> _Fitted:
    """The same once more on training and validation rows, for the epochs that were best, where the store asks for it."""
    if not chosen.store.training.refit:
        return chosen
    data, network = refit(chosen.store, chosen.network, chosen.record, Texts(options.folder / "texts.sqlite"))
    return replace(chosen, data=data, network=network)


def _judged(fitted: _Fitted, without: Sequence[str], part: int = TEST) -> Evaluation:
    """The answers on items of a part that lack these features."""
    data = fitted.data
    values: Values = data.stock.entities["item"]
    dense = {key: np.zeros_like(each) if key in without else each for key, each in values.dense.items()}
    bags = {key: (np.zeros_like(each[0]), each[1][:0]) if key in without else each for key, each in values.bags.items()}
    stock = replace(data.stock, entities={**data.stock.entities, "item": replace(values, dense=dense, bags=bags)})
    return evaluate(fitted.network, replace(fitted, data=replace(data, stock=stock)).feeder, fitted.store.tasks, part, most=None)


def _accuracy(found: Evaluation, task: str, rows: int) -> float:
    """Over all held-out rows: a class that training never saw is a wrong answer."""
    return found.figures[task]["accuracy"] * len(found.questions[task]) / rows


def _row(values: Sequence[float], reach: float | None) -> dict[str, Any]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None, "reach": reach}


def _entry(result: dict[str, Any], command: str) -> str:
    lines = [*_report.facts(command, _report.versions({})), f"- {result['seeds']} seeds; CPU seconds {result['cpu_seconds']}"]
    if fashion := result.get("fashion"):
        head = (
            "| fashion_catalogue, accuracy | " + " | ".join(WAYS) + " | photo: MobileNetV2 and colours, logistic | name: tf-idf, SVM |\n" + "| --- " * 6 + "|"
        )
        rows = [
            f"| {task} | {' | '.join(_shown(fashion[way][task]) for way in WAYS)} | {_base(fashion, 'photo', task)} | {_base(fashion, 'name', task)} |"
            for task in fashion["photo"]
        ]
        lines += [f"- {fashion['rows']:,} held-out items", "", head, *rows]
    if clothing := result.get("clothing"):
        head = "| clothing_128 | banyan | MobileNetV2 and colours, logistic |\n| --- | --- | --- |"
        base = clothing.get("baselines", {})
        lines += ["", head, *(f"| {key} | {_shown(clothing[key])} | {base.get(key, float('nan')):.4f} |" for key in ("accuracy", "f1", "auc"))]
    return "\n".join(["\n## photos\n", *lines, ""])


def _base(fashion: dict[str, Any], way: str, task: str) -> str:
    found = fashion.get("baselines", {}).get(way, {}).get(task)
    return "-" if found is None else f"{found:.4f}"


def _shown(row: dict[str, Any]) -> str:
    spread = "" if row["sd"] is None else f" +- {row['sd']:.4f}"
    return f"{row['mean']:.4f}{spread}" + ("" if row["reach"] is None else f" ({row['reach']:g})")


if __name__ == "__main__":
    main()

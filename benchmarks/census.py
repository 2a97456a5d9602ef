"""Census income: two labels a person, income above 50,000 dollars and never married, by one network; beside it histogram trees, one forest a label.

    python -m benchmarks.census --data FOLDER --seeds 3

`FOLDER` holds `train.parquet`, `val.parquet` and `test.parquet`: columns C* are categories, I* numbers, and the labels are those that
`meta.json` lists under `labels` (`income` and `married_never` where there is none). The network learns from the training rows, and the validation
rows choose its epoch; so do the trees, whose setting is the best of a few on the validation rows. Then both are fitted once more, on training
and validation rows together, for as many epochs or trees as were best: `refit`. All test rows are judged. Intervals of the difference are of
a paired bootstrap over test rows and seeds. The settings in `PAGE` were chosen on validation rows, with seed 0; `--part valid` judges those
instead, without a refit, to choose others with `--set`.

The last line printed is a JSON object with the AUC of each label; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import yaml

from banyan.evaluation import judge
from banyan.evaluation.evaluate import Evaluation, evaluate, validator
from banyan.evaluation.questions import judges
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.refit import refit
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.tasks import Task
from banyan.training.loop import Fit
from banyan.types import PARTS, Array
from benchmarks import _report

LABELS = ("income", "married_never")
FILES = {"train": "train.parquet", "valid": "val.parquet", "test": "test.parquet"}
REACH = {"income": 0.9532, "married_never": 0.9954}
OTHERS = {
    "deepctr-torch MMoE": {"income": 0.9451, "married_never": 0.9939},
    "deepctr-torch PLE": {"income": 0.9450, "married_never": 0.9948},
    "torch-rechub MMoE": {"income": 0.9322, "married_never": 0.9950},
}
CODE = {"kind": "category", "least": 5}  # a number a second time, by its very value: what is paid or gained in full comes in a few amounts
PAGE: dict[str, Any] = {
    "model": {"width": 16, "sharing": {"part": "mmoe", "dropout": 0.3}, "cross": "dcn", "history": None},
    "training": {"epochs": 8, "batch": 1024, "weight_decay": 0.03},
}
GROWN = ({}, {"learning_rate": 0.05}, {"learning_rate": 0.05, "max_leaf_nodes": 15}, {"learning_rate": 0.05, "categorical_features": True})
DRAWS = 200
ONCE, AGAIN = "train", "train+valid"
Tell = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    tell = _report.clock()

    tables = {part: pl.read_parquet(options.data / name) for part, name in FILES.items()}
    labels = _labels(options.data)
    options.folder.mkdir(parents=True, exist_ok=True)
    page = options.folder / "census.yaml"
    page.write_text(yaml.safe_dump(described(options.data, tables["train"].columns, labels), sort_keys=False), encoding="utf-8")
    ours = [_network(page, seed, options, tell) for seed in range(options.seeds)]
    theirs = {label: _trees(tables, label, options, tell) for label in labels} if options.trees else {}
    result = _result(options, labels, ours, theirs)
    _report.append(options.results, _entry(result, shlex.join(["python", "-m", "benchmarks.census", *given])))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.census", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of train.parquet, val.parquet and test.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=("valid", "test"), default="test", help="the rows that are judged")
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="keys of store.yaml, such as training.epochs=2")
    parser.add_argument("--rounds", type=int, default=400, help="most trees of a forest")
    parser.add_argument("--no-trees", dest="trees", action="store_false", help="only the network")
    parser.add_argument("--folder", type=Path, default=Path("runs/census"), help="where store.yaml is written")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _labels(folder: Path) -> list[str]:
    meta = folder / "meta.json"
    return list(json.loads(meta.read_text(encoding="utf-8")).get("labels", LABELS)) if meta.exists() else list(LABELS)


def described(folder: Path, columns: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """The store of one table of people: every number stands there twice, as an amount and by its very value."""
    features: dict[str, Any] = {name: "category" if name[0] == "C" else "number" for name in columns if name[0] in "CI" and name[1:].isdigit()}
    codes = {f"{name}_value": {**CODE, "column": name} for name, kind in features.items() if kind == "number"}
    path = {part: str((folder / name).resolve()) for part, name in FILES.items()}
    return {
        "store": "census income",
        "samples": {
            "people": {
                "table": path["train"],
                "labels": {label: label for label in labels},
                "split": {"by": "given", "files": {"valid": path["valid"], "test": path["test"]}},
                "features": {**features, **codes},
            }
        },
        "tasks": {label: {"kind": "binary", "samples": "people", "label": label} for label in labels},
        **PAGE,
    }


def _network(page: Path, seed: int, options: argparse.Namespace, tell: Tell) -> dict[str, Any]:
    """One seed: what the network said of the judged rows, and how good that was."""
    began = time.process_time()
    store = load(page, [*options.set, f"training.seed={seed}"])
    data = build(open_store(store), Texts())
    feeder = Feeder(data, {task: task_options(store, task) for task in store.tasks}, store.model.id_dropout)
    torch.manual_seed(seed)
    network = Network(data.plan, store.model, store.tasks, store.auxiliary)
    record = Fit(network, feeder, store.tasks, store.training, store.model.balancing, evaluate=validator(feeder, store.tasks, most=None)).run()
    found = {ONCE: evaluate(network, feeder, store.tasks, PARTS[options.part], most=None)}
    if options.part == "test":
        data_again, again = refit(store, network, record, Texts())
        feeder = Feeder(data_again, {task: task_options(store, task) for task in store.tasks}, store.model.id_dropout)
        found[AGAIN] = evaluate(again, feeder, store.tasks, PARTS[options.part], most=None)
    auc = {fit: [f"{task} {each.figures[task]['auc']:.4f}" for task in store.tasks] for fit, each in found.items()}
    shown = "; ".join(f"{fit} {' '.join(each)}" for fit, each in auc.items())
    tell(f"seed {seed}: best after {record.best_epoch + 1} epochs; {options.part} AUC {shown}")
    return {"data": data, "store": store, "fits": found, "epochs": record.best_epoch + 1, "cpu_seconds": time.process_time() - began}


def _trees(tables: Mapping[str, pl.DataFrame], label: str, options: argparse.Namespace, tell: Tell) -> dict[str, list[Array]]:
    """Fit -> (n, 1) answers a seed of trees for one label: the setting of `GROWN` that is best on the validation rows with seed 0."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    names = [name for name in tables["train"].columns if name[0] in "CI" and name[1:].isdigit()]
    x = {part: table.select(names).to_numpy().astype(np.float64) for part, table in tables.items()}
    y = {part: table[label].to_numpy() for part, table in tables.items()}
    codes = [name[0] == "C" for name in names]

    def grown(setting: Mapping[str, Any], seed: int) -> Any:
        said = {**setting, **({"categorical_features": codes} if "categorical_features" in setting else {})}
        trees = HistGradientBoostingClassifier(random_state=seed, max_iter=options.rounds, early_stopping=True, **said)
        return trees.fit(x["train"], y["train"], X_val=x["valid"], y_val=y["valid"])

    tried = [(grown(setting, 0), setting) for setting in GROWN]
    scores = [float(roc_auc_score(y["valid"], trees.predict_proba(x["valid"])[:, 1])) for trees, _ in tried]
    best = int(np.argmax(scores))
    tell(f"trees of {label}: validation AUC {' '.join(f'{s:.4f}' for s in scores)}; taken: {tried[best][1] or 'as they come'}")
    forests = {ONCE: [tried[best][0], *(grown(tried[best][1], seed) for seed in range(1, options.seeds))]}
    if options.part == "test":
        both = np.concatenate([x["train"], x["valid"]]), np.concatenate([y["train"], y["valid"]])
        said = {**tried[best][1], **({"categorical_features": codes} if "categorical_features" in tried[best][1] else {})}
        more = [HistGradientBoostingClassifier(random_state=s, max_iter=one.n_iter_, early_stopping=False, **said) for s, one in enumerate(forests[ONCE])]
        forests[AGAIN] = [each.fit(*both) for each in more]
    return {fit: [trees.predict_proba(x[options.part])[:, 1:].astype(np.float32) for trees in each] for fit, each in forests.items()}


def _result(
    options: argparse.Namespace, labels: Sequence[str], ours: Sequence[Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Sequence[Array]]]
) -> dict[str, Any]:
    """Of each label the figures of the first fit, and under `refit` those of the last."""
    data: Data = ours[0]["data"]
    fits = {fit: [each["fits"][fit] for each in ours] for fit in ours[0]["fits"]}
    panel, found = judges(data, ours[0]["store"].tasks), dict[str, Any]()
    for label in labels:
        first, *again = [_row(panel[label], label, runs, theirs.get(label, {}).get(fit, ())) for fit, runs in fits.items()]
        found[label] = {**first, "reach": REACH.get(label), **({"refit": again[0]} if again else {})}
    facts = {key: [each[key] for each in ours] for key in ("epochs", "cpu_seconds")}
    rows = len(fits[ONCE][0].questions[labels[0]])
    return {"benchmark": "census", "part": options.part, "seeds": len(ours), "rows": rows, **facts, "set": options.set, **found}


def _row(part: Task, label: str, ours: Sequence[Evaluation], trees: Sequence[Array]) -> dict[str, Any]:
    """One label and fit: the network, the trees, and the difference."""
    question, auc = ours[0].questions[label], [each.figures[label]["auc"] for each in ours]
    row: dict[str, Any] = {"auc": _mean(auc), "sd": _sd(auc)}
    if trees:
        alone = [judge.figures(part, question, each)["auc"] for each in trees]
        gain = judge.gain(part, question, [each.answers[label] for each in ours], trees, draws=DRAWS)
        row |= {"trees": _mean(alone), "trees_sd": _sd(alone), "gain": gain._asdict()}
    return row


def _mean(values: Sequence[float]) -> float:
    return float(statistics.fmean(values))


def _sd(values: Sequence[float]) -> float | None:
    return float(statistics.stdev(values)) if len(values) > 1 else None


def _entry(result: dict[str, Any], command: str) -> str:
    labels = [key for key, value in result.items() if isinstance(value, dict)]
    took = f"epochs chosen {result['epochs']}; CPU seconds {round(sum(result['cpu_seconds']))}"
    said = [f"- {result['seeds']} seeds, {result['rows']:,} {result['part']} rows; {took}"]
    fits = [(label, fit, row) for label in labels for fit, row in ((ONCE, result[label]), (AGAIN, result[label].get("refit"))) if row]
    rows = [
        f"| {label} | {fit} | {_shown(row, 'auc', 'sd')} | {_shown(row, 'trees', 'trees_sd')} | {_gained(row)} | {_others(label, fit)} |"
        for label, fit, row in fits
    ]
    head = (
        "| label | fitted to | AUC of the network | of trees for it alone | network - trees | "
        + " | ".join(OTHERS)
        + " |\n"
        + "| --- " * (5 + len(OTHERS))
        + "|"
    )
    lines = [*_report.facts(command, _report.versions({})), *said, "", head, *rows]
    return "\n".join(["\n## census\n", *lines, ""])


def _shown(row: Mapping[str, Any], key: str, spread: str) -> str:
    if key not in row:
        return "-"
    return f"{row[key]:.4f}" + (f" +- {row[spread]:.4f}" if row[spread] is not None else "")


def _gained(row: Mapping[str, Any]) -> str:
    gain = row.get("gain")
    return "-" if gain is None else f"{gain['value']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"


def _others(label: str, fit: str) -> str:
    return " | ".join(f"{each[label]:.4f}" if label in each and fit == ONCE else "-" for each in OTHERS.values())


if __name__ == "__main__":
    main()

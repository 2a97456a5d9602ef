"""What does each modality add? Items that are ids alone, with a title, with a photo, with both, and with both brought together by `alignment`.

    python -m benchmarks.modalities --seeds 3

In small planted worlds with photos, where a quarter of the items is listed only when the test begins, one model learns `next` (which item is viewed
next, ranked among all) and `bought` (a view becomes a cart, a purchase) from the clicks. Every arm has the same clicks, the same features of users and
the same training; an item is its id and what the arm says, without counts of what others did with it. All figures are of test rows, of items that
training knew (warm) and did not know (cold) apart. What little is known of an item keeps its score near the middle, so that few cold ones reach the first
20 of all; `behind` asks which cold item it is: the share of the other cold items (of the warm ones, for a warm one) that the model ranks behind the one
that was viewed, .5 by chance. Figures are told as the mean over worlds for `ids`, and for the others as the gain over `ids`, the mean of the worlds'
own differences with a t interval over worlds. A run that is finished in `--folder` is not made again. The last line printed is a JSON object; an entry
goes to RESULTS.md, and `--picture FILE.svg` draws the gains.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from banyan.evaluation.evaluate import answer, judged, validator
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.questions import Question, ask, targets
from banyan.features.build import build
from banyan.features.step import Feeder
from banyan.features.stock import ITEM
from banyan.features.texts import Texts
from banyan.inference import scores as scored
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.world import make
from banyan.training.loop import Fit
from banyan.types import TEST, Array
from benchmarks import _modality_plot, _report, _worlds

IDS, BOTH, ALIGNED = "ids", "both", "both, aligned"
ARMS: dict[str, tuple[str, ...]] = {IDS: (), "text": ("title",), "photo": ("photo",), BOTH: ("title", "photo"), ALIGNED: ("title", "photo")}
ALIGNMENT = {"alike": {"kind": "alignment", "entity": "item", "features": ["photo", "title"]}}
HALVES = ("warm item", "cold item")
METRICS = (("next", "behind"), ("next", "recall@20"), ("bought", "auc/cart"), ("bought", "auc/buy"))
COLD = 0.25  # share of the items
# without figures of what others did with an item, which would carry a new one from its first days on
SETTINGS = ("model.pairs=false", "model.statistics=false", "model.id_dropout=0.3", "training.threads=1", "training.batch=1024", "training.epochs=5")
Figures = dict[str, dict[str, float]]  # half -> `task metric` -> value, and `task rows`


def described(folder: Path, arm: str, seed: int) -> Store:
    """The world's store, of the two tasks, whose items have what the arm gives them."""
    store = load(folder / "store.yaml", [*SETTINGS, f"training.seed={seed}"])
    whole = store.model_dump(exclude_defaults=True)
    entities = {name: dict(whole["entities"][name]) for name in ("user", "item")}
    entities["item"]["features"] = {key: each for key, each in entities["item"]["features"].items() if key in ARMS[arm]}
    tasks = {name: whole["tasks"][name] for name in ("next", "bought")}
    changed = {"entities": entities, "tasks": tasks, "samples": {name: whole["samples"][name] for name in ("viewed", "next")}}
    training = {key: each for key, each in whole["training"].items() if key != "passes_of"}
    auxiliary = {"auxiliary": ALIGNMENT} if arm == ALIGNED else {}
    return Store.model_validate(whole | changed | auxiliary | {"training": training}).model_copy(update={"folder": folder})


def judgement(folder: Path, arm: str, seed: int) -> Figures:
    """Fit an arm to a world; its figures on the test rows."""
    store = described(folder, arm, seed)
    data = build(open_store(store), Texts(folder / "texts.sqlite"))
    feeder = feeder_of(data, store)
    torch.manual_seed(seed)
    network = Network(data.plan, store.model, store.tasks, store.auxiliary)
    Fit(network, feeder, store.tasks, store.training, store.model.balancing, evaluate=validator(feeder, store.tasks), depth=0).run()
    questions = ask(data, store.tasks, TEST, most=None, most_ranked=None)
    found = judged(data, store.tasks, questions, answer(network, feeder, questions), TEST).by_warmth
    beaten = behind(network, feeder, questions["next"])
    halves = {half: {task: found[task][half] for task in store.tasks} for half in HALVES}
    return {
        half: {f"{task} rows": each[task][0] for task in each}
        | {f"{task} {metric}": each[task][1][metric] for task, metric in METRICS if metric != "behind"}
        | {"next behind": beaten[half]}
        for half, each in halves.items()
    }


def behind(network: Network, feeder: Feeder, question: Question) -> dict[str, float]:
    """Half of the items -> the mean share of its other items whose score is below that of the item viewed; a tie counts half."""
    known = feeder.data.known[ITEM][1:]
    _, viewed = targets(feeder.data.tables[question.table], question.rows)
    parts: list[Array] = []
    for rows, scores in scored(network, feeder, question.task, question.table, question.rows):
        each, place = scores.numpy(), viewed[rows] - 1
        own = each[np.arange(len(each)), place][:, None]
        same = known[None] == known[place][:, None]
        below = ((each < own) & same).sum(1) + 0.5 * (((each == own) & same).sum(1) - 1)
        parts.append(below / (same.sum(1) - 1))
    share, warm = np.concatenate(parts), known[viewed - 1]
    return {"warm item": float(share[warm].mean()), "cold item": float(share[~warm].mean())}


def compared(found: Mapping[str, Sequence[Figures]]) -> dict[str, Any]:
    """Arm -> half -> `task metric` -> the mean over worlds, its gain over `ids`, and over `both` where the arm aligns the two."""
    shown: dict[str, Any] = {}
    for arm, worlds in found.items():
        shown[arm] = {}
        for half in HALVES:
            rows: dict[str, Any] = {}
            for key in (f"{task} {metric}" for task, metric in METRICS):
                ours = np.array([each[half][key] for each in worlds])
                rows[key] = {"mean": float(ours.mean())} | (_over(ours, found[IDS], half, key) if arm != IDS else {})
                if arm == ALIGNED:
                    rows[key]["over_both"] = _over(ours, found[BOTH], half, key)
            shown[arm][half] = rows
    return shown


def _over(ours: Any, theirs: Sequence[Figures], half: str, key: str) -> dict[str, float]:
    return _worlds.gain(ours - np.array([each[half][key] for each in theirs]))


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    size = {"users": options.users, "items": options.items}
    ledger = Ledger(options.folder / "modalities.jsonl", size)
    for seed in range(options.seeds):
        place = options.folder / f"world-{seed}"
        if not (place / "store.yaml").exists():
            make(seed=seed, users=options.users, items=options.items, cold=COLD, pictures=True).write(place, oracles=False)
        for arm in ARMS:
            if f"{seed} {arm}" not in ledger:
                began = time.process_time()
                figures = judgement(place, arm, seed)
                seconds = time.process_time() - began
                ledger.add(f"{seed} {arm}", {"figures": figures, "cpu_seconds": seconds})
                said = " ".join(f"{key} {value:.4f}" for half in HALVES for key, value in figures[half].items() if "rows" not in key)
                print(f"seed {seed} {arm:14} {said} {seconds:.0f} CPU s", flush=True)
    return _told(ledger, options, shlex.join(["python", "-m", "benchmarks.modalities", *given]))


def _told(ledger: Ledger, options: argparse.Namespace, command: str) -> dict[str, Any]:
    found = {arm: [ledger[f"{seed} {arm}"]["figures"] for seed in range(options.seeds)] for arm in ARMS}
    rows = {half: {task: [int(each[half][f"{task} rows"]) for each in found[IDS]] for task in ("next", "bought")} for half in HALVES}
    seconds = sum(ledger[f"{seed} {arm}"]["cpu_seconds"] for seed in range(options.seeds) for arm in ARMS)
    size = {"users": options.users, "items": options.items, "cold": COLD}
    result = {"benchmark": "modalities", "seeds": options.seeds, **size, "rows": rows, "cpu_seconds": round(seconds), "arms": compared(found)}
    if options.picture:
        _modality_plot.draw(options.picture, result["arms"], [f"{task} {metric}" for task, metric in METRICS], HALVES)
    _report.append(options.results, _entry(command, result))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modalities", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="worlds")
    parser.add_argument("--users", type=int, default=800)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--picture", type=Path, help="an SVG file of the gains")
    parser.add_argument("--folder", type=Path, default=Path("runs/modalities"), help="where worlds and finished runs are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def table(arms: Mapping[str, Any]) -> list[str]:
    """The lines of a Markdown table: a row for each half and arm, a column for each metric."""
    keys = [f"{task} {metric}" for task, metric in METRICS]
    head = [f"| items | arm | {' | '.join(f'`{key}`' for key in keys)} |", f"|{' --- |' * (len(keys) + 2)}"]
    lines = [f"| {half} | {arm} | {' | '.join(_worlds.shown(arms[arm][half][key]) for key in keys)} |" for half in HALVES for arm in arms]
    more = [f"| {half} | aligned over both | {' | '.join(_worlds.shown(arms[ALIGNED][half][key]['over_both']) for key in keys)} |" for half in HALVES]
    return [*head, *lines, *more]


def _entry(command: str, result: Mapping[str, Any]) -> str:
    worlds = f"{result['seeds']} worlds of {result['users']:,} users and {result['items']:,} items, {result['cold']:.0%} of them cold"
    said = f"{worlds}, one run of each arm, judged on test rows; CPU seconds of all runs {result['cpu_seconds']}."
    more = "`ids`: mean over worlds. Others: mean gain over `ids`, above 0 where better, with a 95 % t interval over worlds."
    return "\n".join(["\n## modalities\n", *_report.facts(command, _report.versions({})), f"- {said} {more}", "", *table(result["arms"]), ""])


if __name__ == "__main__":
    main()

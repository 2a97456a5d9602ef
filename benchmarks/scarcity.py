"""Few labels, many events: what do auxiliary tasks and pseudo-labels give where only a share of the labels is kept?

    python -m benchmarks.scarcity --seeds 3

In small planted worlds four tasks are learned together (`keeps`, `returns`, `loyal`, `lifestage`) from the labels of a share of the training rows; the
other rows stay and lose theirs. The events are all there. Every arm has the same labels, the same steps on them and the same early stopping;
auxiliary tasks train alone for some steps before, but for one arm. Gains over `plain` are those of each world, in the unit of each task's first
metric, with a t interval over worlds. A run that is finished in `--folder` is not made again. The last line printed is a JSON object; an entry
goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from banyan.evaluation.evaluate import answer, judged, validator
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.questions import ask
from banyan.features.build import build
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.world import make
from banyan.training.budget import Budget, budget
from banyan.training.loop import Fit
from banyan.types import PARTS
from benchmarks import _report, _worlds

TASKS = {"keeps": "trials", "returns": "trials", "loyal": "people", "lifestage": "people"}
AUXILIARY = {"masked": {"kind": "masked_events"}, "views": {"kind": "contrastive"}, "upcoming": {"kind": "next_event"}}
EVERY, BESIDE, PSEUDO, BOTH = "all three", "all three, beside only", "pseudo-labels", "all three and pseudo-labels"
ARMS = ("plain", *AUXILIARY, EVERY, PSEUDO, BESIDE, BOTH)
FALLING = ("lifestage",)  # judged by a loss
SHARES = (0.02, 0.1, 1.0)
STEPS, EPOCHS, PATIENCE, BATCH = 6, 30, 6, 256  # small steps between validations: a few labels are soon learned by heart
PRETRAIN = 100  # steps of auxiliary tasks alone, before labels join; none in the arm BESIDE
HELD = timedelta(days=28)  # of validation and test, at the end of the log
Figures = dict[str, float]  # task -> first metric
Key = tuple[float, int, str]  # share of the labels, world, arm


def thinned(folder: Path, share: float, seed: int) -> None:
    """Write the tables with labels so that a share of the training rows keeps them; validation and test rows keep all."""
    cut = pl.read_parquet(folder / "events.parquet", columns=["ts"])["ts"].max() - HELD  # type: ignore[operator]
    for table in dict.fromkeys(TASKS.values()):
        whole = folder / f"{table}.whole.parquet"
        if not whole.exists():
            (folder / f"{table}.parquet").rename(whole)
        frame = pl.read_parquet(whole)
        labels = [name for name in frame.columns if name in TASKS or name == "interests"]
        held = (frame["split"] != "train" if "split" in frame.columns else frame["ts"] >= cut).to_numpy()
        kept = held | (np.random.default_rng([seed, len(frame)]).random(len(frame)) < share)
        frame.with_columns(pl.when(pl.Series(kept)).then(pl.col(name)).alias(name) for name in labels).write_parquet(folder / f"{table}.parquet")


def described(folder: Path, seed: int) -> Store:
    """The world's store, of the four tasks alone, with all that arms may switch on."""
    store = load(folder / "store.yaml", ["training.threads=1", f"training.seed={seed}", f"training.batch={BATCH}"])
    tasks = {name: store.tasks[name].model_copy(update={"calibration": None}) for name in TASKS}
    samples = {name: store.samples[name] for name in dict.fromkeys(TASKS.values())}
    training = store.training.model_copy(update={"epochs": EPOCHS, "patience": PATIENCE, "passes_of": {}, "passes": 4.0})
    whole = store.model_dump(exclude_defaults=True) | {"auxiliary": AUXILIARY}
    chosen = {key: each.model_dump(exclude_defaults=True) for key, each in tasks.items()}
    kept = {key: each.model_dump(exclude_defaults=True) | {"labels": {name: name for name in TASKS if TASKS[name] == key}} for key, each in samples.items()}
    entities = {name: whole["entities"][name] for name in ("user", "item")}
    found = Store.model_validate(whole | {"entities": entities, "tasks": chosen, "samples": kept, "training": training.model_dump(exclude_defaults=True)})
    return found.model_copy(update={"folder": folder})


def arms(store: Store, names: Sequence[str]) -> dict[str, Store]:
    """Arm -> the store with what it switches on."""
    found = {}
    for name in names:
        given = {key: each for key, each in store.auxiliary.items() if key == name or name in (EVERY, BESIDE, BOTH)}
        tasks = {key: type(each)(**{**each.model_dump(), "pseudo_labels": {} if name in (PSEUDO, BOTH) else None}) for key, each in store.tasks.items()}
        training = store.training.model_copy(update={"pretrain": PRETRAIN if given and name != BESIDE else 0})
        found[name] = store.model_copy(update={"auxiliary": given, "tasks": tasks, "training": training})
    return found


def world(folder: Path, seed: int, share: float, names: Sequence[str], part: int) -> Iterator[tuple[str, Figures]]:
    """Every arm on one world with a share of its labels."""
    if not names:
        return
    thinned(folder, share, seed)
    store = described(folder, seed)
    data = build(open_store(store))
    questions = ask(data, store.tasks, part, most=None)
    for name, each in arms(store, names).items():
        began = time.process_time()
        feeder = feeder_of(data, each)
        torch.manual_seed(seed)
        network = Network(data.plan, each.model, each.tasks, each.auxiliary)
        shares = budget(feeder, each.tasks, each.training).shares
        fit = Fit(network, feeder, each.tasks, each.training, "fixed", evaluate=validator(feeder, each.tasks), given=Budget(shares, STEPS), depth=0)
        record = fit.run()
        found = judged(data, each.tasks, questions, answer(network, feeder, questions), part).figures
        best = {task: found[task][network.task(task).best] for task in each.tasks}
        said = " ".join(f"{task} {value:.4f}" for task, value in best.items())
        given = {task: f"{row['labelled']:.0f} of {row['unlabelled']:.0f}" for task, row in record.pseudo_labels.items()}
        print(f"share {share:g} seed {seed} {name:22} {said} steps {record.steps} {time.process_time() - began:.0f} CPU s {given or ''}", flush=True)
        yield name, best


def compared(found: Mapping[Key, Figures], share: float, seeds: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    """Arm -> task -> mean figure, and the gain over `plain`: the mean of the worlds' own differences with a 95 % t interval over worlds."""
    shown: dict[str, Any] = {}
    for name in names:
        mine = [seed for seed in seeds if (share, seed, name) in found and (share, seed, "plain") in found]
        shown[name] = {"worlds": len(mine)}
        for task in TASKS:
            ours, plain = (np.array([found[share, seed, each][task] for seed in mine]) for each in (name, "plain"))
            shown[name][task] = {"mean": float(ours.mean())}
            if name != "plain":
                shown[name][task] |= _worlds.gain((plain - ours) if task in FALLING else (ours - plain))
    return shown


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    torch.set_num_threads(1)
    names, seeds = list(dict.fromkeys(["plain", *options.arms])), list(range(options.seeds))
    ledger = Ledger(options.folder / "scarcity.jsonl", {"users": options.users, "items": options.items, "part": options.part})
    for share in options.shares:
        for seed in seeds:
            place = options.folder / f"world-{seed}"
            if not (place / "store.yaml").exists():
                make(seed=seed, users=options.users, items=options.items).write(place)
            lacking = [name for name in names if f"{share:g} {seed} {name}" not in ledger]
            for name, figures in world(place, seed, share, lacking, PARTS[options.part]):
                ledger.add(f"{share:g} {seed} {name}", figures)
    found = {(share, seed, name): ledger[f"{share:g} {seed} {name}"] for share in options.shares for seed in seeds for name in names}
    shown = {f"{share:g}": compared(found, share, seeds, names) for share in options.shares}
    size = {"users": options.users, "items": options.items}
    result = {"benchmark": "scarcity", "seeds": options.seeds, **size, "part": options.part, "shares": shown}
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.scarcity", *given]), result))
    print(json.dumps(result), flush=True)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scarcity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="worlds")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of the training rows that keep their labels")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS, help="beside `plain`")
    parser.add_argument("--part", choices=("valid", "test"), default="valid", help="rows that arms are judged on")
    parser.add_argument("--folder", type=Path, default=Path("scarcity"), help="where worlds and finished runs are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    return parser


def _entry(command: str, result: dict[str, Any]) -> str:
    head = f"| labels kept | arm | {' | '.join(TASKS)} |\n|{' --- |' * (len(TASKS) + 2)}"
    rows = [
        f"| {float(share):.0%} | {arm} | {' | '.join(_worlds.shown(each[task]) for task in TASKS)} |"
        for share, arms_ in result["shares"].items()
        for arm, each in arms_.items()
    ]
    worlds = f"{result['seeds']} worlds of {result['users']:,} users and {result['items']:,} items"
    said = f"{worlds}, one run of each arm; judged on {result['part']} rows, the best epoch chosen on validation rows."
    more = "`plain`: mean of the first metric (AUC; log loss of `lifestage`). Others: mean gain over it, above 0 where better, with a 95 % t interval."
    return "\n".join(["\n## few labels\n", *_report.facts(command, _report.versions({})), f"- {said} {more}", "", head, *rows, ""])


if __name__ == "__main__":
    main()

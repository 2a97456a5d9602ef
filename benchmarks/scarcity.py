"""Few labels, many events: what do auxiliary tasks and pseudo-labels give where only a share of the labels is kept?

    python -m benchmarks.scarcity --seeds 3

In small planted worlds four tasks are learned together (`keeps`, `returns`, `loyal`, `lifestage`) from the labels of a share of the training rows; the
other rows stay and lose theirs. The events are all there. Every arm has the same labels, the same steps on them and the same early stopping;
auxiliary tasks train alone for some steps before, but for one arm. Gains over `plain` are paired on the judged rows, in the unit of each
task's first metric, with intervals over users and worlds. The last line printed is a JSON object; an entry goes to RESULTS.md.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

from banyan.evaluation import judge
from banyan.evaluation.evaluate import answer, judged, validator
from banyan.evaluation.questions import Question, ask, judges
from banyan.features.build import build
from banyan.metrics import Interval
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.world import make
from banyan.tasks import Task
from banyan.training.budget import Budget, budget
from banyan.training.loop import Fit
from banyan.types import PARTS, Array
from benchmarks import _report

TASKS = {"keeps": "trials", "returns": "trials", "loyal": "people", "lifestage": "people"}
AUXILIARY = {"masked": {"kind": "masked_events"}, "views": {"kind": "contrastive"}, "upcoming": {"kind": "next_event"}}
EVERY, BESIDE, PSEUDO, BOTH = "all three", "all three, beside only", "pseudo-labels", "all three and pseudo-labels"
ARMS = ("plain", *AUXILIARY, EVERY, BESIDE, PSEUDO, BOTH)
SHARES = (0.02, 0.1, 1.0)
STEPS, EPOCHS, PATIENCE, BATCH = 6, 30, 6, 256  # small steps between validations: a few labels are soon learned by heart
PRETRAIN = 100  # steps of auxiliary tasks alone, before labels join; none in the arm BESIDE
GIVEN = {"after": 3, "every": 3}
DRAWS = 200
Found = dict[str, tuple[dict[str, float], dict[str, Array]]]  # arm -> (task -> first metric, task -> answers)


def thinned(folder: Path, share: float, seed: int) -> None:
    """Write the tables with labels so that a share of the training rows keeps them; validation and test rows keep all."""
    for table in dict.fromkeys(TASKS.values()):
        whole = folder / f"{table}.whole.parquet"
        if not whole.exists():
            (folder / f"{table}.parquet").rename(whole)
        frame = pl.read_parquet(whole)
        labels = [name for name in frame.columns if name in TASKS or name == "interests"]
        held = frame["split"].to_numpy() != "train" if "split" in frame.columns else np.zeros(len(frame), bool)
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
        tasks = {key: type(each)(**{**each.model_dump(), "pseudo_labels": GIVEN if name in (PSEUDO, BOTH) else None}) for key, each in store.tasks.items()}
        training = store.training.model_copy(update={"pretrain": PRETRAIN if given and name != BESIDE else 0})
        found[name] = store.model_copy(update={"auxiliary": given, "tasks": tasks, "training": training})
    return found


def world(folder: Path, seed: int, share: float, names: Sequence[str], part: int) -> tuple[Found, Mapping[str, Question], Mapping[str, Task]]:
    """Every arm on one world with a share of its labels."""
    thinned(folder, share, seed)
    store = described(folder, seed)
    shop = open_store(store)
    data, found = build(shop), Found()
    questions = ask(data, store.tasks, part, most=None)
    for name, each in arms(store, names).items():
        began = time.process_time()
        feeder = feeder_of(data, each)
        torch.manual_seed(seed)
        network = Network(data.plan, each.model, each.tasks, each.auxiliary)
        shares = budget(feeder, each.tasks, each.training).shares
        fit = Fit(network, feeder, each.tasks, each.training, "fixed", evaluate=validator(feeder, each.tasks), given=Budget(shares, STEPS), depth=0)
        record = fit.run()
        answers = answer(network, feeder, questions)
        best = {task: figures[_best(network, task)] for task, figures in judged(data, each.tasks, questions, answers, part).figures.items()}
        found[name] = best, answers
        said = " ".join(f"{task} {value:.4f}" for task, value in best.items())
        given = {task: f"{row['labelled']:.0f} of {row['unlabelled']:.0f}" for task, row in record.pseudo_labels.items()}
        print(f"seed {seed} share {share:g} {name:27} {said} steps {record.steps} {time.process_time() - began:.0f} CPU s {given or ''}", flush=True)
    return found, questions, judges(data, store.tasks)


def _best(network: Network, task: str) -> str:
    part: nn.Module = network.task(task)
    return str(part.best)


def compared(runs: Sequence[tuple[Found, Mapping[str, Question], Mapping[str, Task]]], names: Sequence[str]) -> dict[str, Any]:
    """Arm -> task -> mean figure, and the gain over `plain`: the mean over worlds of paired bootstrap draws."""
    found: dict[str, Any] = {}
    for name in names:
        found[name] = {}
        for task in TASKS:
            found[name][task] = {"mean": float(np.mean([run[name][0][task] for run, _, _ in runs]))}
            if name != "plain":
                each = [judge.gain(panel[task], asked[task], [run[name][1][task]], [run["plain"][1][task]], draws=DRAWS) for run, asked, panel in runs]
                found[name][task] |= _pooled(each)
    return found


def _pooled(gains: Sequence[Interval]) -> dict[str, float]:
    """The mean gain over worlds with a 95 % interval: the larger of what rows within worlds and what worlds among each other say of its error."""
    values = np.array([each.value for each in gains])
    within = np.sqrt(np.mean([((each.high - each.low) / 3.92) ** 2 for each in gains]) / len(gains))
    among = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    wide = 1.96 * float(max(within, among))
    return {"gain": float(values.mean()), "low": float(values.mean()) - wide, "high": float(values.mean()) + wide}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run; returns what the last line says."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scarcity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="worlds")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of the training rows that keep their labels")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS, help="beside `plain`")
    parser.add_argument("--part", choices=("valid", "test"), default="valid", help="rows that arms are judged on")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    names = list(dict.fromkeys(["plain", *options.arms]))
    runs: dict[float, list[Any]] = {share: [] for share in options.shares}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as place:
            make(seed=seed, users=options.users, items=options.items).write(Path(place))
            for share in options.shares:
                runs[share].append(world(Path(place), seed, share, names, PARTS[options.part]))
    shown = {f"{share:g}": compared(each, names) for share, each in runs.items()}
    size = {"users": options.users, "items": options.items}
    result = {"benchmark": "scarcity", "seeds": options.seeds, **size, "part": options.part, "shares": shown}
    _report.append(options.results, _entry(shlex.join(["python", "-m", "benchmarks.scarcity", *given]), result))
    print(json.dumps(result), flush=True)
    return result


def _entry(command: str, result: dict[str, Any]) -> str:
    head = f"| labels kept | arm | {' | '.join(TASKS)} |\n|{' --- |' * (len(TASKS) + 2)}"
    rows = [
        f"| {float(share):.0%} | {arm} | {' | '.join(_shown(each[task]) for task in TASKS)} |"
        for share, arms_ in result["shares"].items()
        for arm, each in arms_.items()
    ]
    said = f"{result['seeds']} worlds of {result['users']:,} users and {result['items']:,} items, one run each, judged on {result['part']} rows."
    more = "`plain`: mean of the first metric (AUC; log loss of `lifestage`). Others: mean gain over it, above 0 where better, with a 95 % interval."
    return "\n".join(["\n## few labels\n", *_report.facts(command, _report.versions({})), f"- {said} {more}", "", head, *rows, ""])


def _shown(figure: Mapping[str, float]) -> str:
    if "gain" not in figure:
        return f"{figure['mean']:.4f}"
    sure = figure["low"] > 0 or figure["high"] < 0
    text = f"{figure['gain']:+.4f} [{figure['low']:+.4f}, {figure['high']:+.4f}]"
    return f"**{text}**" if sure else text


if __name__ == "__main__":
    main()

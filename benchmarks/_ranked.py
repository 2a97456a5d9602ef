"""A store with one ranking, fitted the way a user fits it: chosen on validation, then once more on training and validation together."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from banyan import inference
from banyan.evaluation.evaluate import validator
from banyan.features import past_figures
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.stock import Moment
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.refit import refit
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training.loop import Fit
from banyan.training.record import Record
from banyan.types import TEST, Array

TASK, SAMPLES = "next", "next"
MOST_CHOSEN = 3_000  # validation rows that choose the epoch and the weights of signals
K = 10

Tell = Callable[[str], None]


@dataclass
class Fitted:
    """One seed: the model that chose, and the one that was fitted again."""

    store: Store
    chosen: tuple[Data, Network]
    again: tuple[Data, Network]
    record: Record
    cpu_seconds: float


def write(folder: Path, page: Mapping[str, Any], tables: Mapping[str, Any]) -> Path:
    """Tables and `store.yaml` in a folder, as a user has them; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    path = folder / "store.yaml"
    path.write_text(yaml.safe_dump(dict(page), sort_keys=False), encoding="utf-8")
    return path


def fit(path: Path, seed: int, sets: Sequence[str], tell: Tell) -> Fitted:
    """Fit on training rows until validation stops it, then on both for the epochs that were best."""
    began = time.process_time()
    store = load(path, [*sets, f"training.seed={seed}"])
    data = build(open_store(store), Texts())
    feeder = Feeder(data, {TASK: task_options(store, TASK)}, store.model.id_dropout)
    torch.manual_seed(seed)
    network = Network(data.plan, store.model, store.tasks)
    look = validator(feeder, store.tasks, most_ranked=MOST_CHOSEN)

    def told(network: Network) -> dict[str, dict[str, float]]:
        found = look(network)
        weights = network.task(TASK).linear
        side = "" if weights is None else f"; weights of {', '.join(data.plan.side)}: {' '.join(f'{w:.2f}' for w in weights.detach().tolist())}"
        tell(f"seed {seed}: validation NDCG@{K} {found[TASK][f'ndcg@{K}']:.4f}, recall {found[TASK][f'recall@{K}']:.4f}{side}")
        return found

    record = Fit(network, feeder, store.tasks, store.training, store.model.balancing, evaluate=told).run()
    tell(f"seed {seed}: best after {record.best_epoch + 1} epochs; once more on training and validation")
    again = refit(store, network, record, Texts())
    return Fitted(store, (data, network), again, record, time.process_time() - began)


def test_ranks(data: Data, network: Network, leave_out: Sequence[str]) -> tuple[Array, Array]:
    """((n,) test rows, (n,) rank of each one's item among all items that its past does not hold by `leave_out`; ties count against us)."""
    feeder, rows = Feeder(data), data.tables[SAMPLES].rows(TEST)
    return rows, inference.ranks(network, feeder, TASK, SAMPLES, rows, leave_out=leave_out)[:, 0]


def signal_ranks(data: Data, signal: str, leave_out: Sequence[str]) -> Array:
    """(n,) ranks of the test rows' items by one signal alone, the past masked, ties counted against it."""
    table, stock = data.tables[SAMPLES], data.stock
    assert table.moment is not None
    assert table.targets is not None
    rows, items = table.rows(TEST), np.arange(1, len(stock.entities["item"]))
    weights = np.zeros(len(data.plan.side), np.float32)
    weights[data.plan.side.index(f"signal:{signal}")] = 1
    found = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), 1_000):
        moment: Moment = table.moment.take(rows[start : start + 1_000])
        scores = past_figures.weighed(stock, moment, items, weights)
        by, had = stock.had(moment, leave_out)
        scores[by, had - 1] = -np.inf
        wanted = table.targets[1][table.targets[0][rows[start : start + 1_000]]].astype(np.int64) - 1
        found[start : start + 1_000] = (scores >= scores[np.arange(len(scores)), wanted][:, None]).sum(1)
    return found


def figures(ranks: Array, hit: str, gain: str) -> dict[str, float]:
    """Hit rate and NDCG at 10; one item a row, so recall is the hit rate."""
    return {hit: float((ranks <= K).mean()), gain: float(np.where(ranks <= K, 1 / np.log2(ranks + 1), 0).mean())} if len(ranks) else {}


def mean(found: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Means over seeds, and `sd` with the deviation of each (0 for one seed)."""
    keys = list(found[0])
    spread = {key: float(np.std([each[key] for each in found], ddof=1)) if len(found) > 1 else 0.0 for key in keys}
    return {**{key: float(np.mean([each[key] for each in found])) for key in keys}, "sd": spread}


def shown(found: Mapping[str, Any]) -> list[str]:
    """`0.1102 (sd 0.0004)` for each figure."""
    spread = found.get("sd", {})
    return [f"{value:.4f}" + (f" (sd {spread[key]:.4f})" if key in spread else "") for key, value in found.items() if isinstance(value, float)]

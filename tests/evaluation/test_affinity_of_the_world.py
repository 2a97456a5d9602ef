"""On the planted world the affinity sees which tasks agree and which fight."""

import math
from pathlib import Path

import pytest
import torch

from banyan.features.build import build, task_options
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.world import make
from banyan.training.affinity import Affinities, Affinity
from banyan.training.loop import Fit

AGREE = ["training.batch=64", "training.epochs=8", "training.patience=8"]
NARROW = ["model.sharing={part: 'benchmarks._one_number:OneNumber'}", "model.wide=false"]  # a trunk of one number cannot hold two directions
FIGHT = [*NARROW, "training.batch=512", "training.epochs=12", "training.patience=12"]


def measured(folder: Path, tasks: tuple[str, ...], sets: list[str], every: int, seed: int = 0) -> Affinities:
    store = load(folder / "store.yaml", sets)
    chosen = {name: store.tasks[name] for name in tasks}
    samples = {name: store.samples[name] for name in dict.fromkeys(each.samples for each in chosen.values())}
    samples = {name: each.model_copy(update={"labels": {k: v for k, v in each.labels.items() if k in tasks}}) for name, each in samples.items()}
    shop = open_store(store.model_copy(update={"tasks": chosen, "samples": samples}))
    data = build(shop)
    feeder = Feeder(data, {task: task_options(shop.store, task) for task in chosen}, 0.1)
    torch.manual_seed(seed)
    probe = Affinity(every, math.inf)
    Fit(Network(data.plan, shop.store.model, chosen), feeder, chosen, shop.store.training, "fixed", probe=probe).run()
    return probe.result()


@pytest.mark.slow
def test_tasks_that_agree_help_each_other_and_tasks_that_fight_do_not(tmp_path: Path) -> None:
    make(users=2500, items=800, seed=0).write(tmp_path)
    agree = measured(tmp_path, ("loyal", "vip"), AGREE, every=3)
    assert agree.cosine[0, 1] > 2 * agree.cosine_error[0, 1]
    fight = measured(tmp_path, ("keeps", "returns"), FIGHT, every=12)
    assert fight.cosine[0, 1] < -2 * fight.cosine_error[0, 1]
    for i, j in ((0, 1), (1, 0)):
        assert fight.ahead[i, j] < -2 * fight.ahead_error[i, j], "a step on the one undoes the other"
        assert fight.ahead[j, j] > 2 * fight.ahead_error[j, j]
    assert agree.ahead[0, 1] > fight.ahead[0, 1]

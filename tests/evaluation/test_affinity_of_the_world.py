"""On the planted world the affinity sees which tasks agree and which fight."""

from pathlib import Path

import numpy as np
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

SETS = ["model.width=4", "model.sharing={part: bottom, layers: [2]}", "model.products=false", "model.wide=false", "training.epochs=4", "training.lr=0.01"]


def measured(folder: Path, tasks: tuple[str, ...], sets: list[str], seed: int = 0) -> Affinities:
    store = load(folder / "store.yaml", sets)
    chosen = {name: store.tasks[name] for name in tasks}
    shop = open_store(store.model_copy(update={"tasks": chosen}))
    data = build(shop)
    feeder = Feeder(data, {task: task_options(shop.store, task) for task in chosen}, 0.1)
    torch.manual_seed(seed)
    probe = Affinity(5, 9.0)
    Fit(Network(data.plan, shop.store.model, chosen), feeder, chosen, shop.store.training, "fixed", probe=probe).run()
    return probe.result()


@pytest.mark.slow
def test_tasks_that_agree_help_each_other_and_tasks_that_fight_do_not(tmp_path: Path) -> None:
    make(users=1000, items=300, seed=0).write(tmp_path)
    agree = measured(tmp_path, ("loyal", "vip"), SETS)
    assert agree.ahead[0, 1] > 2 * agree.ahead_error[0, 1], "loyal teaches vip"
    fight = measured(tmp_path, ("keeps", "returns"), SETS)
    assert np.nansum(fight.ahead) - np.trace(fight.ahead) < 0
    assert fight.ahead[0, 1] < 0
    assert fight.cosine[0, 1] < agree.cosine[0, 1]

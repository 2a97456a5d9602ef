"""The last fit: when a run on training rows has chosen everything, the same model once more on training and validation rows together."""

from collections.abc import Callable
from pathlib import Path

import torch

from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.graft import Origin
from banyan.model import Network
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training.budget import Budget
from banyan.training.held import Held
from banyan.training.loop import Fit
from banyan.training.record import Record, Watch


def refit(
    store: Store, chosen: Network, record: Record, texts: Texts, *, folder: Path | None = None, watch: Watch | None = None,
    device: torch.device | str = "cpu", origin: Origin | None = None,
) -> tuple[Data, Network]:  # fmt: skip
    """(everything read anew with validation among training, the network fitted to it for the epochs that `record` found best).

    The rate moves as it did in the run that chose. Maps of answers (`calibration`) and weights of side scores that were fitted to
    validation rows (`blend: after`) are those of `chosen`: no row is left to fit others on.
    """
    data = build(open_store(store, merged=True), texts, origin)
    feeder = Feeder(data, {task: task_options(store, task) for task in store.tasks}, store.model.id_dropout)
    torch.manual_seed(store.training.seed)
    network = Network(data.plan, store.model, store.tasks, store.auxiliary)
    held = planted(origin, network, store)
    if origin is None or record.best_epoch >= 0:  # else nothing was better than what the run started from
        Fit(
            network, feeder, store.tasks, store.training, store.model.balancing, last=record.best_epoch + 1, folder=folder, watch=watch, device=device,
            held=held,
        ).run()  # fmt: skip
    network.calibration = dict(chosen.calibration)
    for name in store.tasks:
        network.task(name).settle(chosen.task(name))
    return data, network


def planted(origin: Origin | None, network: Network, store: Store) -> Callable[[Budget], Held | None] | None:
    """Give a new network what it starts from; returns what the loop asks for what does not move."""
    if origin is None:
        return None
    origin.plant(network, store)
    return lambda budget: origin.still(network, budget.steps, sum(budget.shares.values()))

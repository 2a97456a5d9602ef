"""torch-rechub's MMOE through its own `MTLTrainer`, with the defaults that the trainer and the layers are shipped with. Runs in its own environment."""

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.multi_task import MMOE
from torch_rechub.trainers import MTLTrainer
from torch_rechub.utils.data import DataGenerator, PredictDataset

from benchmarks import _table
from benchmarks._turns import Job, Turns

TASKS = ["classification", "classification"]
DEFAULT = {"lr": 1e-3, "weight_decay": 1e-5}  # the trainer's own


def main() -> None:
    """Train one pass in rounds; then say the held-out log loss."""
    torch.set_num_threads(1)
    job, turns = Job.read(), Turns()
    table = _table.load(job.folder)
    torch.manual_seed(job.seed)
    features = [SparseFeature(f"c{i}", vocab_size=size, embed_dim=job.width) for i, size in enumerate(table.sizes)]
    features += [DenseFeature(f"n{i}") for i in range(_table.NUMBERS)]
    tower = {"dims": list(job.tower)}
    model = MMOE(features, TASKS, job.experts, expert_params={"dims": list(job.layers)}, tower_params_list=[tower, tower])
    trainer = MTLTrainer(model, TASKS, optimizer_params={**DEFAULT, **({"fused": True} if job.fused else {})}, n_epoch=1)
    order = np.random.default_rng(job.seed).permutation(table.train)
    turns.say(ready=True)
    for number in range(job.rounds):
        rows = order[number * job.round_rows : (number + 1) * job.round_rows]
        loader = _loader(table, rows, job.batch)
        turns.begin()
        trainer.train_one_epoch(loader)
        turns.end(job.round_rows)
    held = np.arange(table.train, len(table.ids))
    answers = trainer.predict(trainer.model, _questions(table, held))
    turns.say(log_loss=_table.log_loss(np.array(answers), table.labels[held]))


def _columns(table: _table.Table, rows: np.ndarray) -> dict[str, np.ndarray]:
    found = {f"c{i}": table.ids[rows, i] for i in range(_table.COLUMNS)}
    return {**found, **{f"n{i}": table.numbers[rows, i] for i in range(_table.NUMBERS)}}


def _loader(table: _table.Table, rows: np.ndarray, batch: int) -> DataLoader:
    made = DataGenerator(_columns(table, rows), table.labels[rows])
    nothing = {"x_val": {}, "y_val": [], "x_test": {}, "y_test": []}
    return made.generate_dataloader(**nothing, batch_size=batch)[0]


def _questions(table: _table.Table, rows: np.ndarray) -> DataLoader:
    return DataLoader(PredictDataset(_columns(table, rows)), batch_size=8192)


if __name__ == "__main__":
    main()

"""deepctr-torch's MMOE through its own `fit`, with its defaults; the gates have no hidden layer, as everyone's here. Runs in its own environment."""

import numpy as np
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import MMOE

from benchmarks import _table
from benchmarks._turns import Job, Turns


def main() -> None:
    """Train one pass in rounds; then say the held-out log loss."""
    torch.set_num_threads(1)
    job, turns = Job.read(), Turns()
    table = _table.load(job.folder)
    features = [SparseFeat(f"c{i}", size, embedding_dim=job.width) for i, size in enumerate(table.sizes)]
    features += [DenseFeat(f"n{i}", 1) for i in range(_table.NUMBERS)]
    model = MMOE(
        features,
        num_experts=job.experts,
        expert_dnn_hidden_units=job.layers,
        gate_dnn_hidden_units=(),
        tower_dnn_hidden_units=job.tower,
        task_names=_table.LABELS,
        seed=job.seed,
    )
    optimiser = torch.optim.Adam(model.parameters(), fused=True) if job.fused else "adam"
    model.compile(optimiser, loss=["binary_crossentropy"] * 2)
    order = np.random.default_rng(job.seed).permutation(table.train)
    turns.say(ready=True)
    for number in range(job.rounds):
        rows = order[number * job.round_rows : (number + 1) * job.round_rows]
        turns.begin()
        model.fit(_columns(table, rows), table.labels[rows], batch_size=job.batch, epochs=1, verbose=0)
        turns.end(job.round_rows)
    held = np.arange(table.train, len(table.ids))
    answers = model.predict(_columns(table, held), batch_size=8192)
    turns.say(log_loss=_table.log_loss(answers, table.labels[held]))


def _columns(table: _table.Table, rows: np.ndarray) -> dict[str, np.ndarray]:
    found = {f"c{i}": table.ids[rows, i] for i in range(_table.COLUMNS)}
    return {**found, **{f"n{i}": table.numbers[rows, i] for i in range(_table.NUMBERS)}}


if __name__ == "__main__":
    main()

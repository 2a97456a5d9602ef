"""A bare loop of the same network: one fused table, a lazy Adam, nothing watched, clipped, masked, balanced or made ahead."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from banyan.features.distinct import Scratch
from banyan.sharing._blocks import Experts, Gates, mix
from banyan.tasks._head import head
from banyan.training.optim import LazyAdam
from benchmarks import _table
from benchmarks._turns import Job, Turns

LR = 2e-3


class Bare(nn.Module):
    """MMoE on the embedded columns and the numbers' token."""

    def __init__(self, job: Job, rows: int, prior: list[float]) -> None:
        super().__init__()
        self.table = torch.randn(rows, job.width) * 0.05
        inputs = (_table.COLUMNS + 1) * job.width
        self.numbers = nn.Linear(_table.NUMBERS, job.width)
        self.experts, self.gates = Experts(inputs, job.layers, job.experts), Gates(inputs, job.experts, 2)
        self.heads = nn.ModuleList(head(job.layers[-1], job.tower, [float(np.log(p / (1 - p)))], 0.0) for p in prior)

    def forward(self, leaf: Tensor, inverse: Tensor, numbers: Tensor) -> Tensor:
        """(B, 2) log odds."""
        x = torch.cat([functional.embedding(inverse, leaf).view(len(numbers), -1), self.numbers(numbers)], 1)
        views = mix(self.gates(x, [0, 1]), self.experts(x))
        return torch.cat([each(views[i]) for i, each in enumerate(self.heads)], 1)


def main() -> None:
    """Train one pass in rounds; then say the held-out log loss."""
    torch.set_num_threads(1)
    job, turns = Job.read(), Turns()
    table = _table.load(job.folder)
    ids = (table.ids + np.concatenate([[0], np.cumsum(table.sizes)[:-1]])).astype(np.int32)
    torch.manual_seed(job.seed)
    network = Bare(job, sum(table.sizes), table.labels[: table.train].mean(0).tolist())
    scratch, lazy = Scratch(sum(table.sizes)), LazyAdam(network.table)
    dense = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=1e-5, fused=True)
    order = np.random.default_rng(job.seed).permutation(table.train)
    turns.say(ready=True)

    def encoded(rows: _table.Array) -> tuple[Tensor, Tensor, Tensor]:
        distinct, inverse = scratch.distinct(ids[rows].reshape(-1))
        return torch.from_numpy(distinct.astype(np.int64)), torch.from_numpy(inverse), torch.from_numpy(table.numbers[rows])

    for number in range(job.rounds * job.steps):
        if number % job.steps == 0:
            turns.begin()
        rows = order[number * job.batch : (number + 1) * job.batch]
        distinct, inverse, numbers = encoded(rows)
        leaf = network.table[distinct].requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=job.bf16):
            raw = network(leaf, inverse, numbers)
        loss = 2 * functional.binary_cross_entropy_with_logits(raw.float(), torch.from_numpy(table.labels[rows]))
        dense.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        dense.step()
        lazy.step(distinct, leaf, LR)
        if (number + 1) % job.steps == 0:
            turns.end(job.round_rows)
    turns.say(log_loss=judged(network, encoded, table))


@torch.no_grad()
def judged(network: Bare, encoded: Callable[[_table.Array], tuple[Tensor, Tensor, Tensor]], table: _table.Table) -> list[float]:
    """Held-out log loss of each label."""
    held = np.arange(table.train, len(table.ids))
    answers = []
    for rows in np.array_split(held, max(1, len(held) // 8192)):
        distinct, inverse, numbers = encoded(rows)
        answers.append(network(network.table[distinct], inverse, numbers).sigmoid().numpy())
    return _table.log_loss(np.concatenate(answers), table.labels[held])


if __name__ == "__main__":
    main()

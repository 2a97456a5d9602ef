"""Banyan's own training loop, as a user's run has it: masks, clipping, logged losses, the balancer `fixed`, steps made ahead."""

from collections.abc import Mapping

import numpy as np
import torch

from banyan import inference
from banyan.features.columns import Layout, Values
from banyan.features.data import Data, TableData
from banyan.features.labels import Labels
from banyan.features.numbers import Number
from banyan.features.plan import Plan, TablePlan
from banyan.features.step import Feeder
from banyan.features.stock import Stock
from banyan.features.vocabulary import FIRST, Vocabulary
from banyan.model import Network
from banyan.store.schema import ModelSpec, TaskSpec, Training
from banyan.training.loop import Fit
from banyan.training.record import Figures
from banyan.types import TEST, TRAIN, Array, Target
from benchmarks import _table
from benchmarks._turns import Job, Turns

ROWS = "rows"


def data(table: _table.Table) -> Data:
    """The table as the feature code would leave it: every column's values in a vocabulary, most frequent first."""
    names = [f"c{i}" for i in range(_table.COLUMNS)]
    plan = Plan(books={name: Vocabulary(name, [str(v) for v in range(size)]) for name, size in zip(names, table.sizes, strict=True)})
    numbers = [Number(f"n{i}", False, 0.0, 1.0, [], -8.0, 8.0) for i in range(_table.NUMBERS)]
    plan.context = Layout("context", {name: name for name in names}, numbers)
    plan.tables[ROWS] = TablePlan([], [*names, *(n.name for n in numbers)], list(_table.LABELS))
    prior = table.labels[: table.train].mean(0)
    plan.targets = {task: Target((task,), (), (float(prior[i]),)) for i, task in enumerate(_table.LABELS)}
    plan.number_rows()
    return Data(plan, Stock(plan, {}, {}), {ROWS: _rows(table, plan)})


def _rows(table: _table.Table, plan: Plan) -> TableData:
    n = len(table.ids)
    ids = np.stack([_by_frequency(table.ids[:, i], size, table.train) + book.offset for i, (size, book) in enumerate(_books(table, plan))], 1)
    values = Values(ids.astype(np.int32), table.numbers, np.ones(table.numbers.shape, bool), np.zeros((n, 0), np.int32), {}, {})
    part = np.where(np.arange(n) < table.train, TRAIN, TEST).astype(np.int8)
    labels = {task: Labels(table.labels[:, i : i + 1].copy(), np.ones((n, 1), bool)) for i, task in enumerate(_table.LABELS)}
    own = plan.tables[ROWS].context
    return TableData(ROWS, {}, np.zeros(n, np.int32), part, np.ones(n, np.float32), values, None, own, None, None, labels)


def _books(table: _table.Table, plan: Plan) -> list[tuple[int, Vocabulary]]:
    return list(zip(table.sizes, plan.books.values(), strict=True))


def _by_frequency(ids: Array, size: int, train: int) -> Array:
    """Codes as a vocabulary gives them: the most frequent training value first."""
    code = np.empty(size, np.int64)
    code[np.argsort(-np.bincount(ids[:train], minlength=size), kind="stable")] = np.arange(size)
    return np.asarray(code[ids] + FIRST)


def network(plan: Plan, job: Job) -> tuple[Network, dict[str, TaskSpec]]:
    """The network of a job."""
    tasks = {task: TaskSpec(kind="binary", samples=ROWS, label=task, tower=job.tower) for task in _table.LABELS}  # type: ignore[call-arg]
    spec = ModelSpec(
        width=job.width, sharing={"part": "mmoe", "experts": job.experts, "layers": job.layers}, history=None, pairs=False, statistics=False, wide=False
    )
    torch.manual_seed(job.seed)
    return Network(plan, spec, tasks), tasks


class _Rounds:
    """Ends a round when the loop reports, and waits for the next one."""

    def __init__(self, turns: Turns, job: Job) -> None:
        self.turns, self.job = turns, job

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float], pace: float) -> None:
        self.turns.end(self.job.round_rows)
        if step < steps:
            self.turns.begin()

    def epoch(self, epoch: int, figures: Figures, score: float, best: bool) -> None:
        pass


def main() -> None:
    """Train one pass in rounds; then say the held-out log loss."""
    torch.set_num_threads(1)
    job, turns = Job.read(), Turns()
    table = _table.load(job.folder)
    made = data(table)
    net, tasks = network(made.plan, job)
    feeder = Feeder(made)
    # The rate stays constant, as everyone's here does: over one pass a decay would only hide how far each sample brings the model.
    options = Training(epochs=1, decay="constant", batch=job.batch, seed=job.seed, bf16=job.bf16, threads=1)
    fit = Fit(net, feeder, tasks, options, "fixed", watch=_Rounds(turns, job), log_every=job.steps)
    turns.say(ready=True, parameters=sum(p.numel() for p in net.parameters()), rows=made.plan.rows)
    turns.begin()
    fit.run()
    held = np.arange(table.train, len(table.ids))
    answers = inference.predict(net, feeder, ROWS, held, list(tasks))
    turns.say(log_loss=_table.log_loss(np.stack([np.asarray(answers[t]).reshape(-1) for t in tasks], 1), table.labels[held]))


if __name__ == "__main__":
    main()

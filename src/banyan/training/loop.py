"""The loop: deals steps, asks the network for losses and the balancer for gradients, moves the weights, watches validation.

It asks parts for verbs and knows none by name.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from banyan import parts
from banyan.balancing import Balancer
from banyan.errors import BanyanError
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.schema import TaskSpec, Training
from banyan.training import checkpoint
from banyan.training.optim import LazyAdam
from banyan.training.picks import Dealt, Picker, ahead
from banyan.training.reach import shared_tensors
from banyan.training.schedule import TableMix, TaskWeights, rate
from banyan.types import TRAIN, Array, Step

Figures = dict[str, dict[str, float]]  # task -> metric -> value
LOG_EVERY = 20  # steps


@runtime_checkable
class Watch(Protocol):
    """Who looks on: a progress bar, a test, nobody."""

    def step(self, epoch: int, step: int, steps: int, losses: Mapping[str, float], pace: float) -> None:
        """Every few steps: losses by view (nats), rows a second."""

    def epoch(self, epoch: int, figures: Figures, score: float, best: bool) -> None:
        """After each validation."""


@dataclass
class Record:
    """What a fit did; the best epoch's weights are in the network when it ends."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    best_score: float = -math.inf
    first: dict[str, float] = field(default_factory=dict)  # each task's figure after the first epoch: the score's zero
    stale: int = 0
    steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    rows: int = 0
    stopped: str = ""


@dataclass
class Budget:
    """How much of each table a step and an epoch read; a task alone gets the joint model's."""

    shares: dict[str, float]  # rows a step, on average
    steps: int  # an epoch


def budget(feeder: Feeder, tasks: Mapping[str, TaskSpec], options: Training) -> Budget:
    """The mix of tables in a step, and the steps in which the largest table is read once."""
    sizes = {name: len(rows) for name, rows in training_rows(feeder, tasks).items()}
    mix = TableMix(sizes, options.batch, options.mix)
    steps = mix.steps(max(sizes, key=lambda name: sizes[name]))
    return Budget(dict(zip(mix.names, mix.shares.tolist(), strict=True)), min(steps, options.steps or steps))


def training_rows(feeder: Feeder, tasks: Mapping[str, TaskSpec]) -> dict[str, Array]:
    """Table -> rows of the training part that show a label of one of the tasks."""
    found = {}
    for name in dict.fromkeys(spec.samples for spec in tasks.values()):
        table = feeder.data.tables[name]
        seen = np.zeros(len(table), bool)
        for task, spec in tasks.items():
            if spec.samples == name:
                seen |= table.labels[task].seen.any(1)
        rows = np.flatnonzero((table.part == TRAIN) & seen)
        if not len(rows):
            mine = ", ".join(t for t, s in tasks.items() if s.samples == name)
            raise BanyanError(f"samples.{name}: no training row has a label of {mine}; look at `banyan check`.")
        found[name] = rows
    return found


class Fit:
    """One training run over several tables."""

    def __init__(
        self,
        network: Network,
        feeder: Feeder,
        tasks: Mapping[str, TaskSpec],
        options: Training,
        balancing: parts.Spec,
        *,
        evaluate: Callable[[Network], Figures] | None = None,
        given: Budget | None = None,
        folder: Path | None = None,
        watch: Watch | None = None,
        checkpoint_seconds: float = 60.0,
        device: torch.device | str = "cpu",
        depth: int = 2,
        log_every: int = LOG_EVERY,
    ) -> None:
        """`folder`: where checkpoints and `history.jsonl` go; a run found there is resumed. `given`: shares and steps of another run."""
        self.network, self.feeder, self.tasks, self.options = network.to(device), feeder, dict(tasks), options
        self.evaluate, self.folder, self.watch, self.depth, self.log_every = evaluate, folder, watch, depth, log_every
        self.device, self.checkpoint_seconds = torch.device(device), checkpoint_seconds
        self.budget = given or budget(feeder, tasks, options)
        self.total = self.budget.steps * options.epochs
        self.balancer: Balancer = parts.build("balancing", balancing, network.sizes.views).to(device)
        self.dense = [p for p in network.parameters() if p.requires_grad]
        self.optimiser = _adamw(self.dense, list(self.balancer.parameters()), options)
        self.table = LazyAdam(network.embeddings.weight)
        rows = training_rows(feeder, tasks)
        mix = TableMix({name: len(r) for name, r in rows.items()}, max(round(sum(self.budget.shares[name] for name in rows)), 1), options.mix)
        self.picker = Picker(rows, mix, options.seed)
        self.weights = TaskWeights({t: s.weight for t, s in tasks.items()}, over_time=options.weights, final={t: w for t, w in options.final_weights.items() if t in tasks})
        self.names = [name if len(views) == 1 else f"{name}/{i}" for name, views in network.views.items() for i in range(len(views))]
        self.of_view = [name for name, views in network.views.items() for _ in views]
        self.record, self.best = Record(), dict[str, Tensor]()
        self.reached: dict[tuple[int, ...], list[int]] = {}
        self.history: list[dict[str, Any]] = []
        self.bf16 = _bf16(options.bf16, self.device)
        self._dealt: Dealt | None = None
        self._began, self._factor = (time.perf_counter(), time.process_time()), 1.0
        self._sums, self._counts = torch.zeros(network.sizes.views), torch.zeros(network.sizes.views)

    def run(self) -> Record:
        """Train to the end, or to the wall-time limit; leaves the best epoch's weights in the network."""
        threads = torch.get_num_threads()
        if self.options.threads:
            torch.set_num_threads(self.options.threads)
        try:
            if not self._resume():
                torch.manual_seed(self.options.seed)
            self._began = time.perf_counter() - self.record.seconds, time.process_time() - self.record.cpu_seconds
            if not self.record.stopped:
                self._steps()
            self._restore_best()
        finally:
            torch.set_num_threads(threads)
        self._save()
        return self.record

    def _clock(self) -> tuple[float, float]:
        """Wall and CPU seconds of this run, those before a resume counted in."""
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]

    def _steps(self) -> None:
        saved = time.perf_counter()
        for dealt in ahead(self.picker, self._make, self.record.steps, self.total, self.depth):
            self._step(dealt)
            if self.record.steps % self.budget.steps == 0 and self._end_epoch():
                break
            if self.options.seconds and self._clock()[0] > self.options.seconds:
                self.record.stopped = f"after {self.options.seconds:g} seconds"
                self._end_epoch()
                break
            if self.folder and time.perf_counter() - saved >= self.checkpoint_seconds:
                self._save(dealt)
                saved = time.perf_counter()
        self.record.stopped = self.record.stopped or f"after {self.options.epochs} epochs"
        self.record.seconds, self.record.cpu_seconds = self._clock()

    def _make(self, picks: dict[str, Array], rng: np.random.Generator) -> Step:
        return self.feeder.step(picks, rng, list(self.tasks))

    def _step(self, dealt: Dealt) -> None:
        step = dealt.step if self.device.type == "cpu" else dealt.step.to(self.device)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        self._rate(dealt.number)
        leaf, losses, present = self._losses(step)
        weighted = losses * self._task_weights(present, dealt.number)
        weights = self.balancer.backward(weighted, present, self._shared(weighted, present, leaf))
        penalty = self.network.sharing.penalty()
        if penalty.requires_grad:
            penalty.backward()
        self._move(step, leaf)
        if self.balancer.looks_back:
            with torch.no_grad():
                _, after, _ = self._losses(step)
            self.balancer.after(after * self._task_weights(present, dealt.number), present)
        self.record.steps, self._dealt = dealt.number + 1, dealt
        self.record.rows += sum(b.rows for b in step.batches)
        self._log(dealt.number, losses.detach(), weights, present)

    def _losses(self, step: Step) -> tuple[Tensor, Tensor, list[int]]:
        leaf = self.network.embeddings.leaf(step.distinct)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            raw = self.network(step, leaf)
        losses, present = self.network.losses(step, raw)
        return leaf, losses, present

    def _shared(self, losses: Tensor, present: Sequence[int], leaf: Tensor) -> list[Tensor]:
        if not self.balancer.reads_shared:
            return []
        key, tensors = tuple(present), [*self.dense, leaf]
        if key not in self.reached:
            places = {id(t): i for i, t in enumerate(tensors)}
            self.reached[key] = [places[id(t)] for t in shared_tensors(losses, tensors)]
        return [tensors[i] for i in self.reached[key]]

    def _move(self, step: Step, leaf: Tensor) -> None:
        moved = [*self.dense, leaf]
        nn.utils.clip_grad_norm_(moved, self.options.clip)
        self.optimiser.step()
        self.table.step(step.distinct, leaf, (self.options.embedding_lr or self.options.lr) * self._factor)

    def _rate(self, number: int) -> None:
        self._factor = rate(number, self.total, warmup=self.options.warmup, decay=self.options.decay)
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.lr * self._factor

    def _task_weights(self, present: Sequence[int], number: int) -> Tensor:
        weights = self.weights.at(number, self.total)
        return torch.tensor([weights[self.of_view[view]] for view in present], device=self.device)

    def _log(self, number: int, losses: Tensor, weights: Tensor, present: Sequence[int]) -> None:
        where = torch.tensor(list(present))
        self._sums[where] += losses.cpu()
        self._counts[where] += 1
        if (number + 1) % self.log_every and number + 1 != self.total:
            return
        means = (self._sums / self._counts.clamp(min=1)).tolist()
        shown = {self.names[v]: means[v] for v in range(len(means)) if self._counts[v] > 0}
        self._refuse(shown, number)
        given = {self.names[v]: w for v, w in zip(present, weights.tolist(), strict=True)}
        self.history.append({"step": number + 1, "loss": shown, "weight": given, "lr": self.options.lr * self._factor})
        self._sums.zero_()
        self._counts.zero_()
        if self.watch:
            pace = self.record.rows / max(self._clock()[0], 1e-9)
            self.watch.step(number // self.budget.steps, number + 1, self.total, shown, pace)

    def _refuse(self, losses: Mapping[str, float], number: int) -> None:
        for name, value in losses.items():
            if not math.isfinite(value):
                advice = "Lower training.lr or training.clip, or look for extreme numbers with `banyan check`."
                raise BanyanError(f"The loss of {name} is {value} at step {number + 1}. {advice}")

    def _end_epoch(self) -> bool:
        """Validate; True when it is time to stop."""
        epoch = (self.record.steps - 1) // self.budget.steps
        figures = self.evaluate(self.network) if self.evaluate else {}
        score = self._score(figures) if figures else float(epoch)
        better = score > self.record.best_score
        if better:
            self.record.best_score, self.record.best_epoch, self.record.stale = score, epoch, 0
            self.best = {key: t.detach().clone() for key, t in self.network.state_dict().items()}
        else:
            self.record.stale += 1
        entry = {"epoch": epoch, "step": self.record.steps, "score": score, "valid": figures}
        self.record.epochs.append(entry)
        self.history.append(entry)
        self.weights.epoch({t: self._signed(t, f) for t, f in figures.items()})
        self.balancer.epoch()
        if self.watch:
            self.watch.epoch(epoch, figures, score, better)
        if self.record.stale >= self.options.patience:
            self.record.stopped = f"early, no better validation score for {self.options.patience} epochs"
        self.record.seconds, self.record.cpu_seconds = self._clock()
        if self.folder:
            self._save(self._dealt)
        return bool(self.record.stopped)

    def _signed(self, task: str, figures: Mapping[str, float]) -> float:
        part = self.network.task(task)
        value = figures.get(part.best, math.nan)
        return value if part.rising else -value

    def _score(self, figures: Figures) -> float:
        """Weighted mean over tasks of the relative gain of each one's first metric over its value after the first epoch."""
        gains, weights = [], []
        for task, each in figures.items():
            value = self._signed(task, each)
            if math.isfinite(value):
                first = self.record.first.setdefault(task, value)
                gains.append((value - first) / max(abs(first), 1e-6))
                weights.append(self.tasks[task].weight)
        return float(np.average(gains, weights=weights)) if gains else -float(len(self.record.epochs))

    def _restore_best(self) -> None:
        if self.best:
            self.network.load_state_dict(self.best)

    def _save(self, dealt: Dealt | None = None) -> None:
        if self.folder is None:
            return
        dealt = dealt or self._dealt
        if dealt is None:
            return
        self.record.seconds, self.record.cpu_seconds = self._clock()
        tensors = {
            **checkpoint.pack("network", self.network.state_dict()),
            **checkpoint.pack("table", self.table.state()),
            **checkpoint.pack("balancer", dict(self.balancer.state_dict())),
            **checkpoint.pack("best", self.best),
            **checkpoint.pack("optimiser", _flat(self.optimiser)),
            **checkpoint.pack("log", {"sums": self._sums, "counts": self._counts}),
            "rng": torch.get_rng_state(),
        }
        if self.device.type == "cuda":
            tensors["rng_cuda"] = torch.cuda.get_rng_state(self.device)
        facts = {"record": asdict(self.record), "picker": dealt.state, "weights": self.weights.state(), "history": self.history, "options": self._identity()}
        checkpoint.save(self.folder, self.record.steps, tensors, facts)
        lines = "".join(json.dumps(line) + "\n" for line in self.history)
        (self.folder / "history.jsonl").write_text(lines, encoding="utf-8")

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        options = self.options.model_dump(mode="json", exclude={"seconds", "threads"})
        tasks = {t: s.model_dump(mode="json") for t, s in self.tasks.items()}
        return {"training": options, "tasks": tasks, "shares": self.budget.shares, "steps": self.budget.steps}

    def _resume(self) -> bool:
        found = checkpoint.newest(self.folder) if self.folder else None
        if found is None:
            return False
        _, tensors, facts = found
        if facts["options"] != json.loads(json.dumps(self._identity())):
            raise BanyanError(f"{self.folder}: holds a run with other options; give another folder, or delete this one to begin again.")
        self.network.load_state_dict(checkpoint.unpack("network", tensors))
        self.table.load(checkpoint.unpack("table", tensors))
        self.balancer.load_state_dict(checkpoint.unpack("balancer", tensors))
        self.best = checkpoint.unpack("best", tensors)
        _unflat(self.optimiser, checkpoint.unpack("optimiser", tensors))
        self._sums, self._counts = tensors["log/sums"].clone(), tensors["log/counts"].clone()
        self.record = Record(**facts["record"])
        self.picker.load(facts["picker"])
        self.weights.load(facts["weights"])
        self.history = facts["history"]
        torch.set_rng_state(tensors["rng"])
        if "rng_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng_cuda"], self.device)
        return True


def _adamw(dense: list[nn.Parameter], own: list[nn.Parameter], options: Training) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = [{"params": dense}]
    if own:
        groups.append({"params": own, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, lr=options.lr, weight_decay=options.weight_decay, fused=True)


def _flat(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {f"{i}/{key}": value for i, state in optimiser.state_dict()["state"].items() for key, value in state.items()}


def _unflat(optimiser: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    whole = optimiser.state_dict()
    whole["state"] = {}
    for key, value in flat.items():
        number, name = key.split("/")
        whole["state"].setdefault(int(number), {})[name] = value
    optimiser.load_state_dict(whole)


def _bf16(wanted: bool | None, device: torch.device) -> bool:
    """Whether training steps run in bf16: asked for, or, unasked, where the processor has it."""
    return has_bf16(device) if wanted is None else wanted


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bf16 natively, and so faster than in fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())

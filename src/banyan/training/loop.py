"""The loop: deals steps, asks the network for losses and the balancer for gradients, moves the weights, watches validation.

It asks parts for verbs and knows none by name.
"""

import math
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from banyan import parts
from banyan.balancing import Balancer
from banyan.devices import has_bf16
from banyan.errors import BanyanError
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.schema import TaskSpec, Training
from banyan.training import dense
from banyan.training.budget import Budget, budget, together, training_rows
from banyan.training.gradients import Gradients
from banyan.training.held import Held
from banyan.training.interrupt import Interrupt
from banyan.training.journal import Entry, Journal, Means
from banyan.training.optim import LazyAdam
from banyan.training.picks import Dealt, Picker, ahead
from banyan.training.pseudo import Pseudo
from banyan.training.record import Figures, Record, Watch
from banyan.training.resume import NETWORK, Kept, identity
from banyan.training.schedule import TableMix, TaskWeights, rate
from banyan.training.score import score, signed
from banyan.types import Array, Step

ADVICE = "Lower training.lr or training.clip, or look for extreme numbers with `banyan check`."
LOG_EVERY = 20  # steps
WRITING = 0.1  # most of the time that goes into checkpoints


@runtime_checkable
class Probe(Protocol):
    """Who measures something on the way, such as which tasks help each other."""

    def look(self, fit: "Fit", step: Step, number: int) -> None:
        """Before step `number` moves anything. It leaves weights, moments and torch's generators as they are, so a run goes the same way with it."""


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
        last: int | None = None,
        folder: Path | None = None,
        watch: Watch | None = None,
        probe: Probe | None = None,
        held: Callable[[Budget], Held | None] | None = None,
        checkpoint_seconds: float = 60.0,
        device: torch.device | str = "cpu",
        depth: int = 2,
        log_every: int = LOG_EVERY,
    ) -> None:
        """`folder`: where checkpoints and `history.jsonl` go; a run found there is resumed. `given`: shares and steps of another run.
        `last`: epochs after which to stop, all unless given; the rate moves as if all were to come.

        `held`: from the budget, what of the network stays where it is; with it the network is one that was trained before, and its first state is the
        first that may be the best.
        `depth`: steps assembled ahead by a thread, 0 for none. `log_every`: steps between lines of the history.
        """
        self.network, self.feeder, self.tasks, self.options = network.to(device), feeder, dict(tasks), options
        self.evaluate, self.folder, self.watch, self.depth, self.log_every = evaluate, folder, watch, depth, log_every
        self.probe = probe
        self.device, self.checkpoint_seconds = torch.device(device), checkpoint_seconds
        self.budget = given or budget(feeder, tasks, options)
        self.held, self.trained_before = held(self.budget) if held else None, held is not None
        if why := feeder.silent(network.drawers):
            raise BanyanError(why)
        self.before = options.pretrain if network.auxiliary_specs else 0  # steps of auxiliary tasks alone
        self.total = self.before + self.budget.steps * options.epochs
        self.end = self.before + self.budget.steps * min(last or options.epochs, options.epochs)
        self.balancer: Balancer = parts.build("balancing", balancing, network.sizes.views).to(device)
        self.dense = [p for p in network.parameters() if p.requires_grad]
        self.optimiser = dense.adamw(self.dense, list(self.balancer.parameters()), options.lr, options.weight_decay)
        self.table = LazyAdam(network.embeddings.weight)
        rows = training_rows(feeder, tasks)
        batch = max(round(sum(self.budget.shares[name] for name in rows)), 1)
        mix = TableMix({name: len(r) for name, r in rows.items()}, batch, options.mix, options.most(rows))
        self.pseudo = Pseudo(network, feeder, tasks, rows, options.seed)
        self.picker = Picker(rows, mix, options.seed, together(feeder, rows))
        final = {t: w for t, w in options.final_weights.items() if t in tasks}
        self.weights = TaskWeights({t: s.weight for t, s in tasks.items()}, over_time=options.weights, final=final)
        self.names = [f"{name}/{stage}" if stage else name for name in network.views for stage in tasks[name].stages or [""]]
        self.names += [f"{name} (auxiliary)" for name in network.auxiliary_specs]
        self.of_view = [name for name, views in network.views.items() for _ in views]
        self.record, self.journal = Record(), Journal(folder / "history.jsonl" if folder else None)
        bf16 = has_bf16(self.device) if options.bf16 is None else options.bf16  # unasked, where the processor has it
        self.gradients = Gradients(network, self.balancer, self.dense, self.device, bf16=bf16)
        self._picked: dict[str, Any] = self.picker.state()
        self._began, self._factor = (time.perf_counter(), time.process_time()), 1.0
        self._means = Means(len(self.names))
        moving = {
            NETWORK: (network.state_dict, network.load_state_dict),
            "table": (self.table.state, self.table.load),
            "balancer": (self.balancer.state_dict, self.balancer.load_state_dict),
            "optimiser": (partial(dense.state, self.optimiser), partial(dense.load, self.optimiser)),
            "means": (self._means.state, self._means.load),
            "pseudo": (self.pseudo.state, self.pseudo.load),
        }
        self.kept = Kept(folder, self.device, moving, identity(network, self.tasks, options, balancing, rows, self.budget))

    @property
    def history(self) -> list[Entry]:
        """Every loss, weight and metric so far, in the order of the steps."""
        return self.journal.entries

    def run(self) -> Record:
        """Train to the end, or to the wall-time limit; leaves the best epoch's weights in the network.

        Ctrl-C ends the step in hand, saves and raises KeyboardInterrupt. A loss or a gradient that is not finite raises BanyanError and
        leaves the last checkpoint as it was. A run that its limit of seconds had stopped goes on under a higher one.
        """
        threads = torch.get_num_threads()
        if self.options.threads:
            torch.set_num_threads(self.options.threads)
        try:
            if not self._resume():
                self.journal.rewind(0)
                torch.manual_seed(self.options.seed)
            self._began = time.perf_counter() - self.record.seconds, time.process_time() - self.record.cpu_seconds
            if not self.record.stopped:
                self._steps()
            self.kept.restore_best()
        finally:
            torch.set_num_threads(threads)
        return self.record

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rates of the step in hand: of the dense part, of the embeddings."""
        return self.options.lr * self._factor, (self.options.embedding_lr or self.options.lr) * self._factor

    def _clock(self) -> tuple[float, float]:
        """Wall and CPU seconds of this run, those before a resume counted in."""
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]

    def _steps(self) -> None:
        saved, wait = time.perf_counter(), self.checkpoint_seconds
        if self.trained_before and self.evaluate and not self.record.steps:
            self._look_first(self.evaluate)
        with Interrupt() as interrupt, closing(self._dealt()) as steps:
            for dealt in steps:
                self._step(dealt)
                if (self._whole_epoch() or self._late()) and self._end_epoch():
                    return
                if interrupt.asked:
                    self._save()
                    raise KeyboardInterrupt(f"Stopped after step {self.record.steps} of {self.total}. {self._whereabouts()}")
                if self.folder and time.perf_counter() - saved >= wait:
                    began = time.perf_counter()
                    self._save()
                    saved = time.perf_counter()
                    wait = max(self.checkpoint_seconds, (saved - began) / WRITING)

    def _dealt(self) -> Generator[Dealt, None, None]:
        """Steps to the end. Where the model gives labels, none is assembled before it has."""
        while self.record.steps < self.end:
            done, epochs = (self.record.steps - self.before) // self.budget.steps, (self.end - self.before) // self.budget.steps
            last = self.before + next((e for e in range(done + 1, epochs) if self.pseudo.due(e)), epochs) * self.budget.steps
            alone = self.record.steps < self.before
            make, last = (self._make_alone, self.before) if alone else (self._make, last)
            with closing(ahead(self.picker, make, self.record.steps, last, self.depth)) as steps:
                yield from steps

    def _whole_epoch(self) -> bool:
        return self.record.steps > self.before and (self.record.steps - self.before) % self.budget.steps == 0

    def _late(self) -> bool:
        return self.options.seconds is not None and self._clock()[self.options.clock == "cpu"] > self.options.seconds

    def _whereabouts(self) -> str:
        """How to go on after a stop."""
        if self.folder is None:
            return "Nothing was kept, since the run has no folder."
        return f"Start the same command again to go on from the last checkpoint in {self.folder}."

    def _make_alone(self, picks: dict[str, Array], rng: np.random.Generator) -> Step:
        """A step of auxiliary tasks: the rows dealt are passed over."""
        return self.feeder.step({}, rng, [], auxiliary=self.network.drawers)

    def _make(self, picks: dict[str, Array], rng: np.random.Generator) -> Step:
        if self.pseudo.given:
            picks = self.pseudo.beside(picks, rng.spawn(1)[0])
        return self.feeder.step(picks, rng, list(self.tasks), auxiliary=self.network.drawers, given=self.pseudo.given)

    def _step(self, dealt: Dealt) -> None:
        step = dealt.step if self.device.type == "cpu" else dealt.step.to(self.device)
        self._rate(dealt.number)
        if self.probe and step.batches:
            self.probe.look(self, step, dealt.number)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        losses = self.gradients.losses(step)
        found = losses.each.tolist()  # waits for a GPU, so that no step goes on from a loss that is none
        extra = {name: float(loss.detach()) for name, loss in losses.asked.items()}
        shown = [*losses.present, *self._numbers(extra)]
        self._refuse([*found, *extra.values()], shown, dealt.number)
        own = self._task_weights(losses.present, dealt.number)
        weights = self.gradients.leave(losses, own)
        self._move(step, losses.leaf, losses.present, dealt.number)
        self.gradients.look_back(step, own, losses.present)
        self.record.steps, self._picked = dealt.number + 1, dealt.state
        self.record.rows += sum(b.rows for b in step.batches)
        self._log(dealt.number, [*found, *extra.values()], weights, shown)

    def _numbers(self, names: Iterable[str]) -> list[int]:
        """Where auxiliary tasks stand among the names of losses: behind the views."""
        return [len(self.of_view) + list(self.network.auxiliary_specs).index(name) for name in names]

    def _move(self, step: Step, leaf: Tensor, present: Sequence[int], number: int) -> None:
        if self.held:
            self.held.hold(number, step.distinct, leaf)
        norm = float(nn.utils.clip_grad_norm_([*self.dense, leaf], self.options.clip))
        if not math.isfinite(norm):
            names = ", ".join(self.names[view] for view in present)
            raise BanyanError(f"The gradient of {names} has the length {norm} at step {number + 1}. {ADVICE} {self._whereabouts()}")
        self.optimiser.step()
        self.table.step(step.distinct, leaf, self.rates[1])
        if self.held:
            self.held.put_back(number, step.distinct, self.rates)

    def _rate(self, number: int) -> None:
        if number < self.before:
            self._factor = rate(number, self.before, warmup=self.options.warmup, decay="constant")
        else:
            self._factor = rate(number - self.before, self.total - self.before, warmup=self.options.warmup, decay=self.options.decay)
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.lr * self._factor

    def _task_weights(self, present: Sequence[int], number: int) -> Tensor:
        weights = self.weights.at(number - self.before, self.total - self.before)
        return torch.tensor([weights[self.of_view[view]] for view in present], device=self.device)

    def _log(self, number: int, losses: Sequence[float], weights: Tensor, present: Sequence[int]) -> None:
        self._means.add(present, losses)
        if (number + 1) % self.log_every and number + 1 != self.total:
            return
        shown = {self.names[view]: loss for view, loss in self._means.take().items()}
        given = {self.names[v]: w for v, w in zip(present, weights.tolist(), strict=False)}  # auxiliary tasks stand last, and have no weight here
        self.journal.add({"step": number + 1, "loss": shown, "weight": given, "lr": self.options.lr * self._factor})
        if self.watch:
            pace = self.record.rows / max(self._clock()[0], 1e-9)
            self.watch.step(max(number - self.before, 0) // self.budget.steps, number + 1, self.total, shown, pace)

    def _refuse(self, losses: Sequence[float], present: Sequence[int], number: int) -> None:
        for value, view in zip(losses, present, strict=True):
            if not math.isfinite(value):
                raise BanyanError(f"The loss of {self.names[view]} is {value} at step {number + 1}. {ADVICE} {self._whereabouts()}")

    def _look_first(self, evaluate: Callable[[Network], Figures]) -> None:
        """Validate what the run starts from: an epoch is better only if it is better than that."""
        values = {task: signed(self.network.task(task), each) for task, each in evaluate(self.network).items()}
        self.record.best_score = self._score(values)
        self.kept.keep_best(0)

    def _end_epoch(self) -> bool:
        """Validate; True when it is time to stop."""
        epoch = max(self.record.steps - 1 - self.before, 0) // self.budget.steps
        figures = self.evaluate(self.network) if self.evaluate else {}
        values = {task: signed(self.network.task(task), each) for task, each in figures.items()}
        reached = self._score(values) if figures else float(epoch)
        better = reached > self.record.best_score
        if better:
            self.record.best_score, self.record.best_epoch, self.record.stale = reached, epoch, 0
            if self.evaluate:  # without, the last weights are the best, and nothing is copied
                self.kept.keep_best(self.record.steps)
        else:
            self.record.stale += 1
        entry = {"epoch": epoch, "step": self.record.steps, "score": reached, "valid": figures}
        goes_on = self._whole_epoch() and self.record.steps < self.end and self.record.stale < self.options.patience
        if goes_on and self.pseudo.due(epoch + 1):
            self.record.pseudo_labels |= self.pseudo.label(epoch + 1)
            entry["pseudo_labels"] = dict(self.record.pseudo_labels)
        self.record.epochs.append(entry)
        self.journal.add(entry)
        self.weights.epoch(values)
        self.balancer.epoch()
        if self.watch:
            self.watch.epoch(epoch, figures, reached, better)
        self.record.stopped = self._stopped()
        self._save()
        return bool(self.record.stopped)

    def _stopped(self) -> str:
        """Why the run is over, or nothing."""
        if self.record.stale >= self.options.patience:
            return f"early, no better validation score for {self.options.patience} epochs"
        if self.record.steps >= self.end:
            return f"after {(self.end - self.before) // self.budget.steps} epochs"
        unit = "CPU seconds" if self.options.clock == "cpu" else "seconds"
        return f"after {self.options.seconds:g} {unit}" if self.options.seconds is not None and self._late() else ""

    def _score(self, values: Mapping[str, float]) -> float:
        found = score(values, {task: spec.weight for task, spec in self.tasks.items()}, self.record.first)
        return -float(len(self.record.epochs)) if found is None else found  # without any, the first epoch is the best

    def _save(self) -> None:
        self.record.seconds, self.record.cpu_seconds = self._clock()
        self.kept.save({"record": asdict(self.record), "picker": self._picked, "weights": self.weights.state(), "history": self.journal.sync()})

    def _resume(self) -> bool:
        """Whether the folder holds a run, which goes on where its last checkpoint stands."""
        facts = self.kept.resume()
        if facts is None:
            return False
        self.record = Record(**facts["record"])
        self.picker.load(facts["picker"])
        self._picked = self.picker.state()
        self.weights.load(facts["weights"])
        self.journal.rewind(facts["history"])
        self.record.stopped = "" if self._has_more_time() else self.record.stopped
        return True

    def _has_more_time(self) -> bool:
        """Whether what ended the run found in the folder, if anything, was a limit of seconds that has been raised since."""
        more = self.options.seconds is None or self.options.seconds > (self.record.cpu_seconds if self.options.clock == "cpu" else self.record.seconds)
        return more and self.record.steps < self.total and self.record.stale < self.options.patience

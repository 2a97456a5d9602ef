"""The whole network: encode, share, answer. Knows neither tables nor losses' balance.

Reads a `Step` (see `types`); every part comes from its family by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan import parts
from banyan.auxiliary import Auxiliary, OfEvents, OfThings
from banyan.calibration import Calibration
from banyan.delayed import Delayed
from banyan.encoders._lookup import START
from banyan.errors import ConfigError
from banyan.features.plan import Plan
from banyan.features.stock import ITEM, USER
from banyan.features.stretches import Drawer
from banyan.features.things import Chooser
from banyan.store.schema import AuxiliarySpec, ModelSpec, TaskSpec
from banyan.trunk import Encoded, Trunk, copies_of
from banyan.trunk.gathered import gathered
from banyan.trunk.names import safe
from banyan.types import Array, Batch, Candidates, Label, Sizes, Step

Ready = list[list[Tensor]]  # of each trunk, from each copy of the embedding tables, (m, S, D) tokens of m things


class Embeddings(nn.Module):
    """One fused table for all ids. Not a parameter: its rows learn through the leaf of the rows that a step touches."""

    weight: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(rows, width) * START)

    def leaf(self, rows: Tensor) -> Float[Tensor, "U D"]:
        """The rows, each once, as a leaf that gathers their gradient in training."""
        return self.weight.index_select(0, rows).requires_grad_(torch.is_grad_enabled())


class Encodings:
    """What each trunk makes of a step's entities, made when it is first asked for."""

    def __init__(self, trunks: Sequence[Trunk], step: Step, leaves: Sequence[Tensor]) -> None:
        self.trunks, self.step, self.leaves = trunks, step, leaves
        self._made: dict[int, Encoded] = {}
        self._beside: dict[str, Ready] = {}

    def __getitem__(self, trunk: int) -> Encoded:
        if trunk not in self._made:
            self._made[trunk] = self.trunks[trunk].encode(self.step, self.leaves[trunk])
            for entity, ready in self._beside.items():
                self._made[trunk] = self.trunks[trunk].beside(self._made[trunk], entity, ready[trunk])
        return self._made[trunk]

    def ready(self, entity: str, places: Tensor) -> "Ready":
        """The tokens of an entity's things at some places of the step, for `beside`."""
        encoded = [self[trunk] for trunk in range(len(self.trunks))]
        return [[copy.tokens[entity][places] for copy in (each, *each.others)] for each in encoded]

    def beside(self, entity: str, ready: "Ready") -> "Encodings":
        """The same with m further things of an entity, encoded before, at the places behind those of the step."""
        found = Encodings(self.trunks, self.step, self.leaves)
        found._beside = {**self._beside, entity: ready}
        for trunk, made in self._made.items():
            found._made[trunk] = self.trunks[trunk].beside(made, entity, ready[trunk])
        return found


class Network(nn.Module):
    """One model for a whole store: (tables' rows) -> tokens -> views -> answers."""

    def __init__(self, plan: Plan, spec: ModelSpec, tasks: Mapping[str, TaskSpec], auxiliary: Mapping[str, AuxiliarySpec] | None = None) -> None:
        """One trunk for all tasks, or one for each of `spec.groups`, of which only those of `tasks` are made. `auxiliary` tasks are for training.

        Draws its weights from torch's global generator.
        """
        super().__init__()
        self.plan, self.width, self.length = plan, spec.width, spec.length
        self.groups = _grouped(spec, tasks)
        self.views, parents = _numbered(tasks)
        of_group = [_numbered({name: tasks[name] for name in group}) for group in self.groups]
        self.trunk_of = {name: number for number, group in enumerate(self.groups) for name in group}
        self.own_views = {name: views for numbered, _ in of_group for name, views in numbered.items()}
        self.columns = _columns([copies_of(spec, len(each)) * spec.width for _, each in of_group], apart=spec.between == "nothing")
        self.embeddings = Embeddings(plan.rows, max(each.stop for each in self.columns))
        for book in plan.books.values():  # until training moves them, what is missing or new says nothing
            self.embeddings.weight[[book.missing, book.unseen]] = 0.0
        self.trunks = nn.ModuleList(self._trunk(spec, group, parents, tasks) for group, (_, parents) in zip(self.groups, of_group, strict=True))
        first = self._each[0]
        self.sizes = Sizes(first.sizes.slots, first.sizes.width, len(parents), parents, len(plan.scenarios), first.copies)
        height: int = first.sharing.width
        self.calibration: dict[str, Calibration] = {}  # task -> the map of its answers, where one was fitted
        self.tasks = nn.ModuleDict()
        for name, spec_ in tasks.items():
            self.tasks[safe(name)] = parts.build("tasks", {"part": spec_.kind, **spec_.options}, height, plan.targets[name])
        self.delayed: dict[str, Delayed] = {name: parts.build("delayed", s.delayed) for name, s in tasks.items() if s.delayed is not None}
        self.ranked = [name for name in tasks if plan.tables[tasks[name].samples].ranking]
        self.stopped = {name for name, each in tasks.items() if each.stop_gradient}
        if self.ranked and ITEM not in first.lengths:
            raise ConfigError(f"The task {self.ranked[0]!r} ranks items, and the entity item has neither features nor `embed_id`.")
        if self.ranked:
            self.item_vector = nn.Linear(len(plan.entities[ITEM].tokens) * spec.width, height)
        self.auxiliary, self.auxiliary_specs = nn.ModuleDict(), dict(auxiliary or {})  # name -> a part for each trunk
        for name, each in self.auxiliary_specs.items():  # drawn last: the rest begins as it would without them
            self.auxiliary[safe(name)] = nn.ModuleList(self._auxiliary(name, each, trunk) for trunk in self._each)

    @property
    def _each(self) -> list[Trunk]:
        return cast("list[Trunk]", list(self.trunks))  # a ModuleList does not say what it holds

    def trunk(self, number: int) -> Trunk:
        """One of the trunks; `trunk_of` says which task is whose."""
        return self._each[number]

    def _askers(self, name: str) -> list[Auxiliary]:
        """An auxiliary task's part for each trunk."""
        return cast("list[Auxiliary]", list(cast(nn.ModuleList, self.auxiliary[safe(name)])))

    def _auxiliary(self, name: str, spec: AuxiliarySpec, trunk: Trunk) -> Auxiliary:
        kind: type[Auxiliary] = parts.find("auxiliary", spec.kind)
        if kind.about == "things":
            return self._comparing(name, spec)
        if "history" not in trunk.lengths:
            raise ConfigError(f"auxiliary.{name}: no samples table has rows with a history, so there is nothing that {spec.kind} could teach.")
        part: Auxiliary = parts.build("auxiliary", {"part": spec.kind, **spec.options}, self.width, len(self.plan.entities[ITEM].tokens) * self.width)
        return part

    def _comparing(self, name: str, spec: AuxiliarySpec) -> Auxiliary:
        part: OfThings = parts.build("auxiliary", {"part": spec.kind, **spec.options}, self.width)
        tokens = self.plan.entities[part.entity].tokens
        if lacking := [feature for feature in part.features if feature not in tokens]:
            why = "no model reads it, since a task predicts it or it gives away what one predicts"
            raise ConfigError(f"auxiliary.{name}: {part.entity}.{lacking[0]} has no token: {why}. Name another feature.")
        return part

    def _trunk(self, spec: ModelSpec, group: Sequence[str], parents: Sequence[int | None], tasks: Mapping[str, TaskSpec]) -> Trunk:
        movers = group if spec.between == "nothing" else list(tasks)  # whose tables move what the trunk reads
        stopped = {view for name in group if tasks[name].stop_gradient for view in self.own_views[name]}
        return Trunk(self.plan, spec, parents, list(dict.fromkeys(tasks[name].samples for name in movers)), stopped)

    def task(self, name: str) -> Any:
        """The task's part."""
        return self.tasks[safe(name)]

    def calibrated(self, name: str, answer: Array) -> Array:
        """(n, C) answers of a task, float32, through its map, if it has one."""
        if name not in self.calibration:
            return answer
        found: Array = self.task(name).consistent(self.calibration[name].apply(answer)).astype(np.float32)
        return found

    def encode(self, step: Step, leaf: Float[Tensor, "U D"]) -> Encodings:
        """Every distinct entity of a step as tokens, once a trunk; a trunk of which nothing is asked does nothing."""
        leaves = [leaf if each.stop - each.start == leaf.shape[1] else leaf[:, each] for each in self.columns]
        return Encodings(self._each, step, leaves)

    def forward(self, step: Step, leaf: Float[Tensor, "U D"] | None = None) -> dict[str, Tensor]:
        """Raw answers of every labelled task of every batch. `leaf` is `embeddings.leaf(step.distinct)` unless given."""
        return self.answers(step, self.encode(step, self.embeddings.leaf(step.distinct) if leaf is None else leaf))

    def answers(self, step: Step, encoded: Encodings) -> dict[str, Tensor]:
        """Raw answers of every labelled task of every batch."""
        found: dict[str, Tensor] = {}
        for batch in step.batches:
            names = list(batch.labels)
            for name, views in self.shared(batch, names, encoded):
                found[name] = self.raw(name, batch, views, self.candidates(batch, name, encoded))
        return found

    def raw(self, name: str, batch: Batch, views: Float[Tensor, "V B H"], candidates: Candidates | None = None) -> Tensor:
        """A task's raw answers on one batch, of which these are its views."""
        part = self.task(name)
        found: Tensor = part(views, candidates)
        offset = part.offset(batch.context)
        return found if offset is None else found + offset

    def shared(self, batch: Batch, names: Sequence[str], encoded: Encodings) -> Iterator[tuple[str, Tensor]]:
        """The views of each task asked for, on one batch."""
        found: dict[str, Tensor] = {}
        for number, trunk in enumerate(self._each):
            mine = [name for name in names if self.trunk_of[name] == number]
            if not mine:
                continue
            views: Tensor = trunk.views(batch, encoded[number], [v for name in mine for v in self.own_views[name]])
            first = 0
            for name in mine:
                found[name] = views[first : first + len(self.own_views[name])]
                first += len(self.own_views[name])
        yield from ((name, found[name]) for name in names)

    def candidates(self, batch: Batch, name: str, encoded: Encodings) -> Candidates | None:
        """The items that a ranking task scores in a batch; None for other tasks."""
        if name not in batch.choices:
            return None
        choice = batch.choices[name]
        return Candidates(gathered(self.vectors(encoded, stop=name in self.stopped), choice.items), choice.log_q, choice.side)

    def vectors(self, encoded: Encodings, *, stop: bool = False) -> Float[Tensor, "n H"]:
        """Item vectors that ranking tasks compare with their views, and that the index holds. With `stop`, of a task that moves only what it owns."""
        tokens = encoded[self.trunk_of[self.ranked[0]]].tokens[ITEM].flatten(1)
        found: Tensor = self.item_vector(tokens.detach() if stop else tokens)
        return found.detach() if stop and len(self.ranked) > 1 else found

    @property
    def drawers(self) -> dict[str, Drawer | Chooser]:
        """What draws the stretches, or chooses the things, that each auxiliary task asks about."""
        return {name: cast("Drawer | Chooser", self._askers(name)[0]) for name in self.auxiliary_specs}

    def asked(self, step: Step, encoded: Encodings) -> dict[str, Tensor]:
        """The loss (nats) of each auxiliary task that a step asks, the mean over the trunks."""
        found = {}
        for name in (name for name in self.auxiliary_specs if name in step.stretches or name in step.things):
            each = enumerate(zip(self._each, self._askers(name), strict=True))
            found[name] = torch.stack([self._asked(name, step, trunk, part, encoded[i]) for i, (trunk, part) in each]).mean()
        return found

    @staticmethod
    def _asked(name: str, step: Step, trunk: Trunk, part: Auxiliary, encoded: Encoded) -> Tensor:
        if name in step.things:
            return trunk.compared(cast(OfThings, part), step.things[name], encoded)
        return trunk.asked(cast(OfEvents, part), step.stretches[name], encoded)

    def penalty(self) -> Tensor:
        """The sharing architectures' own term of the loss (nats, scalar), outside of the balancer."""
        return torch.stack([trunk.sharing.penalty() for trunk in self._each]).sum()

    def losses(self, step: Step, raw: Mapping[str, Tensor]) -> tuple[Tensor, list[int]]:
        """((P,) losses in nats of the views that have a label in the step, the numbers of those views)."""
        losses, present = [], []
        for batch in step.batches:
            for name, label in batch.labels.items():
                each = self._loss(name, raw[name].float(), label)
                for i, view in enumerate(self.views[name]):
                    if len(self.views[name]) == 1 or label.present[i]:
                        losses.append(each[i])
                        present.append(view)
        return torch.stack(losses) if losses else self.embeddings.weight.new_zeros(0), present

    def _loss(self, name: str, raw: Tensor, label: Label) -> Float[Tensor, " V"]:
        """A task's losses; of labels that may still come, as its `delayed` part has it, each stage with weights of its own."""
        part = self.task(name)
        if label.maturity is None:
            plain: Tensor = part.loss(raw, label.value, label.seen, label.weight)
            return plain
        value, weight = self.delayed[name].corrected(part.predict(raw).detach(), label.value, label.maturity)
        weight = label.weight[:, None] * weight
        return torch.stack([part.loss(raw, value, label.seen, weight[:, stage])[stage] for stage in range(weight.shape[1])])


def _grouped(spec: ModelSpec, tasks: Mapping[str, TaskSpec]) -> list[list[str]]:
    """The tasks of each trunk; one trunk for all where the description names no groups."""
    groups = [[name for name in group if name in tasks] for group in spec.groups] or [list(tasks)]
    return [group for group in groups if group]


def _columns(widths: Sequence[int], *, apart: bool) -> list[slice]:
    """Which columns of the embeddings each trunk reads: its own, or, where they have the embeddings in common, the first."""
    starts = np.cumsum([0, *widths[:-1]]).tolist() if apart else [0] * len(widths)
    return [slice(start, start + width) for start, width in zip(starts, widths, strict=True)]


def _numbered(tasks: Mapping[str, TaskSpec]) -> tuple[dict[str, list[int]], tuple[int | None, ...]]:
    """(The numbers of each task's views, of each view that of the stage before it in its funnel.)"""
    views: dict[str, list[int]] = {}
    parents: list[int | None] = []
    for name, spec in tasks.items():
        count = len(spec.stages or [0])
        views[name] = list(range(len(parents), len(parents) + count))
        parents += [None, *views[name][:-1]]
    return views, tuple(parents)


__all__ = ["ITEM", "USER", "Embeddings", "Encodings", "Network"]

"""What a store is: a pydantic model, the same in Python and in `store.yaml`.

Knows no table: whether the columns exist is the business of `sources` and `shop`.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from banyan import parts
from banyan.errors import ConfigError
from banyan.store.schema.network import ModelSpec, Training
from banyan.store.schema.samples import Samples
from banyan.store.schema.split import Split
from banyan.store.schema.tables import TUNED, Entity, Events, Feature, FeatureKind, Source
from banyan.store.schema.tasks import AuxiliarySpec, PseudoSpec, TaskSpec
from banyan.store.schema.words import Name, Strict, duration

SLOTS = ("context", "history", "pair", "products", "cross")  # slots that are no entities


class Store(Strict):
    """A shop: what it has, what happened, what is to be predicted, and how."""

    store: str = "store"
    entities: dict[Name, Entity] = Field(default_factory=dict)
    events: Events | None = None
    samples: dict[Name, Samples]
    tasks: dict[Name, TaskSpec]
    auxiliary: dict[Name, AuxiliarySpec] = Field(default_factory=dict)  # self-supervised questions that help training
    split: Split = Field(default_factory=Split)
    model: ModelSpec = Field(default_factory=ModelSpec)
    training: Training = Field(default_factory=Training)
    folder: Path = Field(default=Path(), exclude=True)  # where relative paths begin

    @model_validator(mode="after")
    def _fits(self) -> "Store":
        if self.split.files:
            raise ValueError("split: `files` are parts of one table; write them in the `split` of those samples")
        for name in self.entities:
            if name in SLOTS or name in Samples.model_fields:
                raise ValueError(f"entities.{name}: {name!r} is a word of the house's own; call the entity otherwise")
        if self.events and not {"user", "item"} <= set(self.entities):
            raise ValueError("events need the entities `user` and `item`")
        for name, samples in self.samples.items():
            for key in samples.model_extra or {}:
                if key not in self.entities:
                    raise ValueError(f"samples.{name}: {key!r} is neither an option nor an entity; entities: {', '.join(self.entities) or 'none'}")
            if samples.recipe and samples.recipe != "attributes" and not self.events:
                raise ValueError(f"samples.{name}: the recipe {samples.recipe} reads events, and the store has none")
        for name in self.training.passes_of:
            if name not in self.samples:
                raise ValueError(f"training.passes_of: there are no samples {name!r}; samples: {', '.join(self.samples)}")
        for name, task in self.tasks.items():
            if task.samples not in self.samples:
                raise ValueError(f"tasks.{name}: samples {task.samples!r} are not described; samples: {', '.join(self.samples)}")
            if task.waits and (self.samples[task.samples].recipe != "outcomes" or self.samples[task.samples].every):
                raise ValueError(f"tasks.{name}: delayed needs samples of the recipe outcomes without `every`: only there is it known when a label came")
        self._grouped()
        self._helped()
        return self

    def _helped(self) -> None:
        if self.training.pretrain and not self.auxiliary:
            raise ValueError("training.pretrain is for auxiliary tasks, and the store has none; describe some, or leave it out")
        for name, each in self.auxiliary.items():
            kind = parts.find("auxiliary", each.kind)
            if kind.about == "things":
                self._compares(name, str(each.options["entity"]), [str(feature) for feature in each.options["features"]])
            elif self.events is None or self.model.history is None:
                lacking = "events, and the store has none" if self.events is None else "histories, and model.history is null"
                raise ValueError(f"auxiliary.{name}: {each.kind} asks about {lacking}")
            elif kind.ordered and not (self.events.time or self.events.order):
                raise ValueError(f"auxiliary.{name}: {each.kind} needs events with a time or an order; without either, take masked_events")
            if name in self.tasks:
                raise ValueError(f"auxiliary.{name}: a task has this name; call it otherwise")

    def _compares(self, name: str, entity: str, features: Sequence[str]) -> None:
        if entity not in self.entities:
            raise ValueError(f"auxiliary.{name}: there is no entity {entity!r}; entities: {', '.join(self.entities) or 'none'}")
        known = self.entities[entity].features
        for feature in features:
            if feature not in known:
                raise ValueError(f"auxiliary.{name}: the entity {entity} has no feature {feature!r}; its features: {', '.join(known) or 'none'}")
            if known[feature].kind == "number":
                why = "all numbers of an entity share one token, so it has none of its own to compare"
                raise ValueError(f"auxiliary.{name}: {entity}.{feature} is a number: {why}. Name a text, an image, a vector, tags, a category or a time")
        if len(set(features)) < len(features):
            raise ValueError(f"auxiliary.{name}: features names one twice: {', '.join(features)}")

    def _grouped(self) -> None:
        groups, tasks = self.model.groups, self.tasks
        named = [name for group in groups for name in group]
        if unknown := [name for name in named if name not in tasks]:
            raise ValueError(f"model.groups: {unknown[0]!r} is no task; tasks: {', '.join(tasks)}")
        if groups and (wrong := [name for name in tasks if named.count(name) != 1] or [""] * (not all(groups))):
            found = f"{wrong[0]!r} is named {named.count(wrong[0])} times" if wrong[0] else "a group is empty"
            raise ValueError(f"model.groups: every task stands in one group; {found}")
        ranking = [name for name, each in tasks.items() if self._ranks(each)]
        if len({i for i, group in enumerate(groups) for name in group if name in ranking}) > 1:
            raise ValueError(f"model.groups: {', '.join(ranking)} rank with the same item vectors; put them into one group")
        for group in groups or [list(tasks)]:
            if tasks and all(tasks[name].stop_gradient for name in group):
                raise ValueError(f"tasks.{group[0]}: stop_gradient of every task of a group leaves none to move its trunk; take it from one of them")

    @staticmethod
    def _ranks(task: TaskSpec) -> bool:
        try:
            return bool(parts.find("tasks", task.kind).kind == "places")
        except ConfigError:  # said elsewhere, with its line
            return False


__all__ = [
    "TUNED",
    "AuxiliarySpec",
    "Entity",
    "Events",
    "Feature",
    "FeatureKind",
    "ModelSpec",
    "PseudoSpec",
    "Samples",
    "Source",
    "Split",
    "Store",
    "TaskSpec",
    "Training",
    "duration",
]

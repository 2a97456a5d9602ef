"""What a store is: a pydantic model, the same in Python and in `store.yaml`.

Knows no table: whether the columns exist is the business of `sources` and `shop`.
"""

import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from banyan import parts
from banyan.errors import ConfigError

FeatureKind = Literal["category", "number", "tags", "text", "time", "vector"]
SLOTS = ("context", "history", "pair", "products", "cross")  # slots that are no entities
RECIPES = ("outcomes", "next_item", "counts", "attributes")
MICROSECONDS = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}


def duration(text: str) -> int:
    """Microseconds of a span like `7d`, `4w`, `12h`, `30min`, `90s`. Raises ValueError."""
    found = re.fullmatch(r"(\d+)\s*(s|min|h|d|w)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is no span of time; write a whole number and one of s, min, h, d, w, such as 7d")
    return int(found[1]) * MICROSECONDS[found[2]]


def _span(value: Any) -> Any:
    if isinstance(value, str):
        duration(value)
        return value
    raise ValueError(f"{value!r} is no span of time; write it like 7d, 4w or 12h")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, (str, int, float)) else value


def _switched(value: Any) -> Any:
    """`true` for all defaults, `false` for none of it."""
    return {} if value is True else None if value is False else value


Span = Annotated[str, BeforeValidator(_span)]
Names = Annotated[list[str], BeforeValidator(_listed)]
Name = Annotated[str, AfterValidator(lambda v: _word(v))]


def _word(value: str) -> str:
    if not re.fullmatch(r"\w[\w. -]*", value):
        raise ValueError(f"{value!r} is no name; use letters, digits, '_', '.', '-' or spaces, and begin with a letter or digit")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True)


class Source(_Strict):
    """Where a table is: a file (Parquet, CSV, JSON lines; a pattern such as `part-*.parquet` names many) or an SQL query."""

    path: str | None = None
    sql: str | None = None  # URL of a database, sqlite:///shop.db or postgresql://...; `$NAME` is read from the environment
    query: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)  # bound, never pasted into the query
    separator: str = ","  # of a CSV file

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> "Source":
        if (self.path is None) == (self.sql is None) or (self.sql is None) != (self.query is None):
            raise ValueError("a table is either a path, or sql (a URL) with query")
        return self

    @property
    def label(self) -> str:
        """How messages call it; never shows a password."""
        return self.path or f"query {self.query!r}"


class Feature(_Strict):
    """A typed column."""

    kind: FeatureKind
    column: str | None = None  # its column in the table; the feature's own name unless given
    least: int = Field(default=1, ge=1)  # category, tags: values seen in fewer training rows share the row of the never-seen
    bins: int = Field(default=16, ge=0)  # number: quantile bins embedded beside the standardised value; 0 for none
    buckets: int = Field(default=20_000, ge=16)  # text: rows of the hashed n-grams
    encoder: Literal["ngrams", "frozen"] = "ngrams"  # text: hashed n-grams, trained, or frozen sentence vectors with a trained projection
    separator: str = "|"  # tags: between the values, where the column holds text
    like: str | None = None  # category: shares the vocabulary and embedding of another feature, such as item.category
    training_only: Any = None  # the value used at answer time for what is only known in training, such as the position shown

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _stated(self) -> "Feature":
        if self.training_only is not None and self.kind not in ("category", "number"):
            raise ValueError(f"training_only states a category or a number; a {self.kind} has no value to state")
        return self


class Entity(_Strict):
    """A keyed table with typed features. Without a table, its ids are those that events and samples name."""

    table: Source | None = None
    id: str
    features: dict[Name, Feature] = Field(default_factory=dict)
    valid_from: str | None = None  # time column: several rows an id, joined as of the sample's time
    embed_id: bool = True  # whether the id itself is a category feature
    least: int = Field(default=1, ge=1)  # ids in fewer training events and rows share the row of the never-seen

    @model_validator(mode="after")
    def _possible(self) -> "Entity":
        if self.table is None and (self.features or self.valid_from):
            raise ValueError("an entity without a table has no features and no valid_from")
        return self


class Events(_Strict):
    """The log of what happened. With neither time nor order it is a set."""

    table: Source
    user: str
    item: str
    behaviour: str | None = None  # column; without one every event is of the behaviour named by `all`
    all: str = "event"
    time: str | None = None
    order: str | None = None  # column that orders events where there is no clock
    scenario: str | None = None
    value: str | None = None  # number: money, units

    @model_validator(mode="after")
    def _clock(self) -> "Events":
        if self.time and self.order:
            raise ValueError("events have a time or an order, not both")
        return self


class Split(_Strict):
    """Which rows are for training, validation and test.

    time: the last `test` of time, `valid` before it. user, cold_item: random shares of the users or items (`of` names another
    entity). leave_one_out: each user's last row is test, the one before it validation. random: shares of the rows, each drawn by what it
    holds. given: a column holding train, valid or test, or files beside the table, which then trains.
    """

    by: Literal["time", "user", "cold_item", "leave_one_out", "random", "given"] = "time"
    valid: Span | float = 0.1
    test: Span | float = 0.2
    of: str | None = None
    column: str | None = None
    files: dict[Literal["valid", "test"], Source] = Field(default_factory=dict)  # given: tables with the columns of the samples' own
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> "Split":
        if self.by == "given" and bool(self.column) == bool(self.files):
            raise ValueError("a split that is given needs either `column`, which holds train, valid or test, or `files`, such as {test: test.csv}")
        if self.files and self.by != "given":
            raise ValueError(f"`files` belong to a split that is given; this one is by {self.by}")
        for share in (self.valid, self.test):
            if isinstance(share, float) and not 0 <= share < 1:
                raise ValueError(f"a share of rows lies in [0, 1); found {share}")
            if isinstance(share, str) and self.by != "time":
                raise ValueError(f"a split by {self.by} takes shares such as 0.1, not a span of time such as {share}")
        return self


class Samples(BaseModel):
    """A table of labelled rows: the shop's own, or made from the events by a recipe.

    Any key that is the name of an entity names that entity's id column in the table.
    """

    model_config = ConfigDict(extra="allow", validate_default=True)

    table: Source | None = None
    recipe: Literal["outcomes", "next_item", "counts", "attributes"] | None = None
    time: str | None = None
    scenario: str | None = None
    features: dict[Name, Feature] = Field(default_factory=dict)  # context features
    labels: dict[Name, str] = Field(default_factory=dict)  # label -> column (table), behaviour (outcomes) or feature (attributes)
    weight: str | None = None  # column
    rate: str | None = None  # column: the probability with which the row was sampled
    window: Span | None = None  # how long after a row's time its labels are still settling
    split: Split | None = None
    # outcomes
    after: Names | None = None  # behaviours that begin a row
    within: Span | None = None
    negatives: int = Field(default=0, ge=0)  # rows added for each row, of items the user did not touch at that time
    plausible: bool = False  # draw those from the user's own past and the popular items rather than from all
    every: str | None = None  # outcomes with origins: one row a (user, item) at each origin, such as 28d; counts: the period, `day`, `week` or a span
    # next_item
    behaviours: Names | None = None
    most: int | None = Field(default=None, ge=1)  # at most so many rows a user, the newest
    sequences: bool = False  # a user's rows train together, from one reading of the history: every position of it is a row
    # counts
    of: str | None = None  # counts: the behaviour counted; attributes: the entity
    by: Names | None = None  # counts: the columns that make a key
    ahead: int = Field(default=1, ge=1)
    total: Literal["events", "value"] = "events"  # counts: number of events or the sum of their values
    lags: int = Field(default=8, ge=1)
    known: Source | None = None  # counts: a table of what is known ahead (keys, period, columns): promotions, prices
    # attributes
    drop: Names = Field(default_factory=list)  # siblings of the label that leave the entity's inputs

    @model_validator(mode="after")
    def _one(self) -> "Samples":
        if (self.table is None) == (self.recipe is None):
            raise ValueError("samples have either a table or a recipe")
        needs = {"outcomes": ("after", "labels"), "next_item": (), "counts": ("of", "by", "every"), "attributes": ("of", "labels")}
        if (taken := self.features.get("scenario")) is not None:
            raise ValueError(f"the feature name 'scenario' is the house's own, of the row's scenario; call this {taken.kind} otherwise and name its `column`")
        for key in needs.get(self.recipe or "", ()):
            if not getattr(self, key):
                raise ValueError(f"the recipe {self.recipe} needs `{key}`")
        if self.sequences and self.recipe != "next_item":
            raise ValueError("`sequences` belongs to the recipe next_item, whose rows are the positions of a user's events")
        if self.recipe == "outcomes" and not (self.within or self.window):
            raise ValueError("the recipe outcomes needs `within`, such as 7d")
        return self

    @property
    def entities(self) -> dict[str, str]:
        """Entity -> its id column in the table."""
        return {key: value for key, value in (self.model_extra or {}).items() if isinstance(value, str)}


class PseudoSpec(_Strict):
    """Self-training: the model labels the training rows of a task that have no label."""

    after: int = Field(default=1, ge=1)  # epochs of warm-up
    every: int = Field(default=1, ge=1)  # epochs from one labelling to the next
    confidence: float = Field(default=0.6, ge=0, le=1)  # least probability of the likeliest answer
    soft: bool = True  # the probabilities themselves are the label; else the likeliest answer
    weight: float = Field(default=0.5, gt=0, le=1)  # of such a row beside one with a true label
    ratio: float = Field(default=1.0, gt=0)  # most rows drawn in a step beside each that has a true label
    most: int = Field(default=50_000, ge=1)  # rows asked about at a time
    calibrated: bool = True  # probabilities go through a temperature that validation rows chose


class TaskSpec(BaseModel):
    """One label to predict. Keys that are not named here are options of the task's part."""

    model_config = ConfigDict(extra="allow", validate_default=True)

    kind: str
    samples: str
    label: str | None = None
    labels: Names | None = None  # count with several answers, tags spread over columns
    stages: Names | None = None  # funnel: labels, earliest first
    weight: float = Field(default=1.0, gt=0)
    auxiliary: bool = False  # helps training, is not served
    delayed: str | dict[str, Any] | None = None  # what to make of training rows whose window is still open; they are dropped unless given
    stop_gradient: bool = False  # reads the trunk and moves only what it owns
    calibration: str | dict[str, Any] | None = None  # a map over the answers, fitted on validation rows
    pseudo_labels: Annotated[PseudoSpec | None, BeforeValidator(_switched)] = None  # the model labels training rows that have no label

    @property
    def options(self) -> dict[str, Any]:
        """Options of the part."""
        return dict(self.model_extra or {})

    @property
    def waits(self) -> bool:
        """Whether training rows whose window is still open are kept."""
        return self.delayed is not None and bool(parts.find("delayed", parts.spec(self.delayed)[0]).keeps)

    @model_validator(mode="after")
    def _delays(self) -> "TaskSpec":
        if self.delayed is not None:
            try:
                parts.check("delayed", self.delayed)
                kind = parts.find("tasks", self.kind)
            except ConfigError as error:
                raise ValueError(f"delayed: {error}") from error
            if (kind.kind, kind.answers) != ("floats", "chances"):
                raise ValueError(f"delayed speaks of labels that are 0 until they happen; the kind {self.kind} has others. It is for binary and funnels")
        return self

    @model_validator(mode="after")
    def _self_trained(self) -> "TaskSpec":
        if self.pseudo_labels is None:
            return self
        try:
            kind = parts.find("tasks", self.kind)
        except ConfigError as error:
            raise ValueError(f"pseudo_labels: {error}") from error
        if (kind.kind, kind.answers) not in (("floats", "chances"), ("code", "classes")) or self.stages:
            raise ValueError(f"pseudo_labels: an answer of the kind {self.kind} has no one probability to be sure of. It is for binary and classes")
        if self.delayed is not None:
            raise ValueError("pseudo_labels and delayed both speak for labels that are not there; take one of them")
        return self

    @model_validator(mode="after")
    def _calibrated(self) -> "TaskSpec":
        if self.calibration is not None:
            try:
                name, _ = parts.check("calibration", self.calibration)
                form = parts.find("tasks", self.kind).answers
            except ConfigError as error:
                raise ValueError(f"calibration: {error}") from error
            if form not in parts.find("calibration", name).serves:
                able = [each for each in parts.names("calibration") if form in parts.find("calibration", each).serves]
                raise ValueError(f"calibration {name!r} cannot take the answers of the kind {self.kind}; those that can: {', '.join(able)}")
        return self


class AuxiliarySpec(BaseModel):
    """A question that the training events answer by themselves. Keys that are not named here are options of its part."""

    model_config = ConfigDict(extra="allow", validate_default=True)

    kind: str
    weight: float = Field(default=0.1, gt=0, allow_inf_nan=False)  # of its gradient, past the balancer

    @property
    def options(self) -> dict[str, Any]:
        """Options of the part."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _checked(self) -> "AuxiliarySpec":
        try:
            parts.check("auxiliary", {"part": self.kind, **self.options})
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self


class ModelSpec(_Strict):
    """The network: parts by name, each with its options."""

    width: int = Field(default=16, ge=1)  # D
    sharing: str | dict[str, Any] = "mmoe"
    balancing: str | dict[str, Any] = "fixed"
    history: str | dict[str, Any] | None = "target"
    cross: str | dict[str, Any] | None = None
    products: bool = True  # products of what two entities of a row are: user x item, query x item, user x offer
    wide: bool = True  # a linear path from a row's numbers, pair features, their pieces and products to each task, past the experts
    encoders: dict[str, str | dict[str, Any]] = Field(default_factory=dict)  # feature kind -> encoder part
    length: int = Field(default=50, ge=1)  # L: newest events of a history
    behaviours: Names | None = None  # behaviours that a history holds; all unless given
    compress: dict[str, int] = Field(default_factory=dict)  # slot -> tokens it is projected to
    id_dropout: float = Field(default=0.1, ge=0, lt=1)  # share of ids replaced by the never-seen one in training
    pairs: bool = True  # counts, recency and activation of the user with the item, its category, its brand
    pair_features: Names | None = None  # item features beside the id whose values are counted; all categories unless given
    pair_last: int = Field(default=1000, ge=1)  # newest events of a user that pairs look at
    snapshot: Span = "7d"  # boundaries at which statistics over many users are refreshed
    statistics: bool = True
    signals: dict[Name, str | dict[str, Any]] = Field(default_factory=dict)  # what everybody did, as side scores of rankings: name -> part
    signal_pairs: bool = True  # whether signals are pair features of rows with an item, too
    signal_products: bool = False  # rankings read each signal once more for what the past holds by each behaviour, with a weight of its own
    signal_fits: int = Field(default=4, ge=1)  # with a clock: how often over the training events signals are fitted
    groups: list[Names] = Field(default_factory=list)  # tasks that share a trunk, [[a, b], [c]]; one trunk for all unless given
    between: Literal["nothing", "embeddings"] = "nothing"  # what groups have in common

    @model_validator(mode="after")
    def _parts(self) -> "ModelSpec":
        for family in ("sharing", "balancing", "history", "cross"):
            if (value := getattr(self, family)) is not None:
                try:
                    parts.check(family, value)
                except ConfigError as error:
                    raise ValueError(str(error)) from error
        for name, value in self.signals.items():
            try:
                parts.check("signals", value)
            except ConfigError as error:
                raise ValueError(f"signals.{name}: {error}") from error
        for kind, value in self.encoders.items():
            if kind not in typing.get_args(FeatureKind):
                raise ValueError(f"encoders: {kind!r} is no kind of feature; kinds: {', '.join(typing.get_args(FeatureKind))}")
            try:
                parts.check("encoders", value)
            except ConfigError as error:
                raise ValueError(f"encoders.{kind}: {error}") from error
        return self


class Training(_Strict):
    """How the model is fitted."""

    epochs: int = Field(default=10, ge=1)  # most passes of the largest table
    batch: int = Field(default=2048, ge=2)  # rows a step over all tables
    steps: int | None = Field(default=None, ge=1)  # most steps an epoch
    lr: float = Field(default=2e-3, gt=0)
    embedding_lr: float | None = Field(default=None, gt=0)  # `lr` unless given
    weight_decay: float = Field(default=1e-5, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)  # share of all steps
    decay: Literal["constant", "linear", "cosine"] = "cosine"
    clip: float = Field(default=10.0, gt=0)
    patience: int = Field(default=2, ge=1)  # epochs without a better validation score
    seed: int = 0
    seconds: float | None = Field(default=None, gt=0)  # most wall time
    bf16: bool | None = None  # None: where the processor has it
    mix: Literal["sqrt", "equal", "rows"] = "sqrt"  # share of a table in a step: rows^0.5, 1 or rows
    passes: float = Field(default=4.0, ge=1)  # most readings of a small table while the largest is read once
    passes_of: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)  # samples table -> its own number in place of `passes`
    weights: Literal["constant", "linear", "progress"] = "constant"  # task weights over time
    final_weights: dict[str, float] = Field(default_factory=dict)  # linear: each task's weight at the end
    pretrain: int = Field(default=0, ge=0)  # steps before the first epoch in which auxiliary tasks train alone
    threads: int | None = Field(default=None, ge=1)
    refit: bool = False  # when all is chosen: once more, on training and validation rows together, for the epochs that were best

    def most(self, tables: Iterable[str]) -> dict[str, float]:
        """Samples table -> most readings of it while the largest is read once."""
        return {name: self.passes_of.get(name, self.passes) for name in tables}


class Store(_Strict):
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
            if self.events is None or self.model.history is None:
                lacking = "events, and the store has none" if self.events is None else "histories, and model.history is null"
                raise ValueError(f"auxiliary.{name}: {each.kind} asks about {lacking}")
            if parts.find("auxiliary", each.kind).ordered and not (self.events.time or self.events.order):
                raise ValueError(f"auxiliary.{name}: {each.kind} needs events with a time or an order; without either, take masked_events")
            if name in self.tasks:
                raise ValueError(f"auxiliary.{name}: a task has this name; call it otherwise")

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

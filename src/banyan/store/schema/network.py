"""The network and how it is fitted."""

import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from banyan import parts
from banyan.errors import ConfigError
from banyan.store.schema.tables import FeatureKind
from banyan.store.schema.words import Name, Names, Span, Strict


class ModelSpec(Strict):
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
    pair_pieces: bool = False  # the trunk reads pair features as pieces, too, as the linear path does: for figures that count by their very value
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
            if kind not in (kinds := (*typing.get_args(FeatureKind), "pixels")):  # an image is read as a frozen vector, or as pixels
                raise ValueError(f"encoders: {kind!r} is no kind of feature; kinds: {', '.join(kinds)}")
            try:
                parts.check("encoders", value)
            except ConfigError as error:
                raise ValueError(f"encoders.{kind}: {error}") from error
        return self


class Training(Strict):
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
    seconds: float | None = Field(default=None, gt=0)  # most time
    clock: Literal["wall", "cpu"] = "wall"  # what `seconds` count; CPU time is the same beside other work
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

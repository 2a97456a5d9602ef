"""What the shop has: sources, features, entities, events."""

from typing import Any, Literal

from pydantic import Field, model_validator

from banyan.store.schema.words import Name, Strict

FeatureKind = Literal["category", "number", "tags", "text", "time", "vector"]


class Source(Strict):
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


class Feature(Strict):
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


class Entity(Strict):
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


class Events(Strict):
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

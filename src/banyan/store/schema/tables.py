"""What the shop has: sources, features, entities, events."""

from typing import Any, Literal

from pydantic import Field, model_validator

from banyan import parts
from banyan.errors import ConfigError
from banyan.store.schema.words import Name, Strict

FeatureKind = Literal["category", "number", "tags", "text", "time", "vector", "image"]
LONGEST_RUN = 8  # letters of a run that is an n-gram
_OF_PICTURES = ("under", "network", "pixels", "views", "frames")  # options of the kind image

TUNED = "tuned"  # the encoder part that fine-tunes a language model
WAYS: dict[str, tuple[str, ...]] = {"ngrams": (), "frozen": ("model",)}  # the other ways to read a text, and their options


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
    grams: int = Field(default=48, ge=1, le=4096)  # text: most n-grams that are kept of one, words first
    letters: tuple[int, int] | None = None  # text: shortest and longest runs of letters of a word, its edges among them, in place of trigrams within it
    encoder: str | dict[str, Any] = "ngrams"  # text: `ngrams`, trained; `frozen` sentence vectors, of which `model`; `tuned`, a transformer `model`
    separator: str = "|"  # tags: between the values, where the column holds text
    like: str | None = None  # category: shares the vocabulary and embedding of another feature, such as item.category
    under: str | None = None  # image: the folder below which the files lie; that of store.yaml unless given
    network: str = "mobilenet"  # image: `mobilenet` (a package brings its weights), `colours` (none), or a transformers vision model by name or folder
    pixels: int = Field(default=0, ge=0, le=256)  # image: side of small pictures for a network trained with the model, in place of frozen vectors
    views: int = Field(default=1, ge=1, le=16)  # image: frozen vectors of so many looks of it, one as it is, one drawn a step
    frames: int = Field(default=1, ge=1, le=64)  # image: of a moving picture or a folder of pictures, so many are looked at and averaged
    absent: float = Field(default=0.0, ge=0, lt=1)  # tags, text, image, vector: share of things that are without it in a training step
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

    @model_validator(mode="after")
    def _pictured(self) -> "Feature":
        named = [key for key in _OF_PICTURES if getattr(self, key) != type(self).model_fields[key].default]
        if named and self.kind != "image":
            raise ValueError(f"{named[0]} belongs to an image; this is a {self.kind}")
        if self.absent and self.kind not in ("tags", "text", "image", "vector"):
            raise ValueError(f"absent is for tags, text, image and vector; this is a {self.kind}")
        if self.pixels and (self.pixels < 8 or self.views > 1 or self.frames > 1):
            raise ValueError("small pictures have at least 8 pixels a side, one frame and no stored views: each is changed anew in every step")
        return self

    @model_validator(mode="after")
    def _encoded(self) -> "Feature":
        try:
            way, options = parts.spec(self.encoder)
            if way == TUNED:
                parts.check("encoders", self.encoder)
            elif way not in WAYS or set(options) - set(WAYS[way]):
                raise ConfigError(
                    f"{self.encoder!r} is no way to read a text; these are: ngrams, frozen, {{part: frozen, model: NAME}}, {{part: tuned, model: NAME}}"
                )
        except ConfigError as error:
            raise ValueError(f"encoder: {error}") from error
        if self.grams != type(self).model_fields["grams"].default and (self.kind != "text" or self.way != "ngrams"):
            raise ValueError(f"grams says how many n-grams of a text are kept; this is a {self.kind}{' with another encoder' if self.kind == 'text' else ''}")
        if self.letters is not None:
            _letters(self.letters, self.kind == "text" and self.way == "ngrams")
        if self.kind != "text" and self.encoder != "ngrams":
            raise ValueError(f"encoder says how a text is read; the encoders of a {self.kind} stand under model.encoders")
        return self

    @property
    def way(self) -> str:
        """How a text is read: ngrams, frozen or tuned."""
        return parts.spec(self.encoder)[0]

    @property
    def model(self) -> str | None:
        """The name or folder of the language model that reads a text; None for n-grams and for the packaged encoder."""
        name = parts.spec(self.encoder)[1].get("model")
        return None if name is None else str(name)

    @property
    def tokens(self) -> int:
        """The most tokens of a text that a tuned model reads."""
        return int(parts.spec(self.encoder)[1].get("tokens", parts.options("encoders", TUNED)["tokens"].default))


def _letters(letters: tuple[int, int], ngrams: bool) -> None:
    if not ngrams:
        raise ValueError("letters says of which runs of letters the n-grams of a text are made; this is no text that is read as n-grams")
    if not 2 <= letters[0] <= letters[1] <= LONGEST_RUN:
        raise ValueError(f"letters is {list(letters)}; it is the shortest and the longest run of letters, such as [2, 5], from 2 to {LONGEST_RUN}")


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
        if (total := sum(feature.absent for feature in self.features.values())) > 1:
            raise ValueError(f"the features' `absent` add up to {total:g}; a thing is without one of them at a time, so they add up to 1 at most")
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

"""A samples table: a file of the shop's own, or a recipe over its events."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from banyan.store.schema.split import Split
from banyan.store.schema.tables import Feature, Source
from banyan.store.schema.words import Name, Names, Span


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

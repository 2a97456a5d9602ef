"""What the store is made of, and its items."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from banyan.serving.messages.words import Answer, Asked, Id


class ItemOut(msgspec.Struct, kw_only=True):
    """An item with its features."""

    item: str
    features: dict[str, Any]


class ItemsBody(Asked, kw_only=True):
    """Items whose features are asked for."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=1000)]


class ItemsFound(Answer, kw_only=True):
    """The items that are known, in the order asked, each once; and those that are not."""

    items: list[ItemOut]
    unknown: list[str] = []


class ItemAnswer(Answer, kw_only=True):
    """One item."""

    item: str
    features: dict[str, Any]
    popularity: dict[str, float] = {}  # behaviour -> how many in the log


class BrowseAnswer(Answer, kw_only=True):
    """A page of items. `next` is the cursor of the page after it."""

    items: list[ItemOut]
    total: int
    next: str | None = None
    facets: dict[str, dict[str, int]] = {}


class FeatureOut(msgspec.Struct, kw_only=True):
    """A feature of an entity: its kind, and the commonest values of a category."""

    kind: str
    values: list[str] = []
    least: float | None = None
    most: float | None = None


class TaskOut(msgspec.Struct, kw_only=True):
    """A task of the bundle."""

    kind: str
    samples: str
    columns: list[str]
    metrics: dict[str, Any] = {}


class StoreAnswer(Answer, kw_only=True):
    """What the store is made of."""

    store: str
    entities: dict[str, dict[str, FeatureOut]]
    rows: dict[str, int]
    behaviours: list[str]
    scenarios: list[str]
    tasks: dict[str, TaskOut]
    tables: dict[str, dict[str, str]]  # samples table -> column -> what it holds
    clock: str  # time, order or none

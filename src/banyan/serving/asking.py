"""What the engine is asked and what it answers: plain values, no HTTP, no arrays of the model's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from banyan.types import Array


@runtime_checkable
class Happened(Protocol):
    """A live event, as the service keeps it. `time` is microseconds since 1970 (UTC), or the events' order."""

    @property
    def id(self) -> str:
        """Its own."""

    @property
    def item(self) -> str | None:
        """What it happened to; an event without an item is not read."""

    @property
    def behaviour(self) -> str:
        """What happened."""

    @property
    def time(self) -> int:
        """When."""

    @property
    def scenario(self) -> str:
        """Where; empty where nobody told."""

    @property
    def value(self) -> float | None:
        """How much."""


@runtime_checkable
class Worth(Protocol):
    """What an answer is worth: an expression over the tasks' answers and the items' numbers."""

    @property
    def names(self) -> Sequence[str]:
        """What `of` reads."""

    def of(self, columns: Mapping[str, Array]) -> Array:
        """(K,) finite numbers from (K,) columns."""


@dataclass(frozen=True)
class Filters:
    """Which items may be answered."""

    equal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # item feature (category or tags) -> the values allowed
    least: Mapping[str, float] = field(default_factory=dict)  # number feature -> the least value allowed; an item without the number is left out
    most: Mapping[str, float] = field(default_factory=dict)  # number feature -> the largest
    leave_out: tuple[str, ...] = ()  # behaviours: items that the user's past holds by one of them are left out
    items_out: tuple[str, ...] = ()  # items that are left out


@dataclass(frozen=True)
class Ask:
    """A question about items."""

    user: str = ""
    session: str = ""  # stands for the user where there is none
    basket: tuple[str, ...] = ()  # items that the user holds in hand
    scenario: str = ""
    k: int = 20
    query: str = ""
    picture: bytes = b""  # a search by what a picture shows, with or without words
    popular: bool = False  # a search that finds nothing answers what is asked for most among the items that the filters let through
    items: tuple[str, ...] | None = None  # the caller's own candidates
    filters: Filters = Filters()
    diversity: float = 0.0  # 0: by worth alone; 1: by being unlike what stands above
    explain: bool = False
    now: int | None = None  # the moment of the question, in the events' own clock; just after all that is known unless given


@dataclass(frozen=True)
class Reason:
    """What moved a score."""

    kind: str  # a source of the row: user, item, context, history, pair, ...; or past: an item of the user's past that speaks for this one
    weight: float = 0.0  # the score less what it would be without it; of a past item its likeness
    item: str | None = None  # the item of the past
    detail: str = ""  # a few words, such as the pair feature that says most


@dataclass(frozen=True)
class Placed:
    """One item of an answer."""

    item: str
    score: float
    answers: Mapping[str, float] = field(default_factory=dict)  # "task.column" -> the answer in the task's own unit
    sources: tuple[str, ...] = ()  # which sources brought the item up
    why: tuple[Reason, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)  # of a search without a value model: what the score is made of, each in [0, 1]


@dataclass(frozen=True)
class Band:
    """Items whose number lies from `low` up to below `high`; the last band holds its `high` too."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Searched:
    """How a search came to its answer."""

    asked: str  # as it was typed
    query: str  # as it was answered: with its spelling mended where that was needed
    step: str  # the first step that found anything; "" where none did
    total: int  # items found, of which the answer shows the first
    alike: tuple[str, ...] = ()  # words that are asked for alike and were looked for, too
    weights: Mapping[str, float] = field(default_factory=dict)  # part of the score -> how much it counts; empty with a value model
    bands: Mapping[str, tuple[Band, ...]] = field(default_factory=dict)  # number feature -> how many of the items found lie where


@dataclass(frozen=True)
class Ranked:
    """Items, best first."""

    items: list[Placed]
    sources: Mapping[str, int] = field(default_factory=dict)  # source -> candidates that it brought
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # category feature -> value -> candidates
    searched: Searched | None = None  # of a search
    explored: Any = None  # what was drawn at random, for whoever draws


@dataclass(frozen=True)
class Share:
    """A class or tag and its probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class Trait:
    """What one task says of a user."""

    task: str
    kind: str  # the task's kind: classes, tags, amount, binary, ...
    shares: tuple[Share, ...] = ()  # of classes and tags, most probable first
    amounts: Mapping[str, float] = field(default_factory=dict)  # other answers by column, in the task's own unit
    missing: tuple[str, ...] = ()  # context that the task reads and that was not given: its answer is that of a row without it


@dataclass(frozen=True)
class Profile:
    """What is known and guessed of a user."""

    user: str
    known: bool  # whether the bundle has a row of the user
    features: Mapping[str, Any]  # as the bundle knows them
    answers: Mapping[str, float]  # "task.column" -> the answer, of every task about users
    tastes: Mapping[str, Mapping[str, float]]  # category feature of items -> value -> share of the user's past
    events: int  # of the past that answers read
    traits: tuple[Trait, ...] = ()  # the same answers in words, by task


@dataclass(frozen=True)
class EngineOptions:
    """What an engine may spend, and how it reads what it is given."""

    exact: int = 200_000  # items up to which every product is reckoned with; of more the nearest cells are looked at, which needs the extra `index`
    indexes: Path | None = None  # folder in which such an index is kept, so that it is made once for a bundle
    candidates: int = 500  # most items that the tasks are asked about in one question
    users: int = 20_000  # users whose prepared pasts are kept
    questions: int = 1_000  # users of whom also what the network read is kept: those who ask again before anything happens
    tokens: int = 1 << 30  # most bytes of items' tokens that are prepared at the start; beyond, they are made as they are asked for
    spare: int = 256  # items that the bundle does not know and that one question may name
    reads: Mapping[str, str] = field(default_factory=dict)  # live behaviour that training did not see -> the one as which it is read
    basket: str = ""  # behaviour as which a basket is read; the bundle's first unless given
    relevance: float | None = None  # of a search without a value model: the share of words and vectors in an item's place; 0.7, with a relevance task 0.4
    relevant: str = ""  # the task about queries and items that a search reads; the first of grades, else the first, unless given
    alike: tuple[tuple[str, ...], ...] = ()  # groups of words that the shop itself calls the same
    task: str = ""  # the ranking task that candidates come from; the first unless given

"""Questions whose answer is items: recommend, search, rank, similar, and why one stands where it does."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from banyan.serving.messages.words import Answer, Asked, Count, Figure, Id, Ids, Share, Text, Word, Words


class FiltersBody(Asked, kw_only=True):
    """Which items may be offered."""

    equal: Annotated[dict[str, Annotated[list[Word], Meta(max_length=200)]], Meta(max_length=16)] = {}  # item feature -> allowed values
    least: Annotated[dict[str, Figure], Meta(max_length=16)] = {}  # item number -> at least
    most: Annotated[dict[str, Figure], Meta(max_length=16)] = {}  # item number -> at most
    leave_out: Words = []  # behaviours: items that the user has them with are not offered
    items_out: Ids = []  # items not to offer


class RecommendBody(Asked, kw_only=True):
    """Items for a user, a session or a basket, best first."""

    user: Annotated[str, Meta(max_length=200)] = ""
    session: Annotated[str, Meta(max_length=200)] = ""
    basket: Annotated[list[Id], Meta(max_length=200)] = []
    scenario: Word = ""
    k: Count = 20
    filters: FiltersBody = msgspec.field(default_factory=FiltersBody)
    diversity: Share = 0.0
    explain: bool = False


Picture = Annotated[bytes, Meta(max_length=2_900_000, description="A JPEG, PNG, GIF, WebP or BMP file in Base64, at most 2.9 MB and 24 million pixels.")]


class SearchBody(RecommendBody, kw_only=True):
    """Items for words, for a picture, or for both, best first; the user's past counts too."""

    query: Annotated[str, Meta(min_length=1, max_length=512)] | None = None  # words, or a picture, or both
    picture: Picture = b""
    popular: bool = True  # where nothing is found: what is asked for most among the items that the filters let through


class RankBody(RecommendBody, kw_only=True):
    """The caller's own candidates, best first."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=1000)]
    query: Text = ""


class SimilarBody(Asked, kw_only=True):
    """Items like one item."""

    item: Id
    k: Count = 20
    by: Literal["taste", "together", "words", "text", "photo", "content"] = "taste"  # taste: learned from behaviour; together: met in the same visits;
    # text, photo: what is read in the features of that kind; words: as text, or as content where items have no texts; content: all features


class Reason(msgspec.Struct, kw_only=True):
    """Why an item stands here: what one source of the row did to its score."""

    kind: str  # user, item, context, history, pair, or a source of candidates
    weight: float = 0.0  # the score less what it would be without that source
    item: str | None = None  # the item of the user's past that speaks for this one
    detail: str = ""


class PlacedItem(msgspec.Struct, kw_only=True):
    """One item of an answer."""

    item: str
    score: float
    answers: dict[str, float] = {}  # "task.column" -> the task's answer in its own unit
    sources: list[str] = []
    why: list[Reason] = []
    parts: dict[str, float] = {}  # of a search: what the score is made of, each in [0, 1]


class Drawn(msgspec.Struct, kw_only=True):
    """Exploration: which place of the list, counted from 0, was drawn at random, what stands there, and its true probability."""

    slot: int
    item: str
    probability: float


class Band(msgspec.Struct, kw_only=True):
    """Items whose number lies from `low` up to below `high`."""

    low: float
    high: float
    count: int


class Searched(msgspec.Struct, kw_only=True):
    """How a search came to its answer."""

    asked: str  # as it was typed
    query: str  # as it was answered, with its spelling mended where that was needed
    step: str  # the first step that found anything: words, spelling, any, synonyms, vectors, popular; empty where none did
    total: int  # items found; the answer holds the first of them
    alike: list[str] = []  # words that are asked for alike and were looked for, too
    weights: dict[str, float] = {}  # part of the score -> how much it counts; empty with a value model
    bands: dict[str, list[Band]] = {}  # item number -> how many of the items found lie where


class ItemsAnswer(Answer, kw_only=True):
    """Items, best first; which candidate sources they came from; how many candidates have which value."""

    items: list[PlacedItem]
    sources: dict[str, int] = {}
    facets: dict[str, dict[str, int]] = {}  # of a search: of all items found
    searched: Searched | None = None
    explored: Drawn | None = None
    scenario: str = ""
    variant: str = ""  # the arm of the experiment that this user is in; empty without one


class ExplainBody(Asked, kw_only=True):
    """What moved one item's score for one user."""

    user: Annotated[str, Meta(max_length=200)] = ""
    item: Id
    scenario: Word = ""
    query: Text = ""
    session: Annotated[str, Meta(max_length=200)] = ""
    basket: Annotated[list[Id], Meta(max_length=200)] = []


class ExplainAnswer(Answer, kw_only=True):
    """The item's score and its parts, largest first."""

    user: str
    item: str
    score: float
    answers: dict[str, float]
    why: list[Reason]

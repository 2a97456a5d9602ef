"""What travels over the wire: every request and every answer of the service, as msgspec Structs. Knows no HTTP and no engine.

A request refuses fields that it does not know, and every text, list and number in it has a limit. Every answer carries `request_id`, the
version of the model and that of the value model with which it was made.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=200, description="An id of the shop's own.")]
Word = Annotated[str, Meta(max_length=128, description="A name of the store's: a behaviour, a scenario, a task, a feature.")]
Text = Annotated[str, Meta(max_length=512, description="What was typed.")]
Version = Annotated[str, Meta(min_length=1, max_length=128, description="A version of a bundle.")]
Count = Annotated[int, Meta(ge=1, le=200, description="How many items.")]
Share = Annotated[float, Meta(ge=0, le=1, description="A share between 0 and 1.")]
Ids = Annotated[list[Id], Meta(max_length=1000)]
Words = Annotated[list[Word], Meta(max_length=64)]
Figure = Annotated[float, Meta(ge=-1e15, le=1e15)]
Moment = datetime | Annotated[int, Meta(ge=0, le=9_000_000_000_000_000)]
Cell = (
    Annotated[str, Meta(max_length=20_000)] | int | float | bool | None | Annotated[list[Annotated[str, Meta(max_length=1000)] | float], Meta(max_length=4096)]
)
Row = Annotated[dict[Annotated[str, Meta(max_length=128)], Cell], Meta(max_length=256)]
Rows = Annotated[list[Row], Meta(min_length=1, max_length=1000)]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What all requests share: a field that is not known is refused."""


class Answer(msgspec.Struct, kw_only=True):
    """What all answers share."""

    request_id: str = ""
    model: str = ""  # version of the bundle that answered; empty where none was asked
    value: int = 0  # version of the settings' value model; 0 before the first change


# --- errors


class Wrong(msgspec.Struct, kw_only=True):
    """What went wrong: `code` for programs, `message` for people, `details` for both."""

    code: str
    message: str
    request_id: str
    details: dict[str, Any] = {}


class Problem(msgspec.Struct, kw_only=True):
    """The one shape of every error."""

    error: Wrong


# --- events


class EventIn(Asked, kw_only=True):
    """One thing that happened. The same `id` again is counted as a duplicate and changes nothing. It is of a user, or of a session before that."""

    id: Id
    user: Annotated[str, Meta(max_length=200)] = ""
    behaviour: Annotated[str, Meta(min_length=1, max_length=128)]
    item: Id | None = None
    time: Moment | None = None  # ISO 8601 with a zone, or microseconds since 1970 (the order, in a store without a clock); now unless given
    scenario: Word = ""
    value: Figure | None = None
    session: Annotated[str, Meta(max_length=200)] = ""
    query: Text = ""


class EventsBody(Asked, kw_only=True):
    """One or many events."""

    events: Annotated[list[EventIn], Meta(min_length=1, max_length=1000)]


class EventsTaken(Answer, kw_only=True):
    """The events are on disk. `last` is the journal's number of the newest."""

    accepted: int
    duplicates: int
    last: int
    forgotten: int = 0  # left out, because their user asked to be forgotten


class EventOut(msgspec.Struct, kw_only=True):
    """An event as it was kept."""

    id: str
    user: str
    behaviour: str
    item: str | None
    time: str | int  # ISO 8601, or the order
    scenario: str = ""
    value: float | None = None
    session: str = ""
    query: str = ""


class UserEvents(Answer, kw_only=True):
    """A user's newest events, in the order of time."""

    user: str
    events: list[EventOut]


class UserForgotten(Answer, kw_only=True):
    """What was deleted of a user; what of kept bundles and of training data goes with the next run of it."""

    user: str
    forgotten: dict[str, int]


# --- answers


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


class SearchBody(RecommendBody, kw_only=True):
    """Items for words, best first; the user's past counts too."""

    query: Annotated[str, Meta(min_length=1, max_length=512)]


class RankBody(RecommendBody, kw_only=True):
    """The caller's own candidates, best first."""

    items: Annotated[list[Id], Meta(min_length=1, max_length=1000)]
    query: Text = ""


class SimilarBody(Asked, kw_only=True):
    """Items like one item."""

    item: Id
    k: Count = 20
    by: Literal["taste", "together", "words", "content"] = "taste"  # learned from behaviour; met in the same pasts; words in common; features alone


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


class Drawn(msgspec.Struct, kw_only=True):
    """Exploration: which place of the list, counted from 0, was drawn at random, what stands there, and its true probability."""

    slot: int
    item: str
    probability: float


class ItemsAnswer(Answer, kw_only=True):
    """Items, best first; which candidate sources they came from; how many candidates have which value."""

    items: list[PlacedItem]
    sources: dict[str, int] = {}
    facets: dict[str, dict[str, int]] = {}
    explored: Drawn | None = None
    scenario: str = ""
    variant: str = ""  # the arm of the experiment that this user is in; empty without one


class PredictBody(Asked, kw_only=True):
    """Rows of a samples table, without their labels."""

    table: Word
    rows: Rows
    tasks: Words | None = None


class PredictAnswer(Answer, kw_only=True):
    """For each row "task.column" -> the answer in the task's own unit."""

    table: str
    rows: list[dict[str, float]]


class ForecastBody(Asked, kw_only=True):
    """Series to look ahead in: rows of the keys of a samples table of counts."""

    table: Word = ""  # the only one unless given
    rows: Rows


class Ahead(msgspec.Struct, kw_only=True):
    """One series: for each period ahead the task's answers."""

    keys: dict[str, Any]
    answers: dict[str, float]


class ForecastAnswer(Answer, kw_only=True):
    """The series, in the order asked."""

    table: str
    series: list[Ahead]


class OffersBody(Asked, kw_only=True):
    """Who should get which offer: rows of a campaign's samples table, the best `k` of them."""

    table: Word = ""
    rows: Rows
    k: Annotated[int, Meta(ge=1, le=1000)] = 100


class OffersAnswer(Answer, kw_only=True):
    """The rows, best first, each with its place in the request."""

    table: str
    offers: list["Offered"]


class Offered(msgspec.Struct, kw_only=True):
    """One row that is worth its offer."""

    place: int
    score: float
    answers: dict[str, float]


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


class ShareOut(msgspec.Struct, kw_only=True):
    """A class or a tag, and its probability."""

    name: str
    probability: float


class TraitOut(msgspec.Struct, kw_only=True):
    """What one task says of a user. `missing`: what the task reads and was not given."""

    task: str
    kind: str
    shares: list[ShareOut] = []
    amounts: dict[str, float] = {}
    missing: list[str] = []


class ProfileAnswer(Answer, kw_only=True):
    """What the model and the log say of a user. `tastes`: item feature -> value -> share of the user's past."""

    user: str
    known: bool
    features: dict[str, Any]
    answers: dict[str, float]
    tastes: dict[str, dict[str, float]]
    events: int
    traits: list[TraitOut] = []


# --- the store


class ItemOut(msgspec.Struct, kw_only=True):
    """An item with its features."""

    item: str
    features: dict[str, Any]


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


# --- the shop's team


class ValueBody(Asked, kw_only=True):
    """A value model: an expression over the tasks' answers and the items' columns. `scenario` empty: wherever no other holds."""

    expression: Annotated[str, Meta(min_length=1, max_length=2000)]
    expected: int | None = None  # the version that the change is made on; refused when another came between


class ValueOut(msgspec.Struct, kw_only=True):
    """The value model of a scenario."""

    scenario: str
    expression: str


class ValueAnswer(Answer, kw_only=True):
    """Every scenario's value model, and the names that an expression may use."""

    version: int
    values: list[ValueOut]
    names: list[str]


class ChangeOut(msgspec.Struct, kw_only=True):
    """A change of a setting: when, by whom, from what, to what."""

    version: int
    at: str
    who: str
    before: Any = None
    after: Any = None


class HistoryAnswer(Answer, kw_only=True):
    """The changes of a setting, newest first."""

    name: str
    changes: list[ChangeOut]


class PreviewBody(ValueBody, kw_only=True):
    """What an expression would change, on these users or on recorded requests."""

    scenario: Word = ""
    users: Annotated[list[Id], Meta(max_length=50)] = []
    k: Annotated[int, Meta(ge=1, le=50)] = 10


class Shift(msgspec.Struct, kw_only=True):
    """One request's items before and after."""

    user: str
    before: list[str]
    after: list[str]
    kept: int


class PreviewAnswer(Answer, kw_only=True):
    """What would change: request by request, the mean share of items kept, and an off-policy estimate where the draws support one."""

    scenario: str
    expression: str
    shifts: list[Shift]
    kept: float
    estimate: dict[str, Any] | None = None


class ModelOut(msgspec.Struct, kw_only=True):
    """A version of the bundle."""

    version: str
    added: str = ""
    active: bool = False
    shadow: bool = False
    note: str = ""
    facts: dict[str, Any] = {}


class ModelsAnswer(Answer, kw_only=True):
    """The versions, newest first."""

    active: str
    versions: list[ModelOut]
    changes: list[ChangeOut] = []


class AddModelBody(Asked, kw_only=True):
    """Take a bundle into the registry: the name of a folder in the service's `incoming` folder."""

    folder: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    note: Annotated[str, Meta(max_length=500)] = ""


class CheckAnswer(Answer, kw_only=True):
    """What a check of a version found."""

    version: str
    passed: bool
    findings: list[str]
    figures: dict[str, float] = {}


class ExperimentBody(Asked, kw_only=True):
    """Give a share of the users to another version."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Version
    share: Annotated[float, Meta(gt=0, le=0.5)] = 0.5
    outcome: Word = ""  # the behaviour that counts; the last of the store's unless given


class ExperimentOut(msgspec.Struct, kw_only=True):
    """An experiment and what it has shown so far."""

    name: str
    version: str
    against: str
    share: float
    outcome: str
    running: bool
    began: str
    ended: str | None = None
    results: dict[str, Any] = {}


class ExperimentsAnswer(Answer, kw_only=True):
    """The experiments, newest first."""

    experiments: list[ExperimentOut]


class ProgressOut(msgspec.Struct, kw_only=True):
    """A training run: how far it is, its losses by task."""

    run: str
    state: str  # running, done, stopped
    step: int = 0
    of: int = 0
    losses: dict[str, float] = {}
    metrics: dict[str, Any] = {}
    curve: list[dict[str, float]] = []
    changed: str = ""


class TrainingAnswer(Answer, kw_only=True):
    """The training runs, newest first."""

    runs: list[ProgressOut]


class FreshnessAnswer(Answer, kw_only=True):
    """How old the model is and how far the world has moved."""

    trained_through: int
    last_event: int
    waiting: int  # events that the model has not been trained on
    age_seconds: float | None
    drift: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    schedule: dict[str, Any] = {}


class LatencyOut(msgspec.Struct, kw_only=True):
    """A route's requests since the start: how many, how many failed, milliseconds."""

    count: int
    errors: int
    p50_ms: float
    p99_ms: float


class OverviewAnswer(Answer, kw_only=True):
    """The service at a glance."""

    up_seconds: float
    workers: int
    requests: dict[str, LatencyOut]
    events: int
    cache: dict[str, float]
    alarms: list[str]


class ExplorationBody(Asked, kw_only=True):
    """On a share of the requests the item of one slot is drawn from those of the first `top` that do not stand above it. A share of 0 ends it."""

    share: Share
    slot: Annotated[int, Meta(ge=0, le=49, description="A place of the list, counted from 0.")] = 2
    top: Annotated[int, Meta(ge=2, le=50)] = 10
    expected: int | None = None


class ExplorationAnswer(Answer, kw_only=True):
    """The exploration in force; a share of 0 where there is none."""

    version: int
    share: float = 0.0
    slot: int = 0
    top: int = 0


class LimitBody(Asked, kw_only=True):
    """How much a key may ask: requests a second, held over a burst."""

    per_second: Annotated[float, Meta(gt=0, le=100_000)]
    burst: Annotated[int, Meta(ge=1, le=1_000_000)]


class LimitsAnswer(Answer, kw_only=True):
    """The limits of each role, and of the keys that have their own."""

    version: int
    limits: dict[str, LimitBody]


class LimitsBody(Asked, kw_only=True):
    """Limits by role (events, answers, admin) or by a key's id."""

    limits: Annotated[dict[str, LimitBody], Meta(max_length=1000)]
    expected: int | None = None


class Health(Answer, kw_only=True):
    """Whether the service is up, or ready and if not why."""

    status: str
    parts: dict[str, str] = {}


def plain(struct: msgspec.Struct) -> Any:
    """The message as plain JSON values."""
    return msgspec.to_builtins(struct)

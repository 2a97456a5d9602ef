"""How the service does: training runs, freshness, the service at a glance, health."""

from typing import Any

import msgspec

from banyan.serving.messages.words import Answer


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


class ValueMoved(msgspec.Struct, kw_only=True):
    """A value, or a bin of a number: its share of the events trained on, and of those since."""

    value: str
    before: float
    now: float


class FeatureMoved(msgspec.Struct, kw_only=True):
    """How far one feature has moved; `chance` is the `psi` that chance alone stays under in 999 of 1,000 looks."""

    feature: str
    psi: float  # population stability index, nats
    divergence: float | None  # Jensen-Shannon, bits
    chance: float
    alarm: bool
    moved: list[ValueMoved] = []


class DriftOut(msgspec.Struct, kw_only=True):
    """What came in since the version was trained beside what it was trained on, the features that moved furthest first."""

    at: str
    version: str
    before: int  # events
    now: int
    new_users: float  # share of the events since whose user the version does not know
    new_items: float
    alarms: int
    features: list[FeatureMoved] = []


class ColumnJudged(msgspec.Struct, kw_only=True):
    """One column of one task on rows whose outcome is known: means, and how many standard errors lie between them."""

    task: str
    column: str
    rows: int
    predicted: float
    observed: float
    errors: float
    error: float | None = None  # expected calibration error of a chance
    alarm: bool


class CalibrationOut(msgspec.Struct, kw_only=True):
    """How far a version's answers are from what happened, on the newest days of a retraining."""

    at: str
    version: str
    columns: list[ColumnJudged]


class TaskJudged(msgspec.Struct, kw_only=True):
    """One task of a retrained version beside the serving one on the same rows, with the 95 % interval of its gain."""

    task: str
    metric: str
    rows: int
    candidate: float | None
    serving: float | None
    gain: float | None
    low: float | None
    high: float | None
    fine: bool


class RetrainedOut(msgspec.Struct, kw_only=True):
    """A retraining: what came of it, and why not where its version was not promoted."""

    at: str
    version: str
    against: str
    promoted: bool
    reasons: list[str]
    events: int
    seconds: float
    margin: float
    tasks: list[TaskJudged]


class ScheduleOut(msgspec.Struct, kw_only=True):
    """How often a model is trained anew, and when the next is due; `failed` says what went wrong with the newest attempt."""

    every_seconds: float
    next: str
    overdue: bool
    failed: str = ""


class FreshnessAnswer(Answer, kw_only=True):
    """How old the model is and how far the world has moved."""

    trained_through: int
    last_event: int
    waiting: int  # events that the model has not been trained on
    age_seconds: float | None
    drift: DriftOut | None = None  # None before the first measurement
    measuring: bool = False  # whether a newer one is being made: ask again in some seconds
    calibration: CalibrationOut | None = None  # None before the first retraining that had a version to judge
    schedule: ScheduleOut | None = None  # None where nobody retrains by a schedule
    retrained: list[RetrainedOut] = []  # the newest first


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


class Health(Answer, kw_only=True):
    """Whether the service is up, or ready and if not why."""

    status: str
    parts: dict[str, str] = {}

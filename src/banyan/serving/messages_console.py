"""What the console's pages are told beside the rest of the API: every answer as a msgspec Struct. Knows no HTTP and no engine."""

from typing import Any

import msgspec

from banyan.serving.messages import Answer


class SpellOut(msgspec.Struct, kw_only=True):
    """One route in one minute: requests, those that failed, milliseconds."""

    count: int
    errors: int
    p50_ms: float
    p99_ms: float


class MinuteOut(msgspec.Struct, kw_only=True):
    """The requests of one minute, by route."""

    at: str
    routes: dict[str, SpellOut]


class TrafficAnswer(Answer, kw_only=True):
    """The newest minutes, oldest first; a worker remembers a day since its start."""

    minutes: list[MinuteOut]


class EvaluationAnswer(Answer, kw_only=True):
    """How good the bundle that answers was on its test rows: joint beside alone and baselines, calibration, rows of each part, what was noted of the data.

    `by_scenario` comes from audits in the folder of runs: which one, which pair was compared, and its gains by task and scenario.
    """

    table: list[dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    calibration: dict[str, Any]
    rows: dict[str, dict[str, int]]
    notes: list[str]
    packages: dict[str, str]
    by_scenario: list[dict[str, Any]] = []


class ShadowAnswer(Answer, kw_only=True):
    """What the version in the shadow answered differently; empty without one, or before its first report."""

    version: str
    reports: list[dict[str, Any]]


class IncomingAnswer(Answer, kw_only=True):
    """The folders that wait in the service's folder `incoming`."""

    folders: list[str]


class PointOut(msgspec.Struct, kw_only=True):
    """What an experiment had shown at one moment; no interval while it is too early."""

    at: str
    users: int
    control: float | None
    candidate: float | None
    estimate: float | None
    low: float | None
    high: float | None


class SeriesAnswer(Answer, kw_only=True):
    """An experiment's difference of outcomes over time, oldest first; each interval holds at all moments at once."""

    name: str
    outcome: str
    points: list[PointOut]

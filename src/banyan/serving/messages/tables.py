"""Questions about rows: predict, forecast, offers."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from banyan.serving.messages.words import Answer, Asked, Rows, Word, Words


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
    """Series to look ahead in: the newest row of each, with all columns of a samples table of counts (`tables` of /v1/store lists them)."""

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

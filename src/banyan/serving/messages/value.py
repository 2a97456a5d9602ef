"""The value model, and what another would change."""

from typing import Annotated

import msgspec
from msgspec import Meta

from banyan.serving.messages.words import Answer, Asked, Id, Word


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


class PreviewBody(ValueBody, kw_only=True):
    """What an expression would change, on these users or on recorded requests; and what it would earn, as far as draws tell."""

    scenario: Word = ""
    users: Annotated[list[Id], Meta(max_length=50)] = []
    k: Annotated[int, Meta(ge=1, le=50)] = 10
    outcome: Word = ""  # the behaviour that counts in the estimate; the last of the store's unless given
    predicted: Word = ""  # an answer that predicts it, such as bought.buy: for the doubly robust estimate


class Shift(msgspec.Struct, kw_only=True):
    """One request's items before and after."""

    user: str
    before: list[str]
    after: list[str]
    kept: int


class Estimated(msgspec.Struct, kw_only=True):
    """By one estimator: the mean outcome of the slot now and under the new value model, the gain with its 95 % interval; or why it cannot be said."""

    method: str  # ips, snips or dr
    refused: str = ""
    matched: int = 0  # draws that the new order would have made too
    now: float | None = None
    new: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None


class EstimateOut(msgspec.Struct, kw_only=True):
    """What the draws say of a value model that nobody has seen. `refused` says why they say nothing; then no estimator has a number."""

    outcome: str
    draws: int
    outcomes: int
    refused: str = ""
    changed: float = 0.0  # share of the draws in which another item would stand in the slot
    by: list[Estimated] = []


class PreviewAnswer(Answer, kw_only=True):
    """What would change: request by request, the mean share of items kept, and an off-policy estimate of what it would earn."""

    scenario: str
    expression: str
    shifts: list[Shift]
    kept: float
    estimate: EstimateOut | None = None

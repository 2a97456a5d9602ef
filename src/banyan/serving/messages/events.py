"""What happened, told and shown."""

from typing import Annotated

import msgspec
from msgspec import Meta

from banyan.serving.messages.words import Answer, Asked, Figure, Id, Moment, Text, Word


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

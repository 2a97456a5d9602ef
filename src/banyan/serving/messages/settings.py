"""What the store's team sets: limits, exploration; and who changed a setting, when."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from banyan.serving.messages.words import Answer, Asked, Share


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

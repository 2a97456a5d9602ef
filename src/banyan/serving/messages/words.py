"""What all messages are made of: ids, words, numbers with their limits; what every request and every answer shares."""

from datetime import datetime
from typing import Annotated, Any

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


def plain(struct: msgspec.Struct) -> Any:
    """The message as plain JSON values."""
    return msgspec.to_builtins(struct)

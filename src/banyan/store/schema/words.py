"""The words of a page: spans of time, lists of names, names, and a section that takes no key but its own."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

MICROSECONDS = {"s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}


def duration(text: str) -> int:
    """Microseconds of a span like `7d`, `4w`, `12h`, `30min`, `90s`. Raises ValueError."""
    found = re.fullmatch(r"(\d+)\s*(s|min|h|d|w)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is no span of time; write a whole number and one of s, min, h, d, w, such as 7d")
    return int(found[1]) * MICROSECONDS[found[2]]


def _span(value: Any) -> Any:
    if isinstance(value, str):
        duration(value)
        return value
    raise ValueError(f"{value!r} is no span of time; write it like 7d, 4w or 12h")


def listed(value: Any) -> Any:
    """One word for a list of one."""
    return [value] if isinstance(value, (str, int, float)) else value


def switched(value: Any) -> Any:
    """`true` for all defaults, `false` for none of it."""
    return {} if value is True else None if value is False else value


Span = Annotated[str, BeforeValidator(_span)]
Names = Annotated[list[str], BeforeValidator(listed)]
Name = Annotated[str, AfterValidator(lambda v: _word(v))]


def _word(value: str) -> str:
    if not re.fullmatch(r"\w[\w. -]*", value):
        raise ValueError(f"{value!r} is no name; use letters, digits, '_', '.', '-' or spaces, and begin with a letter or digit")
    return value


class Strict(BaseModel):
    """A section of the page that takes no key but its own."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

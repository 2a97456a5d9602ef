"""The one shape of every error."""

from typing import Any

import msgspec


class Wrong(msgspec.Struct, kw_only=True):
    """What went wrong: `code` for programs, `message` for people, `details` for both."""

    code: str
    message: str
    request_id: str
    details: dict[str, Any] = {}


class Problem(msgspec.Struct, kw_only=True):
    """The one shape of every error."""

    error: Wrong

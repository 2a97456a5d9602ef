"""Every way in which the service says no, in one shape: `{"error": {"code", "message", "request_id", "details"}}`. Knows which error has which status."""

from collections.abc import Mapping
from typing import Any

from banyan.errors import BanyanError, BundleError, ConfigError, ConflictError, DataError, MissingExtraError, StateError

CODES: dict[int, str] = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    501: "not_offered",
    503: "unavailable",
}
SAID = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is larger than this address takes.",
    500: "Something failed in the service; the request id leads to it in the log.",
}


class Refusal(BanyanError):
    """A request that is refused: an HTTP status, a sentence, and what a program may want to know."""

    def __init__(self, status: int, message: str, *, details: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    @property
    def code(self) -> str:
        """The word of the status."""
        return CODES[self.status]


def refused(error: Exception) -> Refusal:
    """The refusal that an error means; 500 without any of its own words where it is none that was raised on purpose."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ConflictError):
        return Refusal(409, str(error))
    if isinstance(error, StateError):
        return Refusal(503, "What the service keeps cannot be reached or written now; nothing was acknowledged. Try again.", headers={"Retry-After": "2"})
    if isinstance(error, (ConfigError, DataError)):
        return Refusal(422, str(error))
    if isinstance(error, MissingExtraError):
        return Refusal(501, str(error))
    if isinstance(error, BundleError):
        return Refusal(503, "The model cannot answer this; the request id leads to the reason in the log.")
    status = getattr(error, "status_code", 500)
    if status not in CODES or status == 500:
        return Refusal(500, SAID[500])
    return Refusal(status, SAID.get(status) or str(getattr(error, "detail", "")) or CODES[status])

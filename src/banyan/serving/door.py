"""Around every request: its id, how long it took, what the log and the metrics say of it, headers that browsers heed, and the last word when all else fails."""

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from banyan.serving.logs import LOGGER
from banyan.serving.messages import Problem, Wrong
from banyan.serving.metrics import Metrics
from banyan.serving.refusals import refused

ID = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]
UNROUTED = "unrouted"
PROBES = ("GET /healthz", "GET /readyz", "GET /metrics")  # asked all day long by machines
PAGES = "pages"  # what belongs to the web pages carries headers of its own
log = logging.getLogger(LOGGER)

Scope = MutableMapping[str, Any]  # ASGI's own words
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class Door:
    """An ASGI application around the service's own."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, and see it out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _given(scope) or secrets.token_hex(12)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [] if scope["state"].get("route") == PAGES else HEADERS
                message["headers"] = [*message.get("headers", []), *own, (b"x-request-id", request_id.encode())]
            await send(message)

        self.inside += 1
        try:
            await self.app(scope, receive, out)
        except Exception as error:  # whatever nobody below expected: the client still gets an answer in the server's form
            log.exception("failed", extra={"request_id": request_id, "route": _route(scope)})
            if not status:
                await _last_word(error, request_id, out)
        finally:
            self.inside -= 1
            self._tell(scope, status, time.perf_counter() - began, request_id)

    def _tell(self, scope: Any, status: int, seconds: float, request_id: str) -> None:
        route, state = _route(scope), scope["state"]
        self.metrics.time("banyan_request_seconds", seconds, route=route)
        self.metrics.add("banyan_requests_total", route=route, status=str(status))
        self.metrics.set("banyan_in_flight", self.inside)
        about = {"request_id": request_id, "route": route, "method": scope["method"][:16], "status": status, "ms": round(1000 * seconds, 2)}
        log.log(
            logging.WARNING if status >= 500 else logging.DEBUG if route in PROBES else logging.INFO,
            "answered",
            extra=about | {"key": state.get("key"), "model": state.get("model"), "worker": self.metrics.worker},
        )


def problem(status_or_error: Exception, request_id: str) -> tuple[int, bytes, dict[str, str]]:
    """(Status, body, headers) that an error means."""
    found = refused(status_or_error)
    wrong = Wrong(code=found.code, message=str(found), request_id=request_id, details=found.details)
    return found.status, msgspec.json.encode(Problem(error=wrong)), found.headers


async def _last_word(error: Exception, request_id: str, send: Send) -> None:
    status, body, headers = problem(error, request_id)
    told = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*told, *((k.lower().encode(), v.encode()) for k, v in headers.items())]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _given(scope: Any) -> str | None:
    """The caller's own request id, where it is a plain word."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and ID.fullmatch(value):
            return str(value.decode())
    return None


def _route(scope: Any) -> str:
    return str(scope["state"].get("route") or UNROUTED)

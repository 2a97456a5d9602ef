"""A request's body, path and key, read with every limit; an answer, with what every answer carries. The routes are written with these."""

import asyncio
import math
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from banyan.serving import limits
from banyan.serving.keys import Key
from banyan.serving.messages import Answer
from banyan.serving.refusals import Refusal
from banyan.serving.segments import meant

Asking = Request[Any, Any, Any]
S = TypeVar("S", bound=msgspec.Struct)
A = TypeVar("A", bound=Answer)
SECONDS = 10.0  # for a body to arrive
ID_LETTERS = 200

SMALL, LARGE = 65_536, 4_194_304  # bytes of a body


class Role:
    """A guard: the request needs a key with this role, or an admin's, which has not asked too much."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Let the request pass, or raise Refusal (401, 403, 429)."""
        _named(connection, handler)
        service, state = connection.app.state.service, connection.scope["state"]
        key = service.keys.who(presented(connection))
        if key is None:
            raise Refusal(401, "This address needs a key: send `Authorization: Bearer banyan_...`.", headers={"WWW-Authenticate": "Bearer"})
        state["key"], state["who"] = key.id, key
        if self.name not in key.roles and "admin" not in key.roles:
            raise Refusal(403, f"The key {key.name!r} may not do this; it needs the role {self.name!r}.", details={"role": self.name})
        seconds = service.meter.wait(f"{key.id}/{self.name}", limits.of(service.limits, key.id, self.name))
        if seconds:
            told = {"Retry-After": str(math.ceil(seconds))}
            raise Refusal(429, f"This key asks more than its limit; wait {seconds:.3f} s.", details={"wait_seconds": round(seconds, 3)}, headers=told)


async def anybody(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard that lets everybody in."""
    _named(connection, handler)


def _named(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Tell the log and the metrics the route's pattern: its path may hold a user's id."""
    scope: Any = connection.scope
    scope["state"]["route"] = f"{scope['method']} {scope['path_template']}"


def presented(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The key in the request; empty where there is none."""
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def who(request: Asking) -> Key:
    """The key that asks."""
    key = request.scope["state"]["who"]
    assert isinstance(key, Key)
    return key


async def read(request: Asking, kind: type[S]) -> S:
    """The body as a message.

    Raises Refusal: 415 for what is not JSON, 413 and 408 for what is too large or too slow, 400 for JSON that is broken, 422 for a message that breaks a
    rule, with the place in `details`.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told != "application/json":
        raise Refusal(415, "The body is JSON: send `Content-Type: application/json`.", details={"found": told[:100]})
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "The body is plain: leave out `Content-Encoding`.")
    try:
        body = await asyncio.wait_for(request.body(), SECONDS)
    except TimeoutError as error:
        raise Refusal(408, f"The body did not arrive within {SECONDS:g} s.") from error
    return decode(body, kind)


def decode(body: bytes, kind: type[S]) -> S:
    """The message in JSON bytes. Raises Refusal as `read` does."""
    try:
        found = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        said, _, place = str(error).partition(" - at `")
        raise Refusal(422, str(error), details={"at": place.rstrip("`") or "$", "rule": said}) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"The body is no JSON: {str(error)[:200] or 'nested too deeply'}.") from error
    if b"\\u0000" in body and "\0" in repr_of(found):
        raise Refusal(422, "A text of the body holds the character U+0000, which no text may.", details={"at": "$"})
    return found


def repr_of(message: msgspec.Struct) -> str:
    """All texts of a message, one after the other."""
    texts: list[str] = []
    todo: list[Any] = [msgspec.to_builtins(message)]
    while todo:
        each = todo.pop()
        if isinstance(each, str):
            texts.append(each)
        elif isinstance(each, dict):
            todo += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple)):
            todo += each
    return "\n".join(texts)


def plain(value: str, what: str) -> str:
    """An id of the path, which may hold a slash. Raises Refusal (422) for one that is too long or holds signs that are no text."""
    value = meant(value)
    if not 0 < len(value) <= ID_LETTERS or not value.isprintable():
        raise Refusal(422, f"The {what} in the path has 1 to {ID_LETTERS} printable signs.", details={"at": what})
    return value


def answered(request: Asking, answer: A, model: str = "", value: int = 0) -> A:
    """The answer with its request id and the versions that it was made with."""
    state: Any = request.scope["state"]
    answer.request_id, answer.model, answer.value = state["request_id"], model, value
    state["model"] = model
    return answer

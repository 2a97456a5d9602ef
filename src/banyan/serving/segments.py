"""Paths as they were sent, segment by segment: an id may hold a slash (sent as %2F), and stays one segment of the path. Knows no route."""

from typing import Any
from urllib.parse import quote, unquote

from banyan.serving.door import App


class Segments:
    """An ASGI application around a router that reads paths with every escape undone: it gets a path in which % and / of a segment stand as %25 and %2F."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one connection on."""
        if scope["type"] == "http" and "%" in (raw := _raw(scope)):
            scope["path"] = "/".join(escaped(unquote(each)) for each in raw.split("/"))
        await self.app(scope, receive, send)


def escaped(segment: str) -> str:
    """A segment in which no slash stands."""
    return segment.replace("%", "%25").replace("/", "%2F")


def meant(segment: str) -> str:
    """What `escaped` was given."""
    return segment.replace("%2F", "/").replace("%25", "%")


def _raw(scope: Any) -> str:
    """The path as it was sent; made from the other where the server does not tell it, whose slashes all part segments."""
    raw = scope.get("raw_path")
    return quote(scope["path"], safe="/") if raw is None else str(raw.partition(b"?")[0].decode("latin-1"))

"""The web pages run in a process of their own; here their address becomes the service's: HTTP and WebSocket are passed on, with limits. Knows no page."""

import asyncio
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import websockets
from websockets.typing import Subprotocol

from banyan.serving.door import PAGES, Receive, Send

BODY = 4_194_304  # bytes of a request to a page
HOP = {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailers", b"transfer-encoding", b"upgrade", b"host"}
OURS = {b"authorization", b"x-request-id", b"content-length"}
SECONDS = 30.0
MESSAGE = 4_194_304  # bytes of a WebSocket message
AWAY = (
    b"<!doctype html><meta charset=utf-8><title>Banyan</title><p>The pages are starting, or not running. The service itself answers at <a href=/docs>/docs</a>."
)


class Pages:
    """An ASGI application that passes everything on to another server."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.client = httpx.AsyncClient(
            base_url=self.url, timeout=SECONDS, limits=httpx.Limits(max_connections=200), follow_redirects=False, trust_env=False, cookies=_none_kept()
        )  # fmt: skip

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one request on."""
        if scope["type"] == "http":
            scope["state"]["route"] = PAGES
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

    async def _http(self, scope: Any, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name not in HOP | OURS]
        headers += [(b"host", _host(scope)), (b"x-forwarded-proto", scope["scheme"].encode())]
        target = self.url + _target(scope)
        body = b"".join([part async for part in _body(receive)])
        if len(body) > BODY:
            await _said(send, 413, b"too large")
            return
        try:
            request = self.client.build_request(scope["method"], target, headers=headers, content=body or None)
            answer = await self.client.send(request, stream=True)
        except httpx.HTTPError:
            await _said(send, 503, AWAY)
            return
        try:
            kept = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOP]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await answer.aclose()

    async def _socket(self, scope: Any, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        place = urlsplit(self.url)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"] if name in (b"cookie", b"origin", b"user-agent")]
        try:
            there = await websockets.connect(
                f"ws://{place.netloc}{_target(scope)}", additional_headers=headers, max_size=MESSAGE, open_timeout=SECONDS, proxy=None,
                subprotocols=[Subprotocol(each) for each in scope.get("subprotocols", [])] or None, user_agent_header=None,
            )  # fmt: skip
        except (OSError, websockets.WebSocketException):
            await send({"type": "websocket.close", "code": 1013, "reason": ""})
            return
        await send({"type": "websocket.accept", "subprotocol": there.subprotocol, "headers": []})
        both = [asyncio.create_task(_forth(receive, there)), asyncio.create_task(_back(send, there))]
        _, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        await there.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.client.aclose()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    total = 0
    while True:
        message: Any = await asyncio.wait_for(receive(), SECONDS)
        if message["type"] != "http.request":
            return
        total += len(message.get("body", b""))
        yield message.get("body", b"")
        if not message.get("more_body") or total > BODY:
            return


async def _forth(receive: Receive, there: Any) -> None:
    while True:
        message: Any = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        await there.send(text if text is not None else message.get("bytes") or b"")


async def _back(send: Send, there: Any) -> None:
    try:
        async for message in there:
            await send(
                {"type": "websocket.send", "text": message, "bytes": None}
                if isinstance(message, str)
                else {"type": "websocket.send", "bytes": message, "text": None}
            )
    except websockets.ConnectionClosed:
        pass
    await send({"type": "websocket.close", "code": 1000, "reason": ""})


def _target(scope: Any) -> str:
    """Path and query as they were sent."""
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0].decode("latin-1")
    return path + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")


def _none_kept() -> CookieJar:
    """A jar that takes no cookie and gives none: those of one visitor must never go along with another's request."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def _host(scope: Any) -> bytes:
    return next((bytes(value) for name, value in scope["headers"] if name == b"host"), b"localhost")


async def _said(send: Send, status: int, body: bytes) -> None:
    kind = b"text/html; charset=utf-8" if body.startswith(b"<") else b"text/plain"
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body, "more_body": False})

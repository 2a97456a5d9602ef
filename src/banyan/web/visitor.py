"""Who looks at the pages: cookies alone say, so that any process can answer and none has to remember. Knows no page."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, unquote

VISITOR, USER, CART, SEEN, LANGUAGE = "banyan_visitor", "banyan_user", "banyan_cart", "banyan_seen", "banyan_language"
YEAR = 31_536_000  # seconds
ITEMS = 100  # of a cart
RECENT = 12  # items that were looked at last
BYTES = 3500  # of a cookie with items: browsers keep 4,096
LETTERS = 200  # of an id
FORM = re.compile(r"[0-9a-f]{32}")
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"frame-ancestors 'self'; base-uri 'self'; object-src 'none'; form-action 'self'"),
]

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Visitor:
    """A session, the user that it signed in as (or empty), its cart, and what it looked at last, newest first."""

    session: str
    user: str = ""
    cart: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    @classmethod
    def of(cls, cookies: Mapping[str, str], *, signing: bool = True) -> "Visitor":
        """The visitor of these cookies; what cannot be read is taken for absent."""
        session = cookies.get(VISITOR, "")
        user = unquote(cookies.get(USER, "")) if signing else ""
        fine = session if FORM.fullmatch(session) else secrets.token_hex(16)
        return cls(fine, user if named(user) else "", listed(cookies.get(CART, "")), listed(cookies.get(SEEN, ""))[:RECENT])

    @property
    def who(self) -> dict[str, str]:
        """The fields of a question or an event that say who."""
        return {"user": self.user, "session": self.session}


def named(user: str) -> bool:
    """Whether this may be a user's id."""
    return 0 < len(user) <= LETTERS and user.isprintable()


def listed(cookie: str) -> tuple[str, ...]:
    """The items of a cookie; none where it cannot be read."""
    try:
        found = json.loads(unquote(cookie[: BYTES + 100]) or "[]")
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list):
        return ()
    return tuple(dict.fromkeys(each for each in found if isinstance(each, str) and 0 < len(each) <= LETTERS))[:ITEMS]


def listing(items: Sequence[str]) -> str | None:
    """The value of a cookie with these items; None where they do not fit."""
    value = quote(json.dumps(list(items), ensure_ascii=False, separators=(",", ":")), safe="")
    return value if len(value) <= BYTES and len(items) <= ITEMS else None


def keeping(name: str, value: str) -> str:
    """JavaScript that keeps a cookie."""
    return f"document.cookie = {json.dumps(f'{name}={value}; path=/; max-age={YEAR}; samesite=lax')} + (location.protocol === 'https:' ? '; secure' : '')"


def inward(address: str) -> str:
    """An address of these pages to go back to; the first page for any other."""
    fine = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable() and len(address) <= 2000
    return address if fine else "/"


class Door:
    """An ASGI application around the pages: who comes without a session gets one, and every answer says how far it may be trusted."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Let a request in."""
        if scope["type"] != "http" or scope["path"].startswith("/_nicegui"):
            await self.app(scope, receive, send)
            return
        fresh = "" if FORM.fullmatch(_session(scope["headers"])) else secrets.token_hex(16)
        if fresh:
            scope["headers"] = _with(scope["headers"], f"{VISITOR}={fresh}")

        async def out(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                secure = "; Secure" if (b"x-forwarded-proto", b"https") in scope["headers"] or scope.get("scheme") == "https" else ""
                cookie = f"{VISITOR}={fresh}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Lax{secure}"
                message["headers"] = [*message.get("headers", []), *HEADERS, *([(b"set-cookie", cookie.encode())] if fresh else [])]
            await send(message)

        await self.app(scope, receive, out)


def _with(headers: Sequence[tuple[bytes, bytes]], cookie: str) -> list[tuple[bytes, bytes]]:
    told = b"; ".join([*(value for name, value in headers if name == b"cookie"), cookie.encode()])
    return [*((name, value) for name, value in headers if name != b"cookie"), (b"cookie", told)]


def _session(headers: Sequence[tuple[bytes, bytes]]) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load("; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie"))
    except CookieError:
        return ""
    return jar[VISITOR].value if VISITOR in jar else ""

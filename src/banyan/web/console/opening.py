"""Puts the console's pages in place, and lets in who has an admin's key."""

from collections.abc import Callable
from importlib import import_module
from urllib.parse import parse_qs, quote

import httpx
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app, ui

from banyan.client import AsyncClient, ServiceError
from banyan.errors import BanyanError
from banyan.web.arrival import NOBODY
from banyan.web.console import calls
from banyan.web.console.desk import Desk, console_words
from banyan.web.console.frame import framed, signing
from banyan.web.console.pages import ORDER, PATH, address
from banyan.web.console.sessions import COOKIE, Session, Sessions
from banyan.web.gateway import Gateway
from banyan.web.visitor import LANGUAGE, inward
from banyan.web.words import preferred

PATIENCE = 30.0  # seconds that a page may take
FORM = 8192  # bytes of a form
KEY = 200  # letters of a key
LETTERS = 500  # of one word of an address
SIGN_IN = f"{PATH}/sign-in"
WHY = ("unknown", "role", "away", "busy", "ended")


def open_console(gateway: Gateway, client: Callable[[str], AsyncClient], sessions: Sessions | None = None) -> None:
    """Put the pages in place; `client` makes a client of the service out of a key."""
    known = sessions or Sessions()
    for name in ORDER:
        _open(name, gateway, known)

    @ui.page(SIGN_IN, response_timeout=PATIENCE)
    async def sign_in(request: Request, why: str = "", to: str = PATH) -> None:
        signing(console_words(_language(request)), why if why in WHY else "", below(to))

    @app.post(f"{PATH}/session")
    async def begin(request: Request) -> Response:
        if not own(request) or int(request.headers.get("content-length") or FORM + 1) > FORM:
            return Response(status_code=403)
        form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
        to = below(form.get("to", [PATH])[0])
        key = form.get("key", [""])[0].strip()
        if not 0 < len(key) <= KEY or not key.isascii() or not key.isprintable():
            return _refused("unknown", to)
        asking = client(key)
        if why := await _wrong(asking):
            return _refused(why, to)
        answer = RedirectResponse(to, status_code=303)
        secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        answer.set_cookie(COOKIE, known.begin(asking), path=PATH, httponly=True, samesite="lax", secure=secure)
        return answer

    @app.post(f"{PATH}/sign-out")
    async def end(request: Request) -> Response:
        if not own(request):
            return Response(status_code=403)
        known.end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(SIGN_IN, status_code=303)
        answer.delete_cookie(COOKIE, path=PATH)
        return answer


def _open(name: str, gateway: Gateway, known: Sessions) -> None:
    show = import_module(f"banyan.web.console.pages.{name}").page

    @ui.page(address(name), response_timeout=PATIENCE)
    async def shown(request: Request) -> Response | None:
        word = request.cookies.get(COOKIE, "")
        session = known.of(word)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if session is None:
            why = "&why=ended" if word else ""
            return RedirectResponse(f"{SIGN_IN}?to={quote(here, safe='')}{why}", status_code=303)
        desk = await _desk(request, session, gateway, name, here)
        with framed(desk):
            await show(desk)
        return None


async def _desk(request: Request, session: Session, gateway: Gateway, name: str, here: str) -> Desk:
    query = {key: value[:LETTERS] for key, value in request.query_params.items()}
    return Desk(session, gateway, await gateway.store() or NOBODY, console_words(_language(request)), name, here, query)


async def _wrong(asking: AsyncClient) -> str:
    """Why a key may not come in; empty for an admin's."""
    try:
        await asking.call(calls.OVERVIEW)
    except ServiceError as error:
        return {401: "unknown", 403: "role", 429: "busy"}.get(error.status, "away")
    except (BanyanError, httpx.HTTPError, OSError):
        return "away"
    return ""


def _refused(why: str, to: str) -> Response:
    return RedirectResponse(f"{SIGN_IN}?why={why}&to={quote(to, safe='')}", status_code=303)


def _language(request: Request) -> str:
    return preferred(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))


def below(to: str) -> str:
    """An address of the console's to go to; its first page for any other."""
    fine = inward(to)
    return fine if (fine == PATH or fine.startswith((f"{PATH}/", f"{PATH}?"))) and not fine.startswith(SIGN_IN) else PATH


def own(request: Request) -> bool:
    """Whether a form was sent by these pages and not by others'."""
    told = request.headers.get("origin", "")
    return told.partition("://")[2] == request.headers.get("host", "") if told and told != "null" else request.headers.get("sec-fetch-site") == "same-origin"

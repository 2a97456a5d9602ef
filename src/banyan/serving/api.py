"""The HTTP service: routes, guards, one shape of errors, around a `Service`. With its siblings `routes_*` the only file that knows litestar."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException

from banyan.serving import (
    routes_answers,
    routes_console,
    routes_events,
    routes_experiments,
    routes_health,
    routes_models,
    routes_store,
    routes_value,
    routes_watching,
)
from banyan.serving.door import App, Door, log, problem
from banyan.serving.pages import Pages
from banyan.serving.refusals import Refusal, refused
from banyan.serving.segments import Segments
from banyan.serving.service import Service

OWN = ("/v1", "/docs", "/healthz", "/readyz", "/metrics")
OWN_BELOW = tuple(f"{path}/" for path in OWN)
ROUTES = tuple(
    each.ROUTES
    for each in (routes_events, routes_answers, routes_store, routes_value, routes_models, routes_experiments, routes_watching, routes_console, routes_health)
)


def create(service: Service) -> Door:
    """The ASGI application of one worker around its service, which it opens and closes."""
    own, url = Segments(litestar(service)), service.options.pages
    return Door(Parted(own, Pages(url)) if url else own, service.metrics)


class Parted:
    """An ASGI application: the service's own paths, and the web pages at all others. No mount of the router's, which would take paths with a parameter."""

    def __init__(self, own: App, pages: App) -> None:
        self.own, self.pages = own, pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one connection on."""
        path = scope.get("path", "")
        mine = scope["type"] == "lifespan" or path in OWN or path.startswith(OWN_BELOW)
        await (self.own if mine else self.pages)(scope, receive, send)


def litestar(service: Service) -> Litestar:
    """The routes; `create` puts the door around them."""
    return Litestar(
        route_handlers=list(ROUTES),
        exception_handlers={HTTPException: refuse, Exception: refuse},
        lifespan=[_living(service)],
        state=State({"service": service}),
        openapi_config=None,
        logging_config=None,
        request_max_body_size=65_536,
        debug=False,
    )


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The one shape of errors."""
    state: Any = request.scope["state"]
    if isinstance(error, ValidationException):
        error = Refusal(422, _said(error), details={"at": _at(error)})
    status, body, headers = problem(error, state["request_id"])
    if status >= 500 and refused(error) is not error:
        log.error("failed", exc_info=error, extra={"request_id": state["request_id"], "route": state.get("route")})
    if status == 405:
        headers = headers | dict(getattr(error, "headers", None) or {})
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def _living(service: Service) -> Callable[[Litestar], Any]:
    @asynccontextmanager
    async def living(app: Litestar) -> AsyncIterator[None]:
        service.open()
        try:
            yield
        finally:
            service.close()

    return living


def _at(error: ValidationException) -> str:
    """Which parameter of the path or the query breaks a rule."""
    told = error.extra if isinstance(error.extra, list) else []
    return ", ".join(str(each.get("key", "")) for each in told if isinstance(each, dict)) or "query"


def _said(error: ValidationException) -> str:
    told = error.extra if isinstance(error.extra, list) else []
    rules = [f"{each.get('key')}: {each.get('message')}" for each in told if isinstance(each, dict)]
    return f"A parameter breaks a rule. {'; '.join(rules)[:500]}".strip()

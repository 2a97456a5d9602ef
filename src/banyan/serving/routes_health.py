"""Routes for machines that watch: is it up, is it ready, its metrics; and the description of the interface with its page."""

from typing import Any

from litestar import MediaType, Response, Router, get

from banyan.serving import messages, openapi
from banyan.serving.reading import Asking, Role, answered, anybody
from banyan.serving.service import Service

FRONT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Banyan</title><p>The service answers. <a href="/docs">Its interface</a>. '
    "The pages for people need <code>pip install 'banyan-commerce[web]'</code>."
)


@get("/healthz", summary="Is the process up", guards=[anybody], opt={"answer": messages.Health})
async def healthz(request: Asking) -> messages.Health:
    """Answers as long as the process does."""
    return answered(request, messages.Health(status="up"), *request.app.state.service.versions())


@get("/readyz", summary="May traffic come", guards=[anybody], opt={"answer": messages.Health})
async def readyz(request: Asking) -> Response[messages.Health]:
    """200 while there is a model and the journal answers; else 503, with what is missing."""
    service: Service = request.app.state.service
    parts = service.parts()
    fine = all(state == "ok" for state in parts.values())
    health = answered(request, messages.Health(status="ready" if fine else "not ready", parts=parts), *service.versions())
    return Response(health, status_code=200 if fine else 503)


@get("/metrics", summary="Metrics for Prometheus", guards=[Role("answers")], media_type="text/plain; version=0.0.4")
async def metrics(request: Asking) -> str:
    """Latency by route, candidates, cache, model and value version, event lag."""
    service: Service = request.app.state.service
    return await service.write(service.metrics.text)


@get("/v1/openapi.json", summary="This description", guards=[anybody])
async def description(request: Asking) -> dict[str, Any]:
    """The interface in OpenAPI 3.1, with an example of every request."""
    found: dict[str, Any] = openapi.describe(request.app)
    return found


@get("/docs", summary="This description as a page", guards=[anybody], media_type=MediaType.HTML)
async def page(request: Asking) -> str:
    """The interface as one page that asks no other host for anything."""
    return openapi.page(openapi.describe(request.app))


@get("/", include_in_schema=False, guards=[anybody], media_type=MediaType.HTML)
async def front(request: Asking) -> str:
    """Where the web pages would be."""
    return FRONT


ROUTES = Router("/", route_handlers=[healthz, readyz, metrics, description, page, front], tags=["service"])

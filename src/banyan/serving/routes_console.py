"""Routes that only the console asks: traffic by the minute, evaluation, the shadow's differences, bundles that wait, an experiment over time."""

from typing import Annotated

from litestar import Router, get
from litestar.params import FromPath, QueryParameter

from banyan.serving import insight
from banyan.serving.messages_console import EvaluationAnswer, IncomingAnswer, SeriesAnswer, ShadowAnswer, TrafficAnswer
from banyan.serving.reading import Asking, Role, answered, plain
from banyan.serving.service import Service

MINUTES = [{"name": "minutes", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1440, "default": 180}}]


@get("/traffic", summary="Requests by the minute", guards=[Role("admin")], opt={"answer": TrafficAnswer, "query": MINUTES})
async def traffic(request: Asking, minutes: Annotated[int, QueryParameter(ge=1, le=1440)] = 180) -> TrafficAnswer:
    """By route: requests, failures, median and 99th percentile, over all workers of this machine."""
    service: Service = request.app.state.service
    return answered(request, insight.traffic(service, minutes), *service.versions())


@get("/evaluation", summary="How good the model was on its test rows", guards=[Role("admin")], opt={"answer": EvaluationAnswer})
async def evaluation(request: Asking) -> EvaluationAnswer:
    """Joint beside alone and baselines with intervals, calibration, notes on the data; gains by scenario where an audit lies in the folder of runs."""
    service: Service = request.app.state.service
    facts, made = await service.answer(lambda serving: dict(serving.engine.bundle.facts))
    found = await service.write(lambda: insight.evaluation(service.options.runs, facts))
    return answered(request, found, made.version, made.value_version)


@get("/shadow", summary="What the shadow answers differently", guards=[Role("admin")], opt={"answer": ShadowAnswer})
async def shadow(request: Asking) -> ShadowAnswer:
    """Items in common, the same first item, the gap of each answer, milliseconds."""
    service: Service = request.app.state.service
    return answered(request, await service.write(lambda: insight.shadow(service)), *service.versions())


@get("/incoming", summary="Bundles that may be taken in", guards=[Role("admin")], opt={"answer": IncomingAnswer})
async def incoming(request: Asking) -> IncomingAnswer:
    """The folders in the service's folder `incoming`; `POST /v1/models` takes one in."""
    service: Service = request.app.state.service
    return answered(request, await service.write(lambda: insight.incoming(service)), *service.versions())


@get("/experiments/{name:str}/series", summary="An experiment over time", guards=[Role("admin")], opt={"answer": SeriesAnswer})
async def series(request: Asking, name: FromPath[str]) -> SeriesAnswer:
    """The difference of outcomes and its interval, at each moment at which users were counted."""
    service: Service = request.app.state.service
    name = plain(name, "name")
    return answered(request, await service.write(lambda: insight.series(service, name)), *service.versions())


ROUTES = Router("/v1", route_handlers=[traffic, evaluation, shadow, incoming, series], tags=["admin"])

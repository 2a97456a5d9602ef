"""Routes that say how the service does: training, freshness, the service at a glance; and how much keys may ask."""

from litestar import Router, get, put

from banyan.serving import age, messages, office
from banyan.serving.messages import LimitsAnswer, TrainingAnswer
from banyan.serving.reading import SMALL, Asking, Role, answered, read, who
from banyan.serving.runs import runs
from banyan.serving.service import Service


@get("/training", summary="Training runs", guards=[Role("admin")], opt={"answer": TrainingAnswer})
async def training(request: Asking) -> TrainingAnswer:
    """The runs in the service's folder of runs, with their losses as they fall."""
    service: Service = request.app.state.service
    found = await service.write(lambda: runs(service.options.runs))
    return answered(request, TrainingAnswer(runs=found), *service.versions())


@get("/freshness", summary="How old the model is", guards=[Role("admin")], opt={"answer": messages.FreshnessAnswer})
async def freshness(request: Asking) -> messages.FreshnessAnswer:
    """Events that it has not seen, drift of inputs and of calibration, the schedule of retraining."""
    service: Service = request.app.state.service
    return answered(request, await service.write(lambda: age.freshness(service)), *service.versions())


@get("/overview", summary="The service at a glance", guards=[Role("admin")], opt={"answer": messages.OverviewAnswer})
async def overview(request: Asking) -> messages.OverviewAnswer:
    """Traffic and latency by route, events, cache, alarms."""
    service: Service = request.app.state.service
    return answered(request, await service.write(lambda: office.overview(service)), *service.versions())


@get("/limits", summary="How much keys may ask", guards=[Role("admin")], opt={"answer": LimitsAnswer})
async def limits(request: Asking) -> LimitsAnswer:
    """The limits of roles, and of keys that have their own."""
    return _limits(request)


@put(
    "/limits",
    summary="Change how much keys may ask",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    opt={"body": messages.LimitsBody, "answer": LimitsAnswer, "refuses": (409,)},
)
async def change_limits(request: Asking) -> LimitsAnswer:
    """Limits by role, or by a key's id; what is not named has its default. Every worker adopts them within a second."""
    body = await read(request, messages.LimitsBody)
    service: Service = request.app.state.service
    await service.write(lambda: service.journal.set("limits", {k: messages.plain(v) for k, v in body.limits.items()}, who(request).name, body.expected))
    await service.write(service.follow)
    return _limits(request)


def _limits(request: Asking) -> LimitsAnswer:
    service: Service = request.app.state.service
    return answered(request, LimitsAnswer(version=service.limits_version, limits=dict(service.limits)), *service.versions())


ROUTES = Router("/v1", route_handlers=[training, freshness, overview, limits, change_limits], tags=["admin"])

"""Routes of experiments between versions, and of what is left to chance."""

from dataclasses import asdict

import msgspec
from litestar import Router, get, post, put

from banyan.serving import messages, office, splits
from banyan.serving.feedback import Exploration
from banyan.serving.reading import SMALL, Asking, Role, answered, read, who
from banyan.serving.routes_models import known, tried
from banyan.serving.service import Service


@get("/experiments", summary="Experiments and what they have shown", guards=[Role("admin")], opt={"answer": messages.ExperimentsAnswer})
async def experiments(request: Asking) -> messages.ExperimentsAnswer:
    """The running experiment and those before, with a sequential test that may be looked at at any time."""
    return await _experiments(request)


@post(
    "/experiments",
    summary="Give a share of the users to a version",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    status_code=200,
    opt={"body": messages.ExperimentBody, "answer": messages.ExperimentsAnswer, "refuses": (409,)},
)
async def begin(request: Asking) -> messages.ExperimentsAnswer:
    """The same users see the same version as long as it runs."""
    body = await read(request, messages.ExperimentBody)
    service: Service = request.app.state.service
    version = known(service, body.version)
    await tried(service, lambda: office.begin(service, msgspec.structs.replace(body, version=version), who(request).name))
    await service.long(service.follow)
    return await _experiments(request)


@post("/experiments/stop", summary="End the experiment", guards=[Role("admin")], status_code=200, opt={"answer": messages.ExperimentsAnswer, "refuses": (409,)})
async def stop(request: Asking) -> messages.ExperimentsAnswer:
    """The active version answers everybody again; what was seen is kept."""
    service: Service = request.app.state.service
    await service.long(lambda: splits.end(service.journal, service.registry, who(request).name))
    await service.long(service.follow)
    return await _experiments(request)


@get("/exploration", summary="How much is left to chance", guards=[Role("admin")], opt={"answer": messages.ExplorationAnswer})
async def exploration(request: Asking) -> messages.ExplorationAnswer:
    """On which share of the requests which slot of the list is drawn at random."""
    return await _exploration(request)


@put(
    "/exploration",
    summary="Change how much is left to chance",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    opt={"body": messages.ExplorationBody, "answer": messages.ExplorationAnswer, "refuses": (409,)},
)
async def change_exploration(request: Asking) -> messages.ExplorationAnswer:
    """What is drawn is written down with its true probability, and is what estimates of a changed value model rest on."""
    body = await read(request, messages.ExplorationBody)
    service: Service = request.app.state.service
    chosen = Exploration(body.share, body.slot, body.top)
    value = asdict(chosen) if chosen.share else None
    await service.write(lambda: service.journal.set("exploration", value, who(request).name, body.expected))
    await service.write(service.follow)
    return await _exploration(request)


async def _experiments(request: Asking) -> messages.ExperimentsAnswer:
    service: Service = request.app.state.service
    found = await service.long(lambda: office.experiments(service))
    return answered(request, messages.ExperimentsAnswer(experiments=found), *service.versions())


async def _exploration(request: Asking) -> messages.ExplorationAnswer:
    service: Service = request.app.state.service
    version, value = await service.write(lambda: service.journal.setting("exploration"))
    return answered(request, messages.ExplorationAnswer(version=version, **(value or {})), *service.versions())


ROUTES = Router("/v1", route_handlers=[experiments, begin, stop, exploration, change_exploration], tags=["admin"])

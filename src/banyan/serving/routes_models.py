"""Routes of the versions: take one in, try it, let it answer, roll back, delete it."""

import re
from collections.abc import Callable
from typing import Any

from litestar import Router, delete, get, post
from litestar.params import FromPath

from banyan.errors import BundleError
from banyan.serving import messages
from banyan.serving.messages import ModelOut, ModelsAnswer
from banyan.serving.reading import SMALL, Asking, Role, answered, plain, read, who
from banyan.serving.refusals import Refusal
from banyan.serving.registry import Version
from banyan.serving.service import Service
from banyan.serving.settings import Changed
from banyan.serving.wire import changed, moment

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@get("/models", summary="The versions", guards=[Role("admin")], opt={"answer": ModelsAnswer})
async def models(request: Asking) -> ModelsAnswer:
    """Every version that is kept, newest first; which answers, which is in the shadow; who changed that, and when."""
    return await _models(request)


@post(
    "/models",
    summary="Take a bundle in",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    status_code=200,
    opt={"body": messages.AddModelBody, "answer": ModelsAnswer},
)
async def add_model(request: Asking) -> ModelsAnswer:
    """Copies a bundle from the service's `incoming` folder, every file checked by its hash. It answers nobody before it is promoted."""
    body = await read(request, messages.AddModelBody)
    service: Service = request.app.state.service
    path = service.folder / "incoming" / body.folder
    if not FOLDER.fullmatch(body.folder) or path.is_symlink() or not path.is_dir():
        raise Refusal(404, f"There is no bundle {body.folder!r} in the service's folder `incoming`.", details={"folder": body.folder})
    await tried(service, lambda: service.registry.add(path, body.note))
    return await _models(request)


@post("/models/{version:str}/promote", summary="Let a version answer", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer, "refuses": (409,)})
async def promote(request: Asking, version: FromPath[str]) -> ModelsAnswer:
    """Tries the version on recorded requests, then lets it answer. One that fails is refused, with every reason, and the old one stays."""
    return await _followed(request, lambda service: service.registry.promote(known(service, version), who(request).name))


@post(
    "/models/roll_back", summary="Let the version before answer again", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer, "refuses": (409,)}
)
async def roll_back(request: Asking) -> ModelsAnswer:
    """The version that answered before the active one."""
    return await _followed(request, lambda service: service.registry.roll_back(who(request).name))


@post("/models/{version:str}/check", summary="Try a version", guards=[Role("admin")], status_code=200, opt={"answer": messages.CheckAnswer})
async def check(request: Asking, version: FromPath[str]) -> messages.CheckAnswer:
    """Replays recorded requests on it, and changes nothing."""
    service: Service = request.app.state.service
    version = known(service, version)
    found = await service.long(lambda: service.registry.check(version))
    figures = {"milliseconds": float(found.milliseconds), "requests": float(found.asked)}
    answer = messages.CheckAnswer(version=version, passed=found.fine, findings=list(found.reasons), figures=figures)
    return answered(request, answer, *service.versions())


@post(
    "/models/{version:str}/shadow", summary="Score a version unseen", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer, "refuses": (409,)}
)
async def shadow(request: Asking, version: FromPath[str]) -> ModelsAnswer:
    """It answers the same requests and nobody sees it. `none` ends it."""
    return await _followed(request, lambda service: service.registry.shadow("" if version == "none" else known(service, version), who(request).name))


@delete("/models/{version:str}", summary="Delete a version", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer})
async def remove(request: Asking, version: FromPath[str]) -> ModelsAnswer:
    """Deletes a version that neither answers nor is the one to roll back to."""
    service: Service = request.app.state.service
    await service.long(lambda: service.registry.remove(known(service, version)))
    return await _models(request)


async def _followed(request: Asking, work: Callable[[Service], Any]) -> ModelsAnswer:
    """Do what changes which version answers or is in the shadow, and follow it at once in this process."""
    service: Service = request.app.state.service
    await tried(service, lambda: work(service))
    await service.long(service.follow)
    return await _models(request)


async def tried(service: Service, work: Callable[[], Any]) -> None:
    """Do what may find that a bundle is no good. Raises Refusal (422) with every reason."""
    try:
        await service.long(work)
    except BundleError as error:
        raise Refusal(422, str(error), details={"reason": "bundle"}) from error


def known(service: Service, version: str) -> str:
    """The version, where there is one. Raises Refusal (404)."""
    name = plain(version, "version")
    if name not in {each.name for each in service.registry.versions()}:
        raise Refusal(404, f"There is no version {name!r}.", details={"version": name})
    return name


async def _models(request: Asking) -> ModelsAnswer:
    service: Service = request.app.state.service

    def run() -> tuple[list[Version], Any, list[Changed]]:
        return service.registry.versions(), service.registry.layout()[1], list(service.registry.changes())[-100:]

    versions, layout, changes = await service.write(run)
    answer = ModelsAnswer(
        active=layout.active,
        versions=[_shown(each, layout) for each in reversed(versions)],
        changes=[changed(each) for each in reversed(changes)],
    )
    return answered(request, answer, *service.versions())


def _shown(version: Version, layout: Any) -> ModelOut:
    added = moment(version.added)
    facts = {"digest": version.digest, "edition": version.edition, "names": list(version.names), "milliseconds": version.milliseconds}
    return ModelOut(
        version=version.name, added=added, active=version.name == layout.active, shadow=version.name == layout.shadow, note=version.note, facts=facts
    )


ROUTES = Router("/v1", route_handlers=[models, add_model, promote, roll_back, check, shadow, remove], tags=["admin"])

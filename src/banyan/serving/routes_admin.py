"""Routes for the store's team: the value model, versions, experiments, training, freshness, limits, the service at a glance."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from litestar import Router, delete, get, post, put
from litestar.params import FromPath, QueryParameter

from banyan.errors import BundleError
from banyan.serving import messages, office, splits
from banyan.serving.feedback import Exploration
from banyan.serving.messages import ChangeOut, HistoryAnswer, LimitsAnswer, ModelOut, ModelsAnswer, TrainingAnswer, ValueAnswer, ValueOut
from banyan.serving.reading import SMALL, Asking, Role, answered, plain, read, who
from banyan.serving.refusals import Refusal
from banyan.serving.registry import Version
from banyan.serving.runs import runs
from banyan.serving.service import Service
from banyan.serving.settings import Changed
from banyan.serving.wire import moment

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MOST = [{"name": "most", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}}]


# --- the value model


@get("/value", summary="The value model of every scenario", guards=[Role("answers")], opt={"answer": ValueAnswer})
async def values(request: Asking) -> ValueAnswer:
    """The expressions in force, and the names that one may use."""
    return await _values(request)


@put(
    "/value",
    summary="Change the value model",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    opt={"body": messages.ValueBody, "answer": ValueAnswer, "refuses": (409,)},
)
async def change_value(request: Asking) -> ValueAnswer:
    """The expression that holds wherever a scenario has none of its own. Every worker adopts it within a second."""
    return await _change(request, "")


@put(
    "/value/{scenario:str}",
    summary="Change the value model of a scenario",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    opt={"body": messages.ValueBody, "answer": ValueAnswer, "refuses": (409,)},
)
async def change_scenario(request: Asking, scenario: FromPath[str]) -> ValueAnswer:
    """The expression of one scenario. Every worker adopts it within a second."""
    return await _change(request, plain(scenario, "scenario"))


@delete(
    "/value/{scenario:str}",
    summary="Drop a scenario's own value model",
    guards=[Role("admin")],
    status_code=200,
    opt={"answer": ValueAnswer, "refuses": (409,)},
)
async def drop_scenario(request: Asking, scenario: FromPath[str]) -> ValueAnswer:
    """From now on what holds elsewhere holds there too."""
    service: Service = request.app.state.service
    scenario = plain(scenario, "scenario")

    def run() -> int:
        version, texts = service.journal.setting("value")
        if scenario not in (texts or {}):
            raise Refusal(404, f"The scenario {scenario!r} has no value model of its own.", details={"scenario": scenario})
        return int(service.live.set_value({name: text for name, text in texts.items() if name != scenario}, who(request).name, version))

    await service.write(run)
    await service.write(service.follow)
    return await _values(request)


@get("/value/history", summary="Who changed the value model, and when", guards=[Role("admin")], opt={"answer": HistoryAnswer, "query": MOST})
async def value_history(request: Asking, most: Annotated[int, QueryParameter(ge=1, le=1000)] = 100) -> HistoryAnswer:
    """The changes, newest first."""
    return await _history(request, "value", most)


@post(
    "/value/preview",
    summary="What an expression would change",
    guards=[Role("admin")],
    request_max_body_size=SMALL,
    status_code=200,
    opt={"body": messages.PreviewBody, "answer": messages.PreviewAnswer},
)
async def preview(request: Asking) -> messages.PreviewAnswer:
    """The lists of some users, or of those who asked last, before and after."""
    body = await read(request, messages.PreviewBody)
    service: Service = request.app.state.service
    found = await service.long(lambda: office.preview(service, body))
    return answered(request, found, *service.versions())


# --- versions


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
    await _tried(service, lambda: service.registry.add(path, body.note))
    return await _models(request)


@post("/models/{version:str}/promote", summary="Let a version answer", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer, "refuses": (409,)})
async def promote(request: Asking, version: FromPath[str]) -> ModelsAnswer:
    """Tries the version on recorded requests, then lets it answer. One that fails is refused, with every reason, and the old one stays."""
    service: Service = request.app.state.service
    await _tried(service, lambda: service.registry.promote(_known(service, version), who(request).name))
    await service.long(service.follow)
    return await _models(request)


@post(
    "/models/roll_back", summary="Let the version before answer again", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer, "refuses": (409,)}
)
async def roll_back(request: Asking) -> ModelsAnswer:
    """The version that answered before the active one."""
    service: Service = request.app.state.service
    await _tried(service, lambda: service.registry.roll_back(who(request).name))
    await service.long(service.follow)
    return await _models(request)


@post("/models/{version:str}/check", summary="Try a version", guards=[Role("admin")], status_code=200, opt={"answer": messages.CheckAnswer})
async def check(request: Asking, version: FromPath[str]) -> messages.CheckAnswer:
    """Replays recorded requests on it, and changes nothing."""
    service: Service = request.app.state.service
    found = await service.long(lambda: service.registry.check(_known(service, version)))
    figures = {"milliseconds": float(found.milliseconds), "requests": float(found.asked)}
    answer = messages.CheckAnswer(version=version, passed=found.fine, findings=list(found.reasons), figures=figures)
    return answered(request, answer, *service.versions())


@post(
    "/models/{version:str}/shadow", summary="Score a version unseen", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer, "refuses": (409,)}
)
async def shadow(request: Asking, version: FromPath[str]) -> ModelsAnswer:
    """It answers the same requests and nobody sees it. `none` ends it."""
    service: Service = request.app.state.service
    name = "" if version == "none" else _known(service, version)
    await _tried(service, lambda: service.registry.shadow(name, who(request).name))
    await service.long(service.follow)
    return await _models(request)


@delete("/models/{version:str}", summary="Delete a version", guards=[Role("admin")], status_code=200, opt={"answer": ModelsAnswer})
async def remove(request: Asking, version: FromPath[str]) -> ModelsAnswer:
    """Deletes a version that neither answers nor is the one to roll back to."""
    service: Service = request.app.state.service
    await service.long(lambda: service.registry.remove(_known(service, version)))
    return await _models(request)


# --- experiments


@get("/experiments", summary="Experiments and what they have shown", guards=[Role("admin")], opt={"answer": messages.ExperimentsAnswer})
async def experiments(request: Asking) -> messages.ExperimentsAnswer:
    """The running experiment and those before, with a sequential test that may be looked at at any time."""
    service: Service = request.app.state.service
    found = await service.long(lambda: office.experiments(service))
    return answered(request, messages.ExperimentsAnswer(experiments=found), *service.versions())


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
    version = _known(service, body.version)
    await _tried(service, lambda: office.begin(service, msgspec.structs.replace(body, version=version), who(request).name))
    await service.long(service.follow)
    return await experiments.fn(request)  # type: ignore[no-any-return]


@post("/experiments/stop", summary="End the experiment", guards=[Role("admin")], status_code=200, opt={"answer": messages.ExperimentsAnswer, "refuses": (409,)})
async def stop(request: Asking) -> messages.ExperimentsAnswer:
    """The active version answers everybody again; what was seen is kept."""
    service: Service = request.app.state.service
    await service.long(lambda: splits.end(service.journal, service.registry, who(request).name))
    await service.long(service.follow)
    return await experiments.fn(request)  # type: ignore[no-any-return]


# --- the service


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
    return answered(request, await service.long(lambda: office.freshness(service)), *service.versions())


@get("/overview", summary="The service at a glance", guards=[Role("admin")], opt={"answer": messages.OverviewAnswer})
async def overview(request: Asking) -> messages.OverviewAnswer:
    """Traffic and latency by route, events, cache, alarms."""
    service: Service = request.app.state.service
    return answered(request, await service.write(lambda: office.overview(service)), *service.versions())


@get("/limits", summary="How much keys may ask", guards=[Role("admin")], opt={"answer": LimitsAnswer})
async def limits(request: Asking) -> LimitsAnswer:
    """The limits of roles, and of keys that have their own."""
    service: Service = request.app.state.service
    return answered(request, LimitsAnswer(version=service.limits_version, limits=dict(service.limits)), *service.versions())


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
    return await limits.fn(request)  # type: ignore[no-any-return]


@get("/exploration", summary="How much is left to chance", guards=[Role("admin")], opt={"answer": messages.ExplorationAnswer})
async def exploration(request: Asking) -> messages.ExplorationAnswer:
    """On which share of the requests which slot of the list is drawn at random."""
    service: Service = request.app.state.service
    version, value = await service.write(lambda: service.journal.setting("exploration"))
    return answered(request, messages.ExplorationAnswer(version=version, **(value or {})), *service.versions())


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
    return await exploration.fn(request)  # type: ignore[no-any-return]


def changed(each: Changed) -> ChangeOut:
    """A change in the wire's words."""
    return ChangeOut(version=each.version, at=moment(each.at), who=each.who, before=each.before, after=each.after)


async def _tried(service: Service, work: Callable[[], Any]) -> None:
    """Do what may find that a bundle is no good. Raises Refusal (422) with every reason."""
    try:
        await service.long(work)
    except BundleError as error:
        raise Refusal(422, str(error), details={"reason": "bundle"}) from error


def _known(service: Service, version: str) -> str:
    """The version, where there is one. Raises Refusal (404)."""
    name = plain(version, "version")
    if name not in {each.name for each in service.registry.versions()}:
        raise Refusal(404, f"There is no version {name!r}.", details={"version": name})
    return name


async def _values(request: Asking) -> ValueAnswer:
    service: Service = request.app.state.service
    (version, texts), (names, _) = (
        await service.write(lambda: service.journal.setting("value")),
        await service.answer(lambda serving: list(serving.engine.names)),
    )
    found = [ValueOut(scenario=scenario, expression=text) for scenario, text in (texts or {}).items()]
    return answered(request, ValueAnswer(version=version, values=found, names=names), *service.versions())


async def _change(request: Asking, scenario: FromPath[str]) -> ValueAnswer:
    body = await read(request, messages.ValueBody)
    service: Service = request.app.state.service

    def run() -> int:
        version, texts = service.journal.setting("value")
        return int(service.live.set_value((texts or {}) | {scenario: body.expression}, who(request).name, version if body.expected is None else body.expected))

    await service.write(run)
    await service.write(service.follow)
    return await _values(request)


async def _history(request: Asking, name: str, most: int) -> HistoryAnswer:
    service: Service = request.app.state.service
    found = await service.write(lambda: service.journal.changes(name, most))
    return answered(request, HistoryAnswer(name=name, changes=[changed(each) for each in reversed(found)]), *service.versions())


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


ROUTES = Router(
    "/v1",
    route_handlers=[
        values, change_value, change_scenario, drop_scenario, value_history, preview, models, add_model, promote, roll_back, check, shadow, remove,
        experiments, begin, stop, training, freshness, overview, limits, change_limits, exploration, change_exploration,
    ],
    tags=["admin"],
)  # fmt: skip

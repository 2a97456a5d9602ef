"""Routes of the value model: what holds, who changed it, what another would change."""

from typing import Annotated

from litestar import Router, delete, get, post, put
from litestar.params import FromPath, QueryParameter

from banyan.serving import messages, office
from banyan.serving.messages import HistoryAnswer, ValueAnswer, ValueOut
from banyan.serving.reading import SMALL, Asking, Role, answered, plain, read, who
from banyan.serving.refusals import Refusal
from banyan.serving.service import Service
from banyan.serving.wire import changed

MOST = [{"name": "most", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}}]


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
    service: Service = request.app.state.service
    found = await service.write(lambda: service.journal.changes("value", most))
    return answered(request, HistoryAnswer(name="value", changes=[changed(each) for each in reversed(found)]), *service.versions())


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


ROUTES = Router("/v1", route_handlers=[values, change_value, change_scenario, drop_scenario, value_history, preview], tags=["admin"])

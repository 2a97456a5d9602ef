"""Routes that take what happened, show it and forget it."""

import time as clock
from typing import Annotated

from litestar import Router, delete, get, post
from litestar.params import FromPath, QueryParameter

from banyan.serving import messages
from banyan.serving.reading import LARGE, Asking, Role, answered, plain, read
from banyan.serving.service import Service
from banyan.serving.wire import event, shown


@post(
    "/events",
    summary="Tell what happened: one event or many",
    description="Acknowledged once the events are on disk. An id that was told before is counted as a duplicate and changes nothing.",
    guards=[Role("events")],
    request_max_body_size=LARGE,
    status_code=200,
    opt={"body": messages.EventsBody, "answer": messages.EventsTaken},
)
async def take(request: Asking) -> messages.EventsTaken:
    """Take events."""
    body = await read(request, messages.EventsBody)
    service: Service = request.app.state.service
    now = int(clock.time() * 1_000_000)
    receipt = await service.take([event(each, now, place, service.clocked) for place, each in enumerate(body.events)])
    return answered(
        request,
        messages.EventsTaken(accepted=receipt.accepted, duplicates=receipt.duplicates, last=receipt.last, forgotten=receipt.forgotten),
        *service.versions(),
    )


@get(
    "/users/{user:str}/events",
    summary="A user's newest events",
    guards=[Role("answers")],
    opt={"answer": messages.UserEvents},
)
async def of_user(request: Asking, user: FromPath[str], most: Annotated[int, QueryParameter(ge=1, le=1000)] = 100) -> messages.UserEvents:
    """The newest events that were told of a user, in the order of time."""
    service: Service = request.app.state.service
    user = plain(user, "user")
    found = await service.write(lambda: service.journal.of_user(user, most))
    return answered(request, messages.UserEvents(user=user, events=[shown(each, service.clocked) for each in found]), *service.versions())


@delete(
    "/users/{user:str}",
    summary="Forget a user",
    description="Deletes the user's events, state, recorded requests and experiment logs, and rewrites every kept bundle that knows the user. Takes a while.",
    guards=[Role("admin")],
    status_code=200,
    opt={"answer": messages.UserForgotten},
)
async def forget(request: Asking, user: FromPath[str]) -> messages.UserForgotten:
    """Forget a user."""
    service: Service = request.app.state.service
    user = plain(user, "user")
    gone = await service.long(lambda: service.forget(user))
    await service.long(service.follow)
    return answered(request, messages.UserForgotten(user=user, forgotten=gone), *service.versions())


ROUTES = Router("/v1", route_handlers=[take, of_user, forget], tags=["events"])

"""Routes that answer: recommend, search, rank, similar, predict, forecast, offers, explain, a user's profile."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from litestar import Router, get, post
from litestar.params import FromPath

from banyan.serving import messages
from banyan.serving.asking import Ask, Ranked
from banyan.serving.feedback import Exploration, explore, note_of
from banyan.serving.messages import ItemsAnswer
from banyan.serving.reading import LARGE, SMALL, Asking, Role, answered, plain, read
from banyan.serving.refusals import Refusal
from banyan.serving.service import Made, Service
from banyan.serving.wire import ask, items, placed, recorded

TABLES = 2_097_152  # bytes of a body with rows


@post(
    "/recommend",
    summary="Items for a user, a session or a basket",
    guards=[Role("answers")],
    request_max_body_size=SMALL,
    status_code=200,
    opt={"body": messages.RecommendBody, "answer": ItemsAnswer},
)
async def recommend(request: Asking) -> ItemsAnswer:
    """Items, best first, by the value model of the scenario."""
    body = await read(request, messages.RecommendBody)
    return await _ranked(request, "recommend", body, ask(body), lambda serving, asked: serving.engine.recommend(asked, serving.value))


@post(
    "/search",
    summary="Items for words, for a picture, or for both",
    guards=[Role("answers")],
    request_max_body_size=LARGE,
    status_code=200,
    opt={"body": messages.SearchBody, "answer": ItemsAnswer},
)
async def search(request: Asking) -> ItemsAnswer:
    """Items for words or a picture, best first; what the user did before counts too. `searched` says how they were found, in which step."""
    body = await read(request, messages.SearchBody)
    if not (body.query or "").strip() and not body.picture:
        raise Refusal(422, "A search needs a query with a word in it, or a picture.", details={"at": "$.query"})
    asked = ask(body, query=body.query or "")
    return await _ranked(request, "search", body, asked, lambda serving, asked: serving.engine.search(asked, serving.value))


@post(
    "/rank",
    summary="Order the caller's own items",
    guards=[Role("answers")],
    request_max_body_size=4 * SMALL,
    status_code=200,
    opt={"body": messages.RankBody, "answer": ItemsAnswer},
)
async def rank(request: Asking) -> ItemsAnswer:
    """The caller's own candidates, best first."""
    body = await read(request, messages.RankBody)
    asked = ask(body, query=body.query, items=tuple(body.items))
    return await _ranked(request, "rank", body, asked, lambda serving, asked: serving.engine.rank(asked, serving.value))


@post(
    "/similar",
    summary="Items like one item",
    guards=[Role("answers")],
    request_max_body_size=SMALL,
    status_code=200,
    opt={"body": messages.SimilarBody, "answer": ItemsAnswer},
)
async def similar(request: Asking) -> ItemsAnswer:
    """Items of the same taste, bought together, or with words in common."""
    body = await read(request, messages.SimilarBody)
    service: Service = request.app.state.service
    found, made = await service.answer(lambda serving: serving.engine.similar(body.item, body.k, body.by))
    return answered(request, items(found), made.version, made.value_version)


@post(
    "/predict",
    summary="Answers of the tasks for rows",
    guards=[Role("answers")],
    request_max_body_size=TABLES,
    status_code=200,
    opt={"body": messages.PredictBody, "answer": messages.PredictAnswer},
)
async def predict(request: Asking) -> messages.PredictAnswer:
    """The answers of a samples table's tasks, each in its own unit."""
    body = await read(request, messages.PredictBody)
    service: Service = request.app.state.service
    found, made = await service.answer(lambda serving: serving.engine.predict(body.table, body.rows, body.tasks))
    return answered(request, messages.PredictAnswer(table=body.table, rows=found), made.version, made.value_version)


@post(
    "/forecast",
    summary="What series will bring",
    guards=[Role("answers")],
    request_max_body_size=TABLES,
    status_code=200,
    opt={"body": messages.ForecastBody, "answer": messages.ForecastAnswer},
)
async def forecast(request: Asking) -> messages.ForecastAnswer:
    """The periods ahead of series, where the bundle has a task of counts. Rows bring the past of each series: a bundle does not keep it."""
    body = await read(request, messages.ForecastBody)
    service: Service = request.app.state.service
    (table, found), made = await service.answer(lambda serving: serving.engine.forecast(body.table, body.rows))
    series = [messages.Ahead(keys=keys, answers=answers) for keys, answers in found]
    return answered(request, messages.ForecastAnswer(table=table, series=series), made.version, made.value_version)


@post(
    "/offers",
    summary="Who should get which offer",
    guards=[Role("answers")],
    request_max_body_size=TABLES,
    status_code=200,
    opt={"body": messages.OffersBody, "answer": messages.OffersAnswer},
)
async def offers(request: Asking) -> messages.OffersAnswer:
    """The rows of a campaign that are worth their offer most, where the bundle has such a task."""
    body = await read(request, messages.OffersBody)
    service: Service = request.app.state.service
    (table, found), made = await service.answer(lambda serving: serving.engine.offers(body.table, body.rows, body.k))
    best = [messages.Offered(place=place, score=score, answers=answers) for place, score, answers in found]
    return answered(request, messages.OffersAnswer(table=table, offers=best), made.version, made.value_version)


@post(
    "/explain",
    summary="What moved an item's score",
    guards=[Role("answers")],
    request_max_body_size=SMALL,
    status_code=200,
    opt={"body": messages.ExplainBody, "answer": messages.ExplainAnswer},
)
async def explain(request: Asking) -> messages.ExplainAnswer:
    """The parts of an item's score for a user, largest first."""
    body = await read(request, messages.ExplainBody)
    service: Service = request.app.state.service
    asked = Ask(user=body.user, session=body.session, basket=tuple(body.basket), scenario=body.scenario, query=body.query, items=(body.item,), explain=True)
    found, made = await service.answer(lambda serving: serving.engine.explain(asked, serving.value), body.user, body.session, body.scenario)
    one = placed(found)
    answer = messages.ExplainAnswer(user=body.user, item=one.item, score=one.score, answers=one.answers, why=one.why)
    return answered(request, answer, made.version, made.value_version)


@get("/users/{user:str}/profile", summary="What is known and guessed of a user", guards=[Role("answers")], opt={"answer": messages.ProfileAnswer})
async def profile(request: Asking, user: FromPath[str]) -> messages.ProfileAnswer:
    """A user's features, the tasks' answers about it, and what its past holds."""
    service: Service = request.app.state.service
    user = plain(user, "user")
    found, made = await service.answer(lambda serving: serving.engine.profile(user), user)
    return answered(request, msgspec.convert(found, messages.ProfileAnswer, from_attributes=True), made.version, made.value_version)


async def _ranked(request: Asking, method: str, body: messages.RecommendBody, asked: Ask, work: Callable[[Any, Ask], Ranked]) -> ItemsAnswer:
    service: Service = request.app.state.service

    def run(serving: Any) -> Ranked:
        chance = Exploration.of(serving.exploration) if method == "recommend" else None
        ranked = work(serving, asked if chance is None else replace(asked, k=max(asked.k, chance.top)))
        if chance is not None:
            ranked = _explored(request, service, serving, asked, ranked, chance)
        service.live.shadow(asked, ranked, serving)
        return ranked

    found, made = await service.answer(run, asked.user, asked.session, asked.scenario)
    for source, count in found.sources.items():
        service.metrics.add("banyan_candidates_total", count, source=source)
    _record(request, service, method, body, found, made)
    return answered(request, items(found, asked.scenario, made.arm), made.version, made.value_version)


def _explored(request: Asking, service: Service, serving: Any, asked: Ask, ranked: Ranked, chance: Exploration) -> Ranked:
    """The first k items, on a share of the requests with one slot drawn; a draw is kept with every number that a value model may read."""
    found: Ranked = explore(ranked, chance, asked.k, np.random.default_rng())
    if found.explored is not None:
        known = {each.item: each.answers for each in ranked.items}
        drawn = found.explored.items
        answers = {name: [known[item].get(name) for item in drawn] for name in serving.engine.names if not name.startswith("item.")}
        columns = answers | dict(serving.engine.numbers(drawn))
        state: Any = request.scope["state"]
        now = time.time_ns() // 1000
        about = {"version": serving.version, "value_version": serving.value_version, "scenario": asked.scenario}
        service.draws.put(note_of(state["request_id"], asked.user, asked.session, now, found.explored, columns, **about))
    return found


def _record(request: Asking, service: Service, method: str, body: messages.RecommendBody, found: Ranked, made: Made) -> None:
    state: Any = request.scope["state"]
    shown = {"items": [each.item for each in found.items[:50]], "model": made.version, "value": made.value_version, "arm": made.arm}
    service.record(recorded(state["request_id"], method, body, shown, int(time.time() * 1e6)))


ROUTES = Router("/v1", route_handlers=[recommend, search, rank, similar, predict, forecast, offers, explain, profile], tags=["answers"])

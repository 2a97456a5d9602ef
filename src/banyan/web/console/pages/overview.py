"""The service at a glance: what is wrong, what answers, traffic and latency, how fresh the model is, what has drifted. It renews itself."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from banyan.serving.messages import FreshnessAnswer, LatencyOut, OverviewAnswer
from banyan.serving.messages_console import MinuteOut
from banyan.web.cards import tag
from banyan.web.console import calls, plots
from banyan.web.console.aging import aging
from banyan.web.console.desk import Desk, number
from banyan.web.console.panels import figures, nothing, panel, table, trouble

EVERY = 10.0  # seconds between looks
MINUTES = 180
LINES = 6  # routes that have a line of their own
ASIDE = ("pages", "unrouted", "GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/overview", "GET /v1/freshness", "GET /v1/traffic")  # no shop's traffic


async def page(desk: Desk) -> None:
    """Build the page."""
    top = tag("div", "")
    with panel(desk.words("overview.traffic")):
        charts = tag("div", "charts")
    drawn: dict[str, Any] = {}
    bottom, oldness = tag("div", ""), tag("div", "")

    async def fill() -> None:
        seen, fresh, traffic = await asyncio.gather(desk.ask(calls.OVERVIEW), desk.ask(calls.FRESHNESS), desk.ask(calls.traffic(MINUTES)))
        top.clear()
        with top:
            if seen.answer is None:
                trouble(seen.trouble)
                return
            _alarms(desk, [*seen.answer.alarms, *_old(desk, fresh.answer)])
            _glance(desk, seen.answer, fresh.answer)
        _plots(desk, charts, drawn, traffic.answer.minutes if traffic.answer else [])
        bottom.clear()
        with bottom:
            _routes(desk, seen.answer.requests)
        _aging(desk, oldness, drawn, fresh.answer)

    await fill()
    ui.timer(EVERY, fill, immediate=False)


def _alarms(desk: Desk, alarms: Sequence[str]) -> None:
    if not alarms:
        tag("p", "fine", desk.words("overview.fine"))
        return
    with panel(desk.words("overview.alarms"), "alarms", role="alert"), tag("ul", ""):
        for each in alarms:
            tag("li", "", each)


def _old(desk: Desk, fresh: FreshnessAnswer | None) -> list[str]:
    """What is wrong with the model's age."""
    if fresh is None:
        return []
    drifted = [each.feature for each in fresh.drift.features if each.alarm] if fresh.drift is not None else []
    failed = fresh.schedule.failed if fresh.schedule is not None else ""
    said = [desk.words("drift.alarm", features=", ".join(drifted))] if drifted else []
    return said + ([desk.words("again.failed", why=failed)] if failed else [])


def _glance(desk: Desk, seen: OverviewAnswer, fresh: FreshnessAnswer | None) -> None:
    words = desk.words
    asked = sum(each.count for route, each in seen.requests.items() if route not in ASIDE)
    failed = sum(each.errors for route, each in seen.requests.items() if route not in ASIDE)
    age = desk.span(fresh.age_seconds) if fresh is not None and fresh.age_seconds is not None else "–"
    figures(
        [
            (words("overview.model"), seen.model or "–", words("overview.value", version=seen.value)),
            (words("overview.age"), age, words("overview.waiting", count=number(fresh.waiting)) if fresh is not None else ""),
            (words("overview.requests"), number(asked), words("overview.failed", count=number(failed))),
            (words("overview.events"), number(seen.events), words("overview.last", last=number(fresh.last_event)) if fresh is not None else ""),
            (words("overview.up"), desk.span(seen.up_seconds), words("overview.workers", count=seen.workers)),
        ]
    )


def _plots(desk: Desk, place: ui.element, drawn: dict[str, Any], minutes: Sequence[MinuteOut]) -> None:
    routes = _busiest(minutes)
    if not routes:
        if not drawn:
            place.clear()
            with place:
                nothing(desk.words("overview.no.traffic"), desk.words("overview.no.traffic.hint"))
        return
    x = [each.at[11:16] for each in minutes]
    counts = {short(route): [_of(each, route, "count") or 0 for each in minutes] for route in routes}
    late = {short(route): [_of(each, route, "p99_ms") for each in minutes] for route in routes}
    if drawn.get("routes") != routes:
        drawn["routes"] = routes
        place.clear()
        with place:
            drawn["counts"] = plots.lines(desk.words, desk.words("overview.per.minute"), x, counts, stacked=True)
            drawn["late"] = plots.lines(desk.words, desk.words("overview.late"), x, late, unit="ms")
        return
    for key, series in (("counts", counts), ("late", late)):
        drawn[key].options.clear()
        drawn[key].options.update(plots.line_options(x, series, stacked=key == "counts"))
        drawn[key].update()


def _busiest(minutes: Sequence[MinuteOut]) -> list[str]:
    total: dict[str, int] = {}
    for each in minutes:
        for route, spell in each.routes.items():
            if route not in ASIDE:
                total[route] = total.get(route, 0) + spell.count
    return sorted(sorted(total, key=lambda route: -total[route])[:LINES])


def _of(minute: MinuteOut, route: str, what: str) -> float | int | None:
    spell = minute.routes.get(route)
    return None if spell is None else round(getattr(spell, what), 2)


def short(route: str) -> str:
    """A route without what all of them have."""
    method, _, path = route.partition(" ")
    return route if not path.startswith("/v1/") else path.removeprefix("/v1/") if method == "POST" else f"{method} {path.removeprefix('/v1/')}"


def _routes(desk: Desk, requests: Mapping[str, LatencyOut]) -> None:
    rows = [
        [short(route), number(each.count), number(each.errors), number(each.p50_ms), number(each.p99_ms)]
        for route, each in sorted(requests.items(), key=lambda pair: -pair[1].count)
        if each.count
    ]
    with panel(desk.words("overview.routes")):
        if not rows:
            nothing(desk.words("overview.no.traffic"))
            return
        heads = [desk.words(f"overview.{key}") for key in ("route", "count", "errors", "p50", "p99")]
        table(heads, rows, desk.words("overview.routes"), numbers=range(1, 5))


def _aging(desk: Desk, place: ui.element, drawn: dict[str, Any], fresh: FreshnessAnswer | None) -> None:
    """Drawn again only when something about it is new."""
    told = None if fresh is None else (fresh.drift, fresh.measuring, fresh.calibration, fresh.schedule, fresh.retrained)
    if fresh is None or drawn.get("aging") == told:
        return
    drawn["aging"] = told
    place.clear()
    with place:
        aging(desk, fresh)

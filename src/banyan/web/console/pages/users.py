"""A user's view: what they did, what is known and guessed of them, what they would be shown, and why."""

import asyncio
from collections import Counter
from functools import partial
from urllib.parse import urlencode

from banyan.serving import messages as m
from banyan.web.cards import tag
from banyan.web.console import calls, plots
from banyan.web.console.desk import Desk, number
from banyan.web.console.lists import item_link, ranked, reasons
from banyan.web.console.pages import address
from banyan.web.console.pages.items import shown
from banyan.web.console.panels import figures, look_up, nothing, panel, table, trouble
from banyan.web.looks import readable

EVENTS, SHOWN, K = 1000, 100, 10
TASTES, VALUES, BEHAVIOURS = 4, 8, 8


async def page(desk: Desk) -> None:
    """Build the page."""
    user, item, scenario, query = (desk.query.get(name, "").strip()[:200] for name in ("user", "item", "scenario", "q"))
    look_up(desk, desk.words("users.id"), "user", user, desk.words("users.hint"))
    if not user:
        nothing(desk.words("users.none"))
        return
    if item:
        await _explained(desk, user, item, scenario, query)
    listed = calls.question("recommend", m.RecommendBody, m.ItemsAnswer, user=user, scenario=scenario, k=K, explain=True)
    profile, events, list_ = await asyncio.gather(desk.ask(calls.profile(user)), desk.ask(calls.events(user, EVENTS)), desk.ask(listed))
    with tag("div", "two even"):
        with panel(desk.words("users.profile")):
            _profile(desk, profile.answer) if profile.answer else trouble(profile.trouble)
        with panel(desk.words("users.events")):
            await _events(desk, events.answer) if events.answer else trouble(events.trouble)
    with panel(desk.words("users.shown")):
        if list_.answer is None:
            trouble(list_.trouble)
        elif not list_.answer.items:
            nothing(desk.words("search.nothing"))
        else:
            names = await desk.names([each.item for each in list_.answer.items] + [why.item for each in list_.answer.items for why in each.why if why.item])
            ranked(desk, list_.answer.items, names, desk.words("users.shown"), explain=f"{address('users')}?{urlencode({'user': user, 'scenario': scenario})}&")


async def _explained(desk: Desk, user: str, item: str, scenario: str, query: str) -> None:
    told = await desk.ask(calls.question("explain", m.ExplainBody, m.ExplainAnswer, user=user, item=item, scenario=scenario, query=query))
    names = await desk.names([item] + [each.item for each in (told.answer.why if told.answer else []) if each.item])
    with panel(desk.words("users.why", item=names.get(item, item)), id="why"):
        if told.answer is None:
            trouble(told.trouble)
            return
        tag("p", "", desk.words("users.score", score=number(told.answer.score)))
        reasons(desk, told.answer.why, names)
        tag("p", "note", desk.words("users.why.hint"))
        table(
            [desk.words("answers"), desk.words("value")],
            [[name, number(value)] for name, value in told.answer.answers.items()],
            desk.words("answers"),
            numbers=(1,),
        )


def _profile(desk: Desk, found: m.ProfileAnswer) -> None:
    words = desk.words
    figures([(words("users.id"), found.user, words("users.known" if found.known else "users.stranger")), (words("users.read"), number(found.events), "")])
    if found.features:
        table([words("feature"), words("value")], [[name, shown(value)] for name, value in found.features.items()], words("users.features"))
    for trait in found.traits:
        _trait(desk, trait)
    for name, values in list(found.tastes.items())[:TASTES]:
        if values:
            tag("h3", "", words("users.taste", feature=readable(name)))
            plots.bars(name, {readable(value): 100 * share for value, share in sorted(values.items(), key=lambda pair: -pair[1])[:VALUES]}, unit=" %")
    if not (found.features or found.traits or found.tastes):
        nothing(words("users.nothing"))


def _trait(desk: Desk, trait: m.TraitOut) -> None:
    words = desk.words
    tag("h3", "", words("users.trait", task=readable(trait.task)))
    if trait.shares:
        plots.bars(trait.task, {readable(each.name): 100 * each.probability for each in trait.shares[:VALUES]}, unit=" %")
    for name, amount in trait.amounts.items():
        tag("p", "", f"{name}: {number(amount)}")
    if trait.missing:
        tag("p", "note", words("users.missing", names=", ".join(trait.missing)))


async def _events(desk: Desk, found: m.UserEvents) -> None:
    words = desk.words
    if not found.events:
        nothing(words("users.no.events"))
        return
    days = _days(found.events)
    if days:
        plots.lines(words, words("users.days"), *days, height=180)
    newest = list(reversed(found.events))[:SHOWN]
    names = await desk.names({each.item for each in newest if each.item})
    rows = [
        [
            desk.when(each.time) if isinstance(each.time, str) else str(each.time), readable(each.behaviour),
            (partial(item_link, each.item, names.get(each.item, each.item))) if each.item else each.query or "–", readable(each.scenario) or "–",
            number(each.value),
        ]
        for each in newest
    ]  # fmt: skip
    heads = [words("at"), words("users.behaviour"), words("item"), words("scenario"), words("value")]
    table(heads, rows, words("users.events"), numbers=(4,), most=SHOWN)
    if len(found.events) > SHOWN:
        tag("p", "note", words("users.more", shown=number(SHOWN), count=number(len(found.events))))


def _days(events: list[m.EventOut]) -> tuple[list[str], dict[str, list[int]]] | None:
    """Events by day and behaviour; None where events have no times, or all are of one day."""
    told = [(each.time[:10], each.behaviour) for each in events if isinstance(each.time, str)]
    days = sorted({day for day, _ in told})
    if len(days) < 2:
        return None
    counts = Counter(told)
    kinds = [kind for kind, _ in Counter(kind for _, kind in told).most_common(BEHAVIOURS)]
    return days, {readable(kind): [counts[day, kind] for day in days] for kind in kinds}

"""Between the wire's words and those of the engine and the journal."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from banyan.serving import messages
from banyan.serving.asking import Ask, Filters, Placed, Ranked
from banyan.serving.messages import Drawn, ItemsAnswer, PlacedItem, Reason, RecommendBody, SearchBody, Searched
from banyan.serving.refusals import Refusal
from banyan.serving.settings import Changed
from banyan.serving.state import Asked, Event

EPOCH, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def ask(body: RecommendBody, query: str = "", items: tuple[str, ...] | None = None) -> Ask:
    """The engine's words for a request."""
    kept = body.filters
    filters = Filters(
        equal={name: tuple(values) for name, values in kept.equal.items()}, least=kept.least, most=kept.most, leave_out=tuple(kept.leave_out),
        items_out=tuple(kept.items_out),
    )  # fmt: skip
    asked = Ask(
        user=body.user, session=body.session, basket=tuple(body.basket), scenario=body.scenario, k=body.k, query=query, items=items, filters=filters,
        diversity=body.diversity, explain=body.explain,
    )  # fmt: skip
    return replace(asked, picture=body.picture, popular=body.popular) if isinstance(body, SearchBody) else asked


def recorded(request_id: str, method: str, body: RecommendBody, shown: dict[str, Any], time: int) -> Asked:
    """A request as it is kept, without what it left at its default, and without a picture: that is nobody's but the asker's."""
    kept = {key: value for key, value in msgspec.to_builtins(body).items() if value and key != "picture"}
    return Asked(request_id, body.user, body.session, time, method, kept, shown)


def again(asked: Asked) -> Ask:
    """The engine's question of a request that was kept."""
    kind = {"search": SearchBody, "rank": messages.RankBody}.get(asked.method, RecommendBody)
    body = msgspec.convert(asked.request, kind)
    items = asked.request.get("items")
    return ask(body, str(asked.request.get("query") or ""), None if items is None else tuple(items))


def items(found: Ranked, scenario: str = "", variant: str = "") -> ItemsAnswer:
    """The wire's words for the engine's answer."""
    drawn = found.explored
    explored = None if drawn is None else Drawn(slot=drawn.slot, item=drawn.item, probability=drawn.probability)
    facets = {name: dict(counts) for name, counts in found.facets.items()}
    return ItemsAnswer(
        items=[placed(each) for each in found.items], sources=dict(found.sources), facets=facets, explored=explored, scenario=scenario, variant=variant,
        searched=None if found.searched is None else msgspec.convert(found.searched, Searched, from_attributes=True),
    )  # fmt: skip


def placed(one: Placed) -> PlacedItem:
    """One item in the wire's words."""
    why = [Reason(kind=each.kind, weight=each.weight, item=each.item, detail=each.detail) for each in one.why]
    return PlacedItem(item=one.item, score=one.score, answers=dict(one.answers), sources=list(one.sources), why=why, parts=dict(one.parts))


def event(told: messages.EventIn, now: int, place: int, clocked: bool) -> Event:
    """The event as it is kept; `now` is its time where it has none. Raises Refusal (422) with the field's place."""
    at = f"$.events[{place}]"
    if not told.user and not told.session:
        raise Refusal(422, "An event has a user, or a session.", details={"at": at})
    return Event(
        id=told.id, user=told.user, item=told.item, behaviour=told.behaviour, time=_moment(told.time, now, f"{at}.time", clocked), scenario=told.scenario,
        value=None if told.value is None else float(told.value), session=told.session, query=told.query,
    )  # fmt: skip


def _moment(told: datetime | int | None, now: int, at: str, clocked: bool) -> int:
    if told is None:
        return now
    if isinstance(told, int):
        return told
    if not clocked:
        raise Refusal(422, "The events of this store have an order, a whole number, and no time.", details={"at": at})
    if told.tzinfo is None:
        raise Refusal(422, "A time needs its zone: 2026-03-01T10:00:00Z.", details={"at": at})
    if not EPOCH <= told < LATEST:
        raise Refusal(422, "A time lies between 1970 and 2200.", details={"at": at})
    since = told - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def shown(event: Event, clocked: bool) -> messages.EventOut:
    """The event as it is shown."""
    fields: dict[str, Any] = {name: getattr(event, name) for name in ("id", "user", "behaviour", "item", "scenario", "value", "session", "query")}
    return messages.EventOut(time=moment(event.time) if clocked and event.time < 7e15 else event.time, **fields)


def moment(microseconds: int) -> str:
    """ISO 8601 in UTC."""
    found = datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
    return found.isoformat().replace("+00:00", "Z")


def changed(each: Changed) -> messages.ChangeOut:
    """A change of a setting in the wire's words."""
    return messages.ChangeOut(version=each.version, at=moment(each.at), who=each.who, before=each.before, after=each.after)

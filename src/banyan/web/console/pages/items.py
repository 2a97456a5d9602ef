"""An item's view: what it has, how often it was met, and its neighbours by taste, by being met together, by words and by content."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from banyan.serving import messages as m
from banyan.web.cards import tag
from banyan.web.console import calls
from banyan.web.console.desk import UNKNOWN, Desk, Told, number
from banyan.web.console.lists import item_link
from banyan.web.console.pages import address
from banyan.web.console.panels import Cell, figures, look_up, nothing, panel, table, trouble
from banyan.web.looks import readable

WAYS = ("taste", "together", "words", "content")
NEAR, PAGE, COLUMNS = 10, 30, 5
LETTERS = 400  # of a feature's text


async def page(desk: Desk) -> None:
    """Build the page."""
    item = desk.query.get("item", "").strip()
    look_up(desk, desk.words("items.id"), "item", item)
    if not item:
        await _browse(desk)
        return
    told = await desk.ask(calls.item(item))
    if told.answer is None:
        (nothing if told.status == UNKNOWN else trouble)(desk.words("items.unknown", item=item) if told.status == UNKNOWN else told.trouble)
        return
    near = await asyncio.gather(*(desk.ask(calls.question("similar", m.SimilarBody, m.ItemsAnswer, item=item, k=NEAR, by=way)) for way in WAYS))
    _item(desk, told.answer)
    await _near(desk, item, dict(zip(WAYS, near, strict=True)))


def _item(desk: Desk, found: m.ItemAnswer) -> None:
    words = desk.words
    with panel(desk.store.looks.name(found.item, found.features)):
        figures(
            [
                (words("items.id"), found.item, ""),
                *((words("items.events") if name == "events" else readable(name), number(count), "") for name, count in found.popularity.items()),
            ]
        )
        rows = [[name, shown(value)] for name, value in found.features.items()]
        if rows:
            table([words("feature"), words("value")], rows, words("items.features"))
        else:
            nothing(words("items.no.features"))


def shown(value: Any) -> str:
    """A feature's value as text."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else number(value) if isinstance(value, float) else str(value) if value is not None else "–"
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"


async def _near(desk: Desk, item: str, near: Mapping[str, Told[m.ItemsAnswer]]) -> None:
    names = await desk.names({each.item for told in near.values() if told.answer for each in told.answer.items})
    with panel(desk.words("items.near")), tag("div", "columns"):
        for way, told in near.items():
            with tag("section", "", aria_label=desk.words(f"items.{way}")):
                tag("h3", "", desk.words(f"items.{way}"))
                tag("p", "note", desk.words(f"items.{way}.hint"))
                others = [each for each in told.answer.items if each.item != item] if told.answer else []
                if told.answer is None:
                    trouble(told.trouble)
                elif not others:
                    nothing(desk.words("items.alone"))
                with tag("ol", "ranks"):
                    for each in others:
                        with tag("li", ""):
                            item_link(each.item, names.get(each.item, each.item))
                            tag("small", "", number(each.score))


async def _browse(desk: Desk) -> None:
    """The items that are met most, a page at a time."""
    words, cursor = desk.words, desk.query.get("cursor", "")
    told = await desk.ask(calls.items(count=PAGE, order="popular", **({"cursor": cursor} if cursor.isdigit() else {})))
    with panel(words("items.popular")):
        if told.answer is None:
            trouble(told.trouble)
            return
        if not told.answer.items:
            nothing(words("items.none"))
            return
        tag("p", "note", words("items.count", count=number(told.answer.total)))
        looks = desk.store.looks
        columns = [name for name in dict.fromkeys(key for each in told.answer.items for key in each.features) if name not in (looks.title, looks.picture)][
            :COLUMNS
        ]
        rows: list[list[Cell]] = [
            [partial(item_link, each.item, looks.name(each.item, each.features)), *(shown(each.features.get(name)) for name in columns)]
            for each in told.answer.items
        ]
        table([words("item"), *columns], rows, words("items.popular"))
        if told.answer.next:
            tag("a", "button quiet", words("more"), href=f"{address('items')}?{urlencode({'cursor': told.answer.next})}")

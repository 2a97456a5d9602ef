"""An item as people see it: a card, a tile where there is no picture, a row of cards. Every text is set as text: nothing of a catalogue is read as HTML."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from banyan.web.arrival import Visit
from banyan.web.gateway import Offer, Shelf
from banyan.web.looks import hue, initials, readable


def tag(name: str, classes: str = "", text: str = "", /, **props: Any) -> TextElement:
    """An element of HTML with a text. `aria_label` becomes `aria-label`."""
    found = TextElement(tag=name, text=text)
    if classes:
        found.classes(classes)
    for key, value in props.items():
        found.props[key.strip("_").replace("_", "-")] = value
    return found


def address(item: str) -> str:
    """The page of an item."""
    return f"/item?id={quote(item, safe='')}"


def money(visit: Visit, features: Mapping[str, Any]) -> str:
    """An item's price as text; empty where there is none."""
    cost = visit.store.looks.cost(features)
    return "" if cost is None else f"{cost:,.2f}"


def picture(visit: Visit, offer: Offer, name: str, *, alone: bool = False) -> None:
    """The item's picture, or a tile of its initials on its category's colour. Beside the item's name it says nothing new, so it has no alt text there."""
    looks = visit.store.looks
    if found := looks.image(offer.features):
        tag("img", "picture", src=found, alt=name if alone else "", loading="eager" if alone else "lazy", decoding="async", referrerpolicy="no-referrer")
        return
    group = looks.group(offer.features)
    tile = tag("div", "tile", aria_hidden="true").style(f"--hue: {hue(group or name)}")
    with tile:
        tag("span", "", initials(name))
        if group:
            tag("small", "", readable(group))


def card(visit: Visit, offer: Offer, names: Mapping[str, str]) -> Callable[[], None]:
    """One item in a row or a grid. What is returned is to be called when the cart changed."""
    name = visit.store.looks.name(offer.item, offer.features)
    with tag("li", "card"):
        with tag("a", "open", href=address(offer.item)):
            picture(visit, offer, name)
            tag("span", "name", name)
        if price := money(visit, offer.features):
            tag("span", "price", price)
        if why := visit.because(offer, names):
            tag("span", "why", why)
        return putting(visit, offer.item, name)


def putting(visit: Visit, item: str, name: str, classes: str = "put") -> Callable[[], None]:
    """The button that puts an item in the cart. What is returned is to be called when the cart changed: then the button says whether the item is there."""
    button = tag("button", classes, visit.words("add"), type="button", aria_label=visit.words("add.item", name=name))

    def told() -> None:
        there = item in visit.visitor.cart
        button.text = visit.words("in.cart" if there else "add")
        button.props["aria-label"] = f"{visit.words('in.cart')}: {name}" if there else visit.words("add.item", name=name)
        button.props["aria-disabled"] = "true" if there else "false"
        button.classes(add="there" if there else "", remove="" if there else "there")
        button.update()

    async def put() -> None:
        await visit.put(item, name)

    button.on("click", put)
    told()
    return told


def grid(visit: Visit, shelf: Shelf, names: Mapping[str, str], place: str) -> None:
    """The items of a shelf, or why there are none. `place` names the part of the page whose items these are from now on."""
    visit.carted[place] = []
    if shelf.failed:
        tag("p", "note", visit.words("away"))
        return
    with tag("ul", "grid", role="list"):
        visit.carted[place] = [card(visit, offer, names) for offer in shelf.offers]


async def row(visit: Visit, name: str, title: str, ask: Callable[[], Awaitable[Shelf]], first: Shelf | None = None) -> None:
    """A titled row of items; what it may `ask` is asked again when the visitor did something. Empty rows are not shown."""
    section = tag("section", "shelf", aria_label=title, data_shelf=name)
    with section:
        tag("h2", "", title)
        body = tag("div", "")

    async def fill(given: Shelf | None = None) -> None:
        shelf = given or await ask()
        names = await visit.known(shelf)
        section.set_visibility(bool(shelf.offers) or shelf.failed)
        body.clear()
        with body:
            grid(visit, shelf, names, name)

    await fill(first)
    visit.redo.append(fill)


async def fixed(visit: Visit, name: str, title: str, shelf: Shelf) -> None:
    """A titled row of items that stays as it is. Not shown where it is empty."""
    if not shelf.offers:
        return
    names = await visit.known(shelf)
    with tag("section", "shelf", aria_label=title, data_shelf=name):
        tag("h2", "", title)
        grid(visit, shelf, names, name)


def choice(text: str, href: str, *, chosen: bool = False, count: int | None = None, label: str = "") -> None:
    """A link that narrows or widens what is shown."""
    with tag("a", "choice" + (" chosen" if chosen else ""), href=href) as link:
        tag("span", "", text)
        if count is not None:
            tag("small", "", f"{count:,}")
        if chosen:
            tag("span", "", "×", aria_hidden="true")
    if chosen:
        link.props["aria-current"] = "true"
    if label:
        link.props["aria-label"] = label


def stylesheet() -> None:
    """The pages' own look."""
    ui.add_head_html('<link rel="stylesheet" href="/guide-files/guide.css">')

"""What surrounds every page: landmarks, the search as one types, the cart's count, the languages, who one is. Knows no page's content."""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

from nicegui import ui
from nicegui.events import GenericEventArguments

from banyan.web.arrival import Visit
from banyan.web.cards import grid, stylesheet, tag
from banyan.web.gateway import Shelf
from banyan.web.looks import readable
from banyan.web.words import LANGUAGES

PAUSE = 250  # milliseconds without a letter before the store is asked
QUERY = 200  # letters
FOUND = 24  # items
ASK = "(event) => {{ clearTimeout(window.asking); const text = event.target.value; window.asking = setTimeout(() => emit(text), {pause}) }}"
TAG = {"en": "en", "zh": "zh-CN"}


@contextmanager
def framed(visit: Visit, title: str, query: str = "") -> Iterator[None]:
    """A page: what is made inside becomes its main part."""
    shop = readable(visit.store.name) or visit.words("guide")
    ui.page_title(f"{title} · {shop}" if title else shop)
    ui.add_head_html(f"<script>document.documentElement.lang = {json.dumps(TAG[visit.words.language])}</script>")
    stylesheet()
    layout = ui.context.client.layout
    with layout:
        header = tag("header", "top")
        header.move(target_index=0)
        footer = tag("footer", "bottom")
    with tag("div", "page", id="main", tabindex="-1"):
        said = tag("p", "said", role="status", aria_live="polite")
        visit.say = said.set_text
        found = tag("section", "found", aria_label=visit.words("search"))
        found.set_visibility(False)
        content = tag("div", "content")
    with header:
        tag("a", "skip", visit.words("skip"), href="#main")
        tag("a", "brand", shop, href="/")
        search = _search(visit, query)
        _links(visit)
    search.on("input", _finder(visit, found, content), js_handler=ASK.format(pause=PAUSE))
    with footer:
        tag("p", "", visit.words("footer"))
    with content:
        yield


def _search(visit: Visit, query: str) -> ui.element:
    with tag("form", "search", action="/search", method="get", role="search"):
        box = tag("input", "", type="search", name="q", value=query, maxlength=QUERY, autocomplete="off", enterkeyhint="search",
                  placeholder=visit.words("search.hint"), aria_label=visit.words("search"))  # fmt: skip
        tag("button", "", visit.words("search.go"), type="submit")
    return box


def _links(visit: Visit) -> None:
    with tag("nav", "links", aria_label=visit.words("menu")):
        tag("a", "", visit.words("browse"), href="/browse")
        with tag("a", "cart", href="/cart") as link:
            tag("span", "", visit.words("cart"))
            count = tag("b", "count", aria_hidden="true")

        def told() -> None:
            held = len(visit.visitor.cart)
            count.text = str(held)
            count.set_visibility(held > 0)
            link.props["aria-label"] = visit.words("cart.count", count=held)
            link.update()

        told()
        visit.carted["count"] = [told]
        for language, name in LANGUAGES.items():
            if language != visit.words.language:
                tag("a", "language", name, href=f"/language/{language}?to={quote(visit.here, safe='')}", lang=TAG[language], hreflang=TAG[language])
        if visit.signing:
            _who(visit)


def _who(visit: Visit) -> None:
    with tag("details", "who"):
        tag("summary", "", visit.visitor.user or visit.words("guest"))
        with tag("form", "", action="/session", method="post"):
            tag("input", "", type="hidden", name="to", value=visit.here)
            if visit.visitor.user:
                tag("button", "", visit.words("sign.out"), type="submit")
                return
            with tag("label", ""):
                tag("span", "", visit.words("sign.as"))
                tag("input", "", name="user", maxlength=200, autocomplete="off", required="required")
            tag("button", "", visit.words("sign.in"), type="submit")
            tag("small", "", visit.words("sign.hint"))


def _finder(visit: Visit, found: ui.element, content: ui.element) -> Callable[[GenericEventArguments], Awaitable[None]]:
    """Shows what is found for the letters typed so far; an answer that a later one overtook is dropped."""
    turn = [0]

    async def find(event: GenericEventArguments) -> None:
        query = event.args.strip()[:QUERY] if isinstance(event.args, str) else ""
        turn[0] += 1
        mine = turn[0]
        if not query:
            found.set_visibility(False)
            content.set_visibility(True)
            visit.say("")
            return
        shelf = await visit.gateway.shelf(visit.gateway.client.search(query, **visit.ask, k=FOUND))
        names = await visit.known(shelf)
        if mine != turn[0]:
            return
        visit.say(results(visit, query, shelf) if not shelf.failed else visit.words("away"))
        found.clear()
        with found:
            tag("h2", "", visit.words("search.title", query=query))
            grid(visit, shelf, names, "found")
        found.set_visibility(not shelf.failed)
        content.set_visibility(shelf.failed)

    return find


def failed(text: str) -> Callable[[], None]:
    """A page for what no part of a page could answer: it says so, and nothing of the inside."""

    def show() -> None:
        stylesheet()
        with tag("div", "nothing"):
            tag("p", "", text)
            tag("a", "button", "Banyan", href="/")

    return show


HOW = {"any": "search.any", "synonyms": "search.synonyms", "vectors": "search.vectors"}  # a step that needs a word -> its sentence


def results(visit: Visit, query: str, shelf: Shelf) -> str:
    """How many items were found, and where that was not by the words as they were typed, how."""
    told, step = shelf.searched, shelf.searched.step if shelf.searched is not None else ""
    if not shelf.offers:
        return visit.words("search.none", query=query)
    if step == "popular":
        return visit.words("search.popular", query=query)
    answered = told.query if told is not None and told.query else query
    said = [visit.words("search.count", count=f"{shelf.total:,}", query=answered)]
    if told is not None and answered.casefold() != query.casefold():
        said.append(visit.words("search.mended", query=answered, asked=query))
    if step in HOW:
        said.append(visit.words(HOW[step]))
    return " ".join(said)

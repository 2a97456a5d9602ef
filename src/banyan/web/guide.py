"""The shopping guide's pages: home, browsing by category, search, an item, the cart. `open_guide` puts them in place."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlencode

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app, ui

from banyan.web.arrival import Visit, arrive
from banyan.web.cards import address, choice, fixed, grid, money, picture, putting, row, tag
from banyan.web.frame import QUERY, failed, framed, results
from banyan.web.gateway import Gateway, Offer, Shelf
from banyan.web.looks import readable
from banyan.web.visitor import LANGUAGE, LETTERS, USER, YEAR, inward, named
from banyan.web.words import LANGUAGES, words

PATIENCE = 30.0  # seconds that a page may take
CHOICES = 24  # values of a facet that are shown
FORM = 8192  # bytes of a form
CONDITIONS = 8  # filters at a time


def open_guide(gateway: Gateway, *, signing: bool = True) -> None:
    """Put the pages in place; `signing` allows a visitor to see the shop as any user."""
    app.on_page_exception(failed(" ".join(words(language)("away") for language in LANGUAGES)))

    @ui.page("/", response_timeout=PATIENCE)
    async def home(request: Request) -> None:
        await _home(await arrive(gateway, request, signing=signing))

    @ui.page("/browse", response_timeout=PATIENCE)
    async def browse(request: Request, cursor: str = "") -> None:
        where = [each for each in request.query_params.getlist("where") if ":" in each][:CONDITIONS]
        await _browse(await arrive(gateway, request, signing=signing), where, cursor[:20])

    @ui.page("/search", response_timeout=PATIENCE)
    async def search(request: Request, q: str = "") -> None:
        where = [each for each in request.query_params.getlist("where") if ":" in each][:CONDITIONS]
        await _search(await arrive(gateway, request, signing=signing), q.strip()[:QUERY], where)

    @ui.page("/item", response_timeout=PATIENCE)
    async def item(request: Request, id: str = "") -> None:
        await _item(await arrive(gateway, request, signing=signing), id[:LETTERS])

    @ui.page("/cart", response_timeout=PATIENCE)
    async def cart(request: Request) -> None:
        await _cart(await arrive(gateway, request, signing=signing))

    @app.get("/language/{language}")
    async def speak(request: Request, language: str, to: str = "/") -> Response:
        return _kept(request, LANGUAGE, language if language in LANGUAGES else "", to)

    if signing:

        @app.post("/session")
        async def sign(request: Request) -> Response:
            if not _own(request) or int(request.headers.get("content-length") or FORM + 1) > FORM:
                return Response(status_code=403)
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=8)
            user = form.get("user", [""])[0].strip()
            return _kept(request, USER, quote(user, safe="") if named(user) else "", form.get("to", ["/"])[0])


def _own(request: Request) -> bool:
    """Whether a form was sent by these pages and not by others'."""
    told = request.headers.get("origin", "")
    return told.partition("://")[2] == request.headers.get("host", "") if told and told != "null" else request.headers.get("sec-fetch-site") == "same-origin"


def _kept(request: Request, name: str, value: str, to: str) -> Response:
    answer = RedirectResponse(inward(to), status_code=303)
    secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    if value:
        answer.set_cookie(name, value, max_age=YEAR, path="/", httponly=True, samesite="lax", secure=secure)
    else:
        answer.delete_cookie(name, path="/")
    return answer


async def _home(visit: Visit) -> None:
    mine, popular = await asyncio.gather(visit.recommended(), visit.gateway.page(count=12))
    with framed(visit, ""):
        tag("h1", "unseen", visit.words("guide"))
        if popular.failed and mine.failed:
            _nothing(visit, visit.words("away"), again=True)
            return
        if not popular.offers and not mine.offers:
            _nothing(visit, visit.words("empty"), visit.words("empty.hint"))
            return
        _scenarios(visit)
        await row(visit, "mine", visit.words("for.you"), visit.recommended, mine)
        _departments(visit, popular.facets)
        await _seen(visit)
        await fixed(visit, "popular", visit.words("popular"), popular)


def _nothing(visit: Visit, text: str, hint: str = "", *, again: bool = False) -> None:
    with tag("div", "nothing"):
        tag("p", "", text)
        if hint:
            tag("p", "note", hint)
        if again:
            tag("a", "button", visit.words("again"), href=visit.here)


def _scenarios(visit: Visit) -> None:
    if len(visit.store.scenarios) < 2:
        return
    with tag("nav", "choices", aria_label=visit.words("scenario")):
        tag("span", "note", visit.words("scenario"))
        for each in visit.store.scenarios[:CHOICES]:
            with tag("a", "choice" + (" chosen" if each == visit.scenario else ""), href=f"/?{urlencode({'scenario': each})}") as link:
                tag("span", "", readable(each))
            if each == visit.scenario:
                link.props["aria-current"] = "true"


def _departments(visit: Visit, facets: Mapping[str, Mapping[str, int]]) -> None:
    name = visit.store.looks.category
    if not facets.get(name):
        return
    title = visit.words("categories", name=readable(name) if visit.words.language != "en" else readable(name).lower())
    with tag("section", "shelf", aria_label=title):
        tag("h2", "", title)
        with tag("div", "choices"):
            for value, count in list(facets[name].items())[:CHOICES]:
                choice(readable(value), _browsing([f"{name}:{value}"]), count=count)


async def _seen(visit: Visit) -> None:
    if visit.visitor.seen:
        known = await visit.gateway.names(visit.visitor.seen)
        offers = tuple(Offer(item, features) for item, features in known.items() if features)
        await fixed(visit, "seen", visit.words("seen"), Shelf(offers, total=len(offers)))


def _browsing(where: Sequence[str], cursor: str = "") -> str:
    pairs = [("where", each) for each in where] + ([("cursor", cursor)] if cursor else [])
    return f"/browse?{urlencode(pairs)}" if pairs else "/browse"


async def _browse(visit: Visit, where: list[str], cursor: str) -> None:
    equal = _equal(visit, where)
    shelf = await visit.gateway.page(where, cursor)
    mine = await visit.recommended(6, equal=equal) if equal and not cursor and shelf.total > 6 else Shelf()
    title = ", ".join(readable(each.partition(":")[2]) for each in where) or visit.words("browse")
    with framed(visit, title):
        tag("h1", "", title)
        tag("p", "note", visit.words("items", count=f"{shelf.total:,}"))
        with tag("div", "two"):
            _facets(visit, shelf, where)
            with tag("div", "wide"):
                if mine.offers:

                    async def here() -> Shelf:
                        return await visit.recommended(6, equal=equal)

                    await row(visit, "here", visit.words("for.you.here"), here, mine)
                if not shelf.offers and not shelf.failed:
                    _nothing(visit, visit.words("empty"))
                grid(visit, shelf, {}, "page")
                with tag("p", "pager"):
                    if cursor:
                        tag("a", "button quiet", visit.words("first"), href=_browsing(where))
                    if shelf.next:
                        tag("a", "button", visit.words("more"), href=_browsing(where, shelf.next))


def _equal(visit: Visit, where: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in where:
        name, _, value = each.partition(":")
        if name in visit.store.looks.filtered:
            found.setdefault(name, []).append(value)
    return found


def _searching(query: str) -> Callable[[Sequence[str]], str]:
    return lambda where: f"/search?{urlencode([('q', query), *(('where', each) for each in where)])}"


def _facets(visit: Visit, shelf: Shelf, where: Sequence[str], to: Callable[[Sequence[str]], str] = _browsing) -> None:
    with tag("aside", "facets", aria_label=visit.words("filters")):
        if where:
            with tag("div", "choices"):
                for each in where:
                    value = readable(each.partition(":")[2])
                    choice(value, to([w for w in where if w != each]), chosen=True, label=visit.words("filter.off", name=value))
                tag("a", "clear", visit.words("filters.clear"), href=to([]))
        first = visit.store.looks.category
        for name, counts in sorted(shelf.facets.items(), key=lambda each: each[0] != first):
            left = {value: count for value, count in counts.items() if f"{name}:{value}" not in where}
            if not left or (len(counts) < 2 and not where):
                continue
            with tag("details", "facet", **({"open": True} if name == first else {})):
                tag("summary", "", readable(name))
                with tag("div", "choices"):
                    for value, count in list(left.items())[:CHOICES]:
                        choice(readable(value), to([*where, f"{name}:{value}"]), count=count)


async def _search(visit: Visit, query: str, where: list[str]) -> None:
    filters = {"equal": _equal(visit, where)}
    asked = visit.gateway.shelf(visit.gateway.client.search(query, **visit.ask, k=48, explain=True, filters=filters)) if query else None
    shelf = await asked if asked else Shelf()
    names = await visit.known(shelf)
    with framed(visit, query or visit.words("search"), query):
        tag("h1", "", visit.words("search.title", query=query) if query else visit.words("search"))
        if query and not shelf.failed:
            tag("p", "note", results(visit, query, shelf))
        with tag("div", "two"):
            _facets(visit, _filtering(visit, shelf), where, _searching(query))
            with tag("div", "wide"):
                grid(visit, shelf, names, "page")


def _filtering(visit: Visit, shelf: Shelf) -> Shelf:
    """The shelf with the facets that the pages filter by."""
    return replace(shelf, facets={name: counts for name, counts in shelf.facets.items() if name in visit.store.looks.filtered})


async def _item(visit: Visit, item: str) -> None:
    known = await visit.gateway.names([item]) if item else {}
    features = known.get(item, {})
    if not features and not visit.gateway.remembers(item):
        with framed(visit, visit.words("unknown.item")):
            tag("h1", "", visit.words("unknown.item"))
            await row(visit, "mine", visit.words("for.you"), visit.recommended)
        return
    name = visit.store.looks.name(item, features)
    client = visit.gateway.client
    await visit.did(visit.store.deeds.view, item)

    async def mine() -> Shelf:
        return await visit.recommended(out=(item,))

    similar, together, own = await asyncio.gather(
        visit.gateway.shelf(client.similar(item, k=13, by="taste")), visit.gateway.shelf(client.similar(item, k=7, by="together")), mine()
    )
    with framed(visit, name):
        visit.looked(item)
        _product(visit, Offer(item, features), name)
        await fixed(visit, "together", visit.words("goes.with"), together.without(item))
        await fixed(visit, "similar", visit.words("similar"), similar.without(item))
        await row(visit, "mine", visit.words("for.you"), mine, own)


def _product(visit: Visit, offer: Offer, name: str) -> None:
    looks = visit.store.looks
    with tag("article", "product"):
        picture(visit, offer, name, alone=True)
        with tag("div", "about"):
            if group := looks.group(offer.features):
                tag("a", "group", readable(group), href=_browsing([f"{looks.category}:{group}"]))
            tag("h1", "", name)
            if price := money(visit, offer.features):
                tag("p", "price", price, aria_label=f"{visit.words('price')}: {price}")
            with tag("div", "buttons"):
                visit.carted["product"] = [putting(visit, offer.item, name, "button")]
                buy = tag("button", "button quiet", visit.words("buy"), type="button")

                async def bought() -> None:
                    if await visit.did(visit.store.deeds.buy, offer.item):
                        visit.say(visit.words("bought"))
                        await visit.again()
                    else:
                        visit.say(visit.words("away"))

                buy.on("click", bought)
            with tag("dl", "details", aria_label=visit.words("details")):
                for key, text in looks.details(offer.features):
                    tag("dt", "", key)
                    tag("dd", "", text)


async def _cart(visit: Visit) -> None:
    known = await visit.gateway.names(visit.visitor.cart)

    async def fits() -> Shelf:
        return await visit.recommended() if visit.visitor.cart else Shelf()

    first = await fits()
    with framed(visit, visit.words("cart")):
        tag("h1", "", visit.words("cart"))
        body = tag("div", "")

        def show() -> None:
            body.clear()
            with body:
                _lines(visit, known, show)

        show()
        await row(visit, "mine", visit.words("goes.with.cart"), fits, first)

        async def added() -> None:
            known.update(await visit.gateway.names(visit.visitor.cart))
            show()

        visit.redo.append(added)


def _lines(visit: Visit, known: Mapping[str, Mapping[str, object]], show: Callable[[], None]) -> None:
    if not visit.visitor.cart:
        _nothing(visit, visit.words("cart.empty"))
        tag("a", "button quiet", visit.words("cart.add.more"), href="/browse")
        return
    with tag("ul", "lines", role="list"):
        for item in visit.visitor.cart:
            _line(visit, Offer(item, known.get(item, {})), show)
    costs = [visit.store.looks.cost(known.get(item, {})) for item in visit.visitor.cart]
    told = [cost for cost in costs if cost is not None]
    if told and len(told) == len(costs):
        tag("p", "total", f"{visit.words('total')}: {sum(told):,.2f}")

    async def bought() -> None:
        if not await visit.did(visit.store.deeds.buy, *visit.visitor.cart):
            visit.say(visit.words("away"))
            return
        visit.hold(())
        visit.say(visit.words("bought"))
        show()
        await visit.again()

    tag("button", "button", visit.words("check.out"), type="button").on("click", bought)


def _line(visit: Visit, offer: Offer, show: Callable[[], None]) -> None:
    name = visit.store.looks.name(offer.item, offer.features)

    async def remove() -> None:
        visit.hold(tuple(each for each in visit.visitor.cart if each != offer.item))
        visit.say(visit.words("removed", name=name))
        show()
        await visit.again()

    with tag("li", "line"):
        with tag("a", "open", href=address(offer.item)):
            picture(visit, offer, name)
            tag("span", "name", name)
        tag("span", "price", money(visit, offer.features))
        tag("button", "button quiet", visit.words("remove"), type="button", aria_label=visit.words("remove.item", name=name)).on("click", remove)

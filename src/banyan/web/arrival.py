"""A visit: who asks for a page, in which language, of which store, and why an item is shown in words."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Request
from nicegui import ui

from banyan.web.gateway import Gateway, Offer, Shelf, Store, quietly
from banyan.web.looks import Deeds, Looks
from banyan.web.visitor import CART, LANGUAGE, RECENT, SEEN, Visitor, keeping, listing
from banyan.web.words import Words, preferred, words

NOBODY = Store("", Looks(), Deeds(), ())  # while the service does not answer
SOURCES = ("words", "together", "history", "vectors", "taste", "popular")  # what says most first
PAST, LEAST = "past", 0.0


@dataclass
class Visit:
    """One open page. `redo` are the parts of it that what the visitor does changes."""

    gateway: Gateway
    store: Store
    visitor: Visitor
    words: Words
    here: str
    scenario: str = ""
    signing: bool = True
    redo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    carted: dict[str, list[Callable[[], None]]] = field(default_factory=dict)  # part of the page -> what is to be told when the cart changed
    say: Callable[[str], object] = lambda text: None

    @property
    def ask(self) -> dict[str, Any]:
        """The fields that every question has."""
        return self.visitor.who | {"basket": list(self.visitor.cart), "scenario": self.scenario}

    async def recommended(self, k: int = 12, out: tuple[str, ...] = (), equal: Mapping[str, list[str]] | None = None) -> Shelf:
        """Items for the visitor."""
        filters = {"items_out": [*self.visitor.cart, *out], "equal": dict(equal or {})}
        return await self.gateway.shelf(self.gateway.client.recommend(**self.ask, k=k, filters=filters, explain=True))

    async def did(self, behaviour: str, *items: str) -> bool:
        """Tell the service what the visitor did."""
        return await self.gateway.tell(behaviour, items, scenario=self.scenario, **self.visitor.who)

    async def put(self, item: str, name: str) -> None:
        """Put an item in the cart, tell the service, and ask again for what that changes."""
        if item in self.visitor.cart:
            return
        if not self.hold((*self.visitor.cart, item)):
            self.say(self.words("cart.full"))
            return
        self.say(self.words("added", name=name))
        await self.did(self.store.deeds.cart, item)
        await self.again()

    def hold(self, cart: tuple[str, ...]) -> bool:
        """Keep a cart in the browser; whether it fits."""
        if (value := listing(cart)) is None:
            return False
        ui.run_javascript(keeping(CART, value))
        self.visitor = replace(self.visitor, cart=cart)
        for part in list(self.carted.values()):
            for told in part:
                told()
        return True

    def looked(self, item: str) -> None:
        """Remember in the browser that an item was looked at."""
        seen = tuple(dict.fromkeys((item, *self.visitor.seen)))[:RECENT]
        while (value := listing(seen)) is None:
            seen = seen[:-1]
        ui.run_javascript(keeping(SEEN, value))
        self.visitor = replace(self.visitor, seen=seen)

    async def again(self) -> None:
        """Ask again for the parts of the page that depend on what was done."""
        await asyncio.gather(*(each() for each in self.redo))

    async def known(self, shelf: Shelf) -> dict[str, str]:
        """What the items are called that speak for those of a shelf."""
        past = [reason.item for offer in shelf.offers for reason in offer.why[:8] if reason.kind == PAST and reason.item]
        return {item: self.store.looks.name(item, features) for item, features in (await self.gateway.names(past)).items()}

    def because(self, offer: Offer, names: Mapping[str, str]) -> str:
        """Why an item is shown, in words; empty where nothing can be said."""
        past = next((reason.item for reason in offer.why if reason.kind == PAST and reason.item), None)
        if past:
            key = "why.past.cart" if past in self.visitor.cart else "why.past.view" if past in self.visitor.seen else "why.past"
            return self.words(key, name=names.get(past, past))
        source = next((each for each in SOURCES if each in offer.sources), "")
        if source:
            return self.words(f"why.source.{source}")
        kind = next((reason.kind for reason in offer.why if reason.weight > LEAST and self.words.known(f"why.{reason.kind}")), "")
        return self.words(f"why.{kind}") if kind else ""


async def arrive(gateway: Gateway, request: Request, *, signing: bool) -> Visit:
    """The visit that a request begins."""
    store = await quietly(gateway.store()) or NOBODY
    language = preferred(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wished = request.query_params.get("scenario", "")
    scenario = wished if wished in store.scenarios else next((each for each in store.scenarios if "home" in each.lower()), "")
    return Visit(gateway, store, Visitor.of(request.cookies, signing=signing), words(language), here, scenario, signing)

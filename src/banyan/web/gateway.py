"""The service, asked with a small memory of its items. Knows HTTP's failures, and no page."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx
import msgspec

from banyan.client import AsyncClient, ServiceError
from banyan.errors import BanyanError
from banyan.serving.messages import BrowseAnswer, EventIn, ItemsAnswer, Reason, Searched, StoreAnswer
from banyan.web.looks import Deeds, Feature, Looks
from banyan.web.visitor import LETTERS

log = logging.getLogger("banyan.web")
KEPT = 20_000  # items whose features are remembered
FRESH = 300.0  # seconds that they, and the store's description, are believed
AT_ONCE = 16  # questions about items at a time

T = TypeVar("T")


@dataclass(frozen=True)
class Store:
    """What the pages need to know of a store."""

    name: str
    looks: Looks
    deeds: Deeds
    scenarios: tuple[str, ...]


@dataclass(frozen=True)
class Offer:
    """An item to show, and why it is shown."""

    item: str
    features: Mapping[str, Any]
    sources: tuple[str, ...] = ()
    why: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Shelf:
    """Items to show. `failed` says that the service could not answer; then there are none."""

    offers: tuple[Offer, ...] = ()
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    total: int = 0
    next: str = ""
    failed: bool = False
    searched: Searched | None = None  # how a search came to it

    def without(self, item: str) -> "Shelf":
        """The other items, as they are: with no word about why."""
        return replace(self, offers=tuple(Offer(each.item, each.features) for each in self.offers if each.item != item))


class Gateway:
    """The service as the pages ask it. What fails is a shelf that says so; the page around it still stands."""

    def __init__(self, client: AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self.client, self._clock = client, clock
        self._items: OrderedDict[str, tuple[float, Mapping[str, Any] | None]] = OrderedDict()
        self._store: tuple[float, Store] | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def store(self) -> Store | None:
        """The store; None while the service does not answer."""
        if self._store is not None and self._clock() - self._store[0] < FRESH:
            return self._store[1]
        answer = await quietly(self.client.store())
        if answer is None:
            return self._store[1] if self._store else None
        self._store = (self._clock(), described(answer))
        return self._store[1]

    async def features(self, item: str) -> Mapping[str, Any] | None:
        """An item's features; None for one that the store does not know. Raises what the client does."""
        if not self._fresh(item):
            await self._ask([item])
        self._items.move_to_end(item)
        return self._items[item][1]

    async def _ask(self, items: Sequence[str]) -> None:
        async with self._turn:
            found = await self.client.features(items)
        for item in items:
            self._remember(item, found.get(item))

    def _fresh(self, item: str) -> bool:
        return item in self._items and self._clock() - self._items[item][0] < FRESH

    def remembers(self, item: str) -> bool:
        """Whether the store was found to have this item, or could not be asked."""
        return item not in self._items or self._items[item][1] is not None

    def _remember(self, item: str, features: Mapping[str, Any] | None) -> None:
        self._items[item] = (self._clock(), features)
        self._items.move_to_end(item)
        while len(self._items) > KEPT:
            self._items.popitem(last=False)

    async def names(self, items: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The features of several items, asked for at once; nothing of those that are not known or could not be asked for."""
        distinct = list(dict.fromkeys(items))
        if missing := [each for each in distinct if 0 < len(each) <= LETTERS and not self._fresh(each)]:
            await quietly(self._ask(missing))
        return {item: (self._items[item][1] if self._fresh(item) else None) or {} for item in distinct}

    async def shelf(self, asked: Awaitable[ItemsAnswer]) -> Shelf:
        """An answer of the service with its items' features."""
        answer = await quietly(asked)
        if answer is None:
            return Shelf(failed=True)
        known = await self.names([each.item for each in answer.items])
        offers = tuple(Offer(each.item, known[each.item], tuple(each.sources), tuple(each.why)) for each in answer.items)
        total = answer.searched.total if answer.searched is not None else len(offers)
        return Shelf(offers, answer.facets, total, searched=answer.searched)

    async def page(self, where: Sequence[str] = (), cursor: str = "", count: int = 24) -> Shelf:
        """A page of items."""
        query = {"count": count, "facets": "true"} | ({"where": list(where)} if where else {}) | ({"cursor": cursor} if cursor else {})
        answer: BrowseAnswer | None = await quietly(self.client.items(**query))
        if answer is None:
            return Shelf(failed=True)
        for each in answer.items:
            self._remember(each.item, each.features)
        return Shelf(tuple(Offer(each.item, each.features) for each in answer.items), answer.facets, answer.total, answer.next or "")

    async def tell(self, behaviour: str, items: Sequence[str], **of: Any) -> bool:
        """What somebody did with items; whether it was taken down."""
        events = [EventIn(id=f"web-{secrets.token_hex(16)}", behaviour=behaviour, item=item, **of) for item in items]
        return bool(events) and await quietly(self.client.tell(*events)) is not None


def described(answer: StoreAnswer) -> Store:
    """The store in the pages' words."""
    features = {name: Feature(each.kind, tuple(each.values)) for name, each in answer.entities.get("item", {}).items()}
    return Store(answer.store, Looks.of(features), Deeds.of(answer.behaviours), tuple(answer.scenarios))


async def quietly(asked: Awaitable[T]) -> T | None:
    """The answer; None, and a line in the log, where the service gives none."""
    try:
        return await asked
    except ServiceError as error:
        log.warning("the service said no: %s (%s, request %s)", error, error.code, error.request_id)
    except (BanyanError, httpx.HTTPError, msgspec.MsgspecError, OSError) as error:
        log.warning("the service does not answer: %s: %s", type(error).__name__, error)
    return None

"""A small typed client of the service, in two forms that read the same: `Client` waits, `AsyncClient` is awaited.

```python
with Client("http://127.0.0.1:8000", "banyan_...") as shop:
    shop.tell(EventIn(id="e-1", user="u-17", item="i-4", behaviour="view"))
    for each in shop.recommend(user="u-17", k=10).items:
        print(each.item, each.score)
```

What may be sent twice is tried again when the service is busy or away: questions, and events, whose ids count once.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from banyan.errors import BanyanError
from banyan.serving import messages as m
from banyan.serving.messages import EventIn

A = TypeVar("A", bound=m.Answer)
AGAIN = (429, 502, 503, 504)  # statuses after which the same request may be sent again
BATCH = 1000  # events, or items, of one request


class ServiceError(BanyanError):
    """The service said no: `status`, `code` and `details` for programs, the sentence for people, `request_id` for its log."""

    def __init__(self, status: int, code: str, message: str, request_id: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        self.status, self.code, self.request_id, self.details = status, code, request_id, details


@dataclass(frozen=True)
class Call(Generic[A]):
    """One request and what its answer is read as."""

    method: str
    path: str
    kind: type[A]
    body: Any = None
    query: Any = None
    again: bool = True  # whether sending it twice does no harm


class _Words:
    """The service's addresses as calls."""

    @staticmethod
    def events(events: Sequence[EventIn]) -> Iterator[Call[m.EventsTaken]]:
        """Many events, a batch at a time."""
        for at in range(0, len(events), BATCH):
            yield Call("POST", "/v1/events", m.EventsTaken, m.EventsBody(events=list(events[at : at + BATCH])))

    @staticmethod
    def several(items: Sequence[str]) -> Iterator[Call[m.ItemsFound]]:
        """Items by their ids, a batch at a time."""
        for at in range(0, len(items), BATCH):
            yield Call("POST", "/v1/items", m.ItemsFound, m.ItemsBody(items=list(items[at : at + BATCH])))

    @staticmethod
    def ask(name: str, kind: type[m.Asked], answer: type[A], fields: dict[str, Any]) -> Call[A]:
        """A question; what is wrong with its fields is said before it is sent."""
        return Call("POST", f"/v1/{name}", answer, msgspec.convert(msgspec.to_builtins(fields), kind))

    @staticmethod
    def of_user(user: str, what: str, kind: type[A], **query: Any) -> Call[A]:
        """Something about a user."""
        return Call("GET", f"/v1/users/{quote(user, safe='')}{what}", kind, query=query or None)


def _request(call: Call[Any], key: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"} | ({"Content-Type": "application/json"} if call.body is not None else {})
    content = msgspec.json.encode(call.body) if call.body is not None else None
    return {"method": call.method, "url": call.path, "headers": headers, "content": content, "params": call.query}


def _read(answer: httpx.Response, kind: type[A]) -> A:
    if answer.is_success:
        return msgspec.json.decode(answer.content, type=kind)
    try:
        wrong = msgspec.json.decode(answer.content, type=m.Problem).error
    except msgspec.DecodeError as error:
        raise ServiceError(answer.status_code, "unknown", f"{answer.status_code} without words; is this the service?", "", {}) from error
    raise ServiceError(answer.status_code, wrong.code, wrong.message, wrong.request_id, wrong.details)


def _pause(answer: httpx.Response | None, turn: int) -> float:
    """Seconds before trying again: as the service says, else longer each time, and not in step with others."""
    told = answer.headers.get("retry-after", "") if answer is not None else ""
    return float(told) if told.isdigit() else 0.1 * 2**turn * (0.5 + random.random())


def _added(taken: Sequence[m.EventsTaken]) -> m.EventsTaken:
    last = taken[-1]
    return m.EventsTaken(
        request_id=last.request_id, model=last.model, value=last.value, accepted=sum(t.accepted for t in taken), duplicates=sum(t.duplicates for t in taken),
        last=last.last, forgotten=sum(t.forgotten for t in taken),
    )  # fmt: skip


def _found(answers: Sequence[m.ItemsFound]) -> dict[str, dict[str, Any]]:
    return {each.item: each.features for answer in answers for each in answer.items}


class Client:
    """Waits for each answer. Raises ServiceError where the service says no, httpx's errors where it does not answer."""

    def __init__(self, url: str, key: str, *, seconds: float = 10.0, tries: int = 3, transport: httpx.BaseTransport | None = None) -> None:
        """`seconds` for each answer, `tries` of a request that may be sent again."""
        self._key, self._tries = key, tries
        self._http = httpx.Client(base_url=url, timeout=seconds, transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def call(self, call: Call[A]) -> A:
        """One request, tried again where that does no harm."""
        for turn in range(self._tries):
            answer, last = None, turn + 1 >= self._tries or not call.again
            try:
                answer = self._http.request(**_request(call, self._key))
            except httpx.TransportError:
                if last:
                    raise
            if answer is not None and (last or answer.status_code not in AGAIN):
                return _read(answer, call.kind)
            time.sleep(_pause(answer, turn))
        raise AssertionError("a client tries at least once")

    def tell(self, *events: EventIn) -> m.EventsTaken:
        """Events, one or many; they are on disk when this returns."""
        return _added([self.call(each) for each in _Words.events(events)])

    def recommend(self, **fields: Any) -> m.ItemsAnswer:
        """Items for a user, a session or a basket; fields of `RecommendBody`."""
        return self.call(_Words.ask("recommend", m.RecommendBody, m.ItemsAnswer, fields))

    def search(self, query: str, **fields: Any) -> m.ItemsAnswer:
        """Items for words; fields of `SearchBody`."""
        return self.call(_Words.ask("search", m.SearchBody, m.ItemsAnswer, fields | {"query": query}))

    def rank(self, items: Sequence[str], **fields: Any) -> m.ItemsAnswer:
        """The caller's own items, best first; fields of `RankBody`."""
        return self.call(_Words.ask("rank", m.RankBody, m.ItemsAnswer, fields | {"items": list(items)}))

    def similar(self, item: str, **fields: Any) -> m.ItemsAnswer:
        """Items like one; fields of `SimilarBody`."""
        return self.call(_Words.ask("similar", m.SimilarBody, m.ItemsAnswer, fields | {"item": item}))

    def predict(self, table: str, rows: Sequence[dict[str, Any]], **fields: Any) -> m.PredictAnswer:
        """The tasks' answers for rows; fields of `PredictBody`."""
        return self.call(_Words.ask("predict", m.PredictBody, m.PredictAnswer, fields | {"table": table, "rows": list(rows)}))

    def forecast(self, rows: Sequence[dict[str, Any]], **fields: Any) -> m.ForecastAnswer:
        """The periods ahead of series; fields of `ForecastBody`."""
        return self.call(_Words.ask("forecast", m.ForecastBody, m.ForecastAnswer, fields | {"rows": list(rows)}))

    def offers(self, rows: Sequence[dict[str, Any]], **fields: Any) -> m.OffersAnswer:
        """The rows that are worth their offer most; fields of `OffersBody`."""
        return self.call(_Words.ask("offers", m.OffersBody, m.OffersAnswer, fields | {"rows": list(rows)}))

    def explain(self, item: str, **fields: Any) -> m.ExplainAnswer:
        """What moved an item's score; fields of `ExplainBody`."""
        return self.call(_Words.ask("explain", m.ExplainBody, m.ExplainAnswer, fields | {"item": item}))

    def profile(self, user: str) -> m.ProfileAnswer:
        """What is known and guessed of a user."""
        return self.call(_Words.of_user(user, "/profile", m.ProfileAnswer))

    def events(self, user: str, most: int = 100) -> m.UserEvents:
        """A user's newest events."""
        return self.call(_Words.of_user(user, "/events", m.UserEvents, most=most))

    def forget(self, user: str) -> m.UserForgotten:
        """Delete a user; needs an admin's key."""
        return self.call(Call("DELETE", f"/v1/users/{quote(user, safe='')}", m.UserForgotten))

    def item(self, item: str) -> m.ItemAnswer:
        """One item."""
        return self.call(Call("GET", f"/v1/items/{quote(item, safe='')}", m.ItemAnswer))

    def features(self, items: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The features of several items, without those that are not known."""
        return _found([self.call(each) for each in _Words.several(items)])

    def items(self, **query: Any) -> m.BrowseAnswer:
        """A page of items: `where`, `order`, `count`, `cursor`, `facets`."""
        return self.call(Call("GET", "/v1/items", m.BrowseAnswer, query=query))

    def store(self) -> m.StoreAnswer:
        """What the store is made of."""
        return self.call(Call("GET", "/v1/store", m.StoreAnswer))


class AsyncClient:
    """The same, awaited."""

    def __init__(self, url: str, key: str, *, seconds: float = 10.0, tries: int = 3, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """As `Client`."""
        self._key, self._tries = key, tries
        self._http = httpx.AsyncClient(base_url=url, timeout=seconds, transport=transport)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def call(self, call: Call[A]) -> A:
        """One request, tried again where that does no harm."""
        for turn in range(self._tries):
            answer, last = None, turn + 1 >= self._tries or not call.again
            try:
                answer = await self._http.request(**_request(call, self._key))
            except httpx.TransportError:
                if last:
                    raise
            if answer is not None and (last or answer.status_code not in AGAIN):
                return _read(answer, call.kind)
            await asyncio.sleep(_pause(answer, turn))
        raise AssertionError("a client tries at least once")

    async def tell(self, *events: EventIn) -> m.EventsTaken:
        """Events, one or many; they are on disk when this returns."""
        return _added([await self.call(each) for each in _Words.events(events)])

    async def recommend(self, **fields: Any) -> m.ItemsAnswer:
        """Items for a user, a session or a basket; fields of `RecommendBody`."""
        return await self.call(_Words.ask("recommend", m.RecommendBody, m.ItemsAnswer, fields))

    async def search(self, query: str, **fields: Any) -> m.ItemsAnswer:
        """Items for words; fields of `SearchBody`."""
        return await self.call(_Words.ask("search", m.SearchBody, m.ItemsAnswer, fields | {"query": query}))

    async def rank(self, items: Sequence[str], **fields: Any) -> m.ItemsAnswer:
        """The caller's own items, best first; fields of `RankBody`."""
        return await self.call(_Words.ask("rank", m.RankBody, m.ItemsAnswer, fields | {"items": list(items)}))

    async def similar(self, item: str, **fields: Any) -> m.ItemsAnswer:
        """Items like one; fields of `SimilarBody`."""
        return await self.call(_Words.ask("similar", m.SimilarBody, m.ItemsAnswer, fields | {"item": item}))

    async def predict(self, table: str, rows: Sequence[dict[str, Any]], **fields: Any) -> m.PredictAnswer:
        """The tasks' answers for rows; fields of `PredictBody`."""
        return await self.call(_Words.ask("predict", m.PredictBody, m.PredictAnswer, fields | {"table": table, "rows": list(rows)}))

    async def forecast(self, rows: Sequence[dict[str, Any]], **fields: Any) -> m.ForecastAnswer:
        """The periods ahead of series; fields of `ForecastBody`."""
        return await self.call(_Words.ask("forecast", m.ForecastBody, m.ForecastAnswer, fields | {"rows": list(rows)}))

    async def offers(self, rows: Sequence[dict[str, Any]], **fields: Any) -> m.OffersAnswer:
        """The rows that are worth their offer most; fields of `OffersBody`."""
        return await self.call(_Words.ask("offers", m.OffersBody, m.OffersAnswer, fields | {"rows": list(rows)}))

    async def explain(self, item: str, **fields: Any) -> m.ExplainAnswer:
        """What moved an item's score; fields of `ExplainBody`."""
        return await self.call(_Words.ask("explain", m.ExplainBody, m.ExplainAnswer, fields | {"item": item}))

    async def profile(self, user: str) -> m.ProfileAnswer:
        """What is known and guessed of a user."""
        return await self.call(_Words.of_user(user, "/profile", m.ProfileAnswer))

    async def events(self, user: str, most: int = 100) -> m.UserEvents:
        """A user's newest events."""
        return await self.call(_Words.of_user(user, "/events", m.UserEvents, most=most))

    async def forget(self, user: str) -> m.UserForgotten:
        """Delete a user; needs an admin's key."""
        return await self.call(Call("DELETE", f"/v1/users/{quote(user, safe='')}", m.UserForgotten))

    async def item(self, item: str) -> m.ItemAnswer:
        """One item."""
        return await self.call(Call("GET", f"/v1/items/{quote(item, safe='')}", m.ItemAnswer))

    async def features(self, items: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The features of several items, without those that are not known."""
        return _found([await self.call(each) for each in _Words.several(items)])

    async def items(self, **query: Any) -> m.BrowseAnswer:
        """A page of items: `where`, `order`, `count`, `cursor`, `facets`."""
        return await self.call(Call("GET", "/v1/items", m.BrowseAnswer, query=query))

    async def store(self) -> m.StoreAnswer:
        """What the store is made of."""
        return await self.call(Call("GET", "/v1/store", m.StoreAnswer))

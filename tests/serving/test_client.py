"""The client reads like the service, says what the service says, and tries again only where that does no harm."""

import asyncio
import inspect
from typing import Any

import httpx
import msgspec
import pytest

from banyan import client as module
from banyan.client import AsyncClient, Client, ServiceError
from banyan.serving import messages as m
from banyan.serving.messages import EventIn


class Passed(httpx.BaseTransport):
    """Hands requests to the test's own application."""

    def __init__(self, house: Any) -> None:
        self.house = house

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        found = self.house.client.request(request.method, str(request.url.raw_path, "ascii"), content=request.read(), headers=dict(request.headers))
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)


def test_the_client_speaks_with_the_service(house: Any) -> None:
    with Client("http://shop", house.keys["admin"], transport=Passed(house)) as shop:
        taken = shop.tell(*(EventIn(id=f"e{n}", user="u/1", item=f"i{n}", behaviour="view") for n in range(2)))
        assert (taken.accepted, taken.last) == (2, 2)
        assert [each.item for each in shop.recommend(user="u/1", k=2).items] == ["i2", "i3"]
        assert [each.item for each in shop.rank(["i9", "i8"]).items] == ["i9", "i8"]
        assert shop.search("red", k=1).items[0].item == "i0"
        assert shop.similar("i4", k=3).model == house.service.live.version
        assert shop.predict("viewed", [{"a": 1}]).rows == [{"bought.buy": 0.25}]
        assert shop.forecast([{"a": 1}]).series[0].answers == {"demand.1": 3.0}
        assert [each.place for each in shop.offers([{"a": 1}, {"a": 2}], k=1).offers] == [0]
        assert shop.explain("i3", user="u").item == "i3"
        assert shop.profile("u").features == {"city": "a"}
        with pytest.raises(ServiceError) as wrong:
            shop.predict("nothing", [{}])
        assert (wrong.value.status, wrong.value.code) == (422, "invalid")
        assert wrong.value.request_id
        with pytest.raises(msgspec.ValidationError):
            shop.recommend(k=0)


def answering(statuses: list[int], seen: list[str]) -> Any:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        status = statuses.pop(0)
        if status == 0:
            raise httpx.ConnectError("away")
        body = m.EventsTaken(accepted=1, duplicates=0, last=1) if status == 200 else m.Problem(error=m.Wrong(code="unavailable", message="x", request_id="r"))
        return httpx.Response(status, content=msgspec.json.encode(body), headers={"retry-after": "0"})

    return handle


@pytest.mark.parametrize(("statuses", "tries"), [([503, 200], 2), ([0, 429, 200], 3), ([200], 1)])
def test_a_busy_service_is_asked_again(statuses: list[int], tries: int) -> None:
    seen: list[str] = []
    with Client("http://shop", "k", transport=httpx.MockTransport(answering(statuses, seen))) as shop:
        assert shop.tell(EventIn(id="e", user="u", behaviour="view")).accepted == 1
    assert len(seen) == tries


def test_what_was_refused_is_not_asked_again() -> None:
    seen: list[str] = []
    with Client("http://shop", "k", transport=httpx.MockTransport(answering([422, 200], seen))) as shop, pytest.raises(ServiceError):
        shop.store()
    assert len(seen) == 1


def test_a_service_that_stays_away_is_said_to_be() -> None:
    seen: list[str] = []
    with Client("http://shop", "k", tries=2, transport=httpx.MockTransport(answering([0, 0], seen))) as shop, pytest.raises(httpx.ConnectError):
        shop.store()


def test_the_two_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def public(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in methods if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


def test_the_awaited_client_answers_too() -> None:
    async def ask() -> m.EventsTaken:
        async with AsyncClient("http://shop", "k", transport=httpx.MockTransport(answering([503, 200], []))) as shop:
            return await shop.tell(EventIn(id="e", user="u", behaviour="view"))

    assert asyncio.run(ask()).accepted == 1


def test_a_thousand_events_at_a_time() -> None:
    seen: list[str] = []
    with Client("http://shop", "k", transport=httpx.MockTransport(answering([200] * 3, seen))) as shop:
        taken = shop.tell(*(EventIn(id=str(n), user="u", behaviour="view") for n in range(2 * module.BATCH + 1)))
    assert taken.accepted == len(seen) == 3

import asyncio

import pytest

from banyan.client import AsyncClient
from banyan.web import gateway as module
from banyan.web.gateway import Gateway
from banyan.web.looks import Deeds


def asked(service, question, clock=None):
    """What the gateway answers to a question."""

    async def run():
        async with AsyncClient(service.url, "k", tries=1) as client:
            return await question(Gateway(client, clock or (lambda: 0.0)))

    return asyncio.run(run())


def test_the_store_says_how_its_items_look(service):
    store = asked(service, lambda g: g.store())
    assert store.looks.title == "title"
    assert store.looks.category == "category"
    assert store.deeds == Deeds()
    assert store.scenarios == ("home", "mobile")


def test_an_answer_comes_with_its_items_features(service):
    shelf = asked(service, lambda g: g.shelf(g.client.recommend(session="s", k=3)))
    assert [each.features["title"] for each in shelf.offers] == ["Trail shoe", "Road shoe", "Sandal"]


def test_a_page_knows_its_facets_and_where_the_next_begins(service):
    shelf = asked(service, lambda g: g.page(["category:tea"], count=3))
    assert shelf.total == 4
    assert shelf.next == "3"
    assert shelf.facets["brand"] == {"Brand 0": 2, "Brand 1": 2}


def test_items_are_remembered_for_a_while_and_not_for_ever(service, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    now = [0.0]

    async def ask(g):
        before = len(service.items)
        first = await g.features("tea/0")
        service.items = {}
        again = await g.features("tea/0")
        now[0] = module.FRESH + 1
        late = await g.features("tea/0")
        await g.names(["a", "b", "c"])
        return before, first, again, late, len(g._items)

    _, first, again, late, kept = asked(service, ask, lambda: now[0])
    assert first == again
    assert late is None
    assert kept == 2


def test_the_items_of_an_answer_are_asked_for_at_once(service):
    async def ask(g):
        await g.features("tea/1")
        await g.shelf(g.client.recommend(session="s", k=12))
        return await g.names(["tea/0", "x" * 300, "nobody's"])

    known = asked(service, ask)
    assert {key: bool(found) for key, found in known.items()} == {"tea/0": True, "x" * 300: False, "nobody's": False}
    batches = [body["items"] for path, body in service.asked if path == "/v1/items"]
    assert [len(each) for each in batches] == [1, 11, 1]


def test_an_unknown_item_has_no_features(service):
    async def ask(g):
        return await g.names(["nobody's"]), g.remembers("nobody's"), await g.features("tea/0"), g.remembers("tea/0")

    known, remembered, _, there = asked(service, ask)
    assert known == {"nobody's": {}}
    assert not remembered
    assert there


def test_what_was_done_is_told_with_who_did_it(service):
    assert asked(service, lambda g: g.tell("view", ["tea/0", "tea/1"], session="s", user="", scenario="home"))
    assert [(event["item"], event["session"], event["behaviour"]) for event in service.events] == [("tea/0", "s", "view"), ("tea/1", "s", "view")]
    assert len({event["id"] for event in service.events}) == 2


@pytest.mark.parametrize("question", [lambda g: g.page(), lambda g: g.shelf(g.client.recommend(k=3)), lambda g: g.shelf(g.client.recommend(k=1000))])
def test_a_service_that_is_away_or_says_no_is_a_shelf_that_says_so(question):
    class Away:
        url = "http://127.0.0.1:9"

    shelf = asked(Away, question)
    assert shelf.failed
    assert not shelf.offers
    assert asked(Away, lambda g: g.store()) is None
    assert asked(Away, lambda g: g.tell("view", ["a"], session="s")) is False

"""`/v1/search` with a picture: it reaches the engine, is never kept, and a request without words or picture is refused at its place."""

import base64
from typing import Any

PICTURE = b"\x89PNG not really one"


def test_a_picture_reaches_the_engine_and_is_not_recorded(house: Any) -> None:
    answer = house.post("/v1/search", {"user": "u1", "picture": base64.b64encode(PICTURE).decode(), "k": 2})
    assert answer.status_code == 200, answer.text
    asked = house.engine.asks[-1]
    assert (asked.picture, asked.query, asked.popular) == (PICTURE, "", True)
    assert all("picture" not in each.request for each in house.service.journal.recorded(10))


def test_neither_words_nor_a_picture_is_refused_at_its_place(house: Any) -> None:
    for body in ({}, {"query": "  "}, {"picture": ""}):
        answer = house.post("/v1/search", body)
        assert answer.status_code == 422
        assert answer.json()["error"]["details"]["at"] == "$.query"


def test_what_is_no_base64_and_what_is_too_large_are_refused(house: Any) -> None:
    assert house.post("/v1/search", {"picture": "no base64!"}).status_code == 422
    assert house.post("/v1/search", {"picture": "A" * 5_000_000}).status_code == 413
    assert house.post("/v1/search", {"picture": "AAAA" * 967_000}).status_code == 422

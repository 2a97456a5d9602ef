"""Every kind of error has one shape, its code, its request id, and says nothing that it should not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from banyan.errors import BundleError, StateError
from banyan.serving import messages, reading
from banyan.serving.refusals import CODES

EVENT = {"id": "e1", "user": "u1", "item": "i1", "behaviour": "view"}


def shape(answer: Any, status: int) -> dict[str, Any]:
    """The error's body, once it has the one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id", "details"}
    assert body["error"]["code"] == CODES[status]
    assert body["error"]["request_id"] == answer.headers["x-request-id"]
    assert body["error"]["message"].endswith(".") or status in (422, 404, 405)
    return dict(body["error"])


def test_400_is_json_that_is_broken(house: Any) -> None:
    for body in (b"", b"{", b'{"user": "a"', b"\xff\xfe", b'{"user": "\\ud800"}'):
        shape(house.client.post("/v1/recommend", content=body, headers=house.headers() | {"content-type": "application/json"}), 400)


def test_401_is_no_key_or_a_wrong_one(house: Any) -> None:
    good = house.keys["answers"]
    for told in ({}, {"Authorization": "Bearer x"}, {"Authorization": good}, {"Authorization": f"Bearer {good[:-1]}{'A' if good[-1] != 'A' else 'B'}"}):
        answer = house.client.post("/v1/recommend", json={}, headers=told)
        shape(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_403_is_a_key_of_another_role(house: Any) -> None:
    assert shape(house.post("/v1/events", {"events": [EVENT]}, "answers"), 403)["details"] == {"role": "events"}
    shape(house.post("/v1/recommend", {}, "events"), 403)
    shape(house.get("/v1/models", "answers"), 403)


def test_404_is_an_address_where_nothing_is(house: Any) -> None:
    for path in ("/v1/nothing", "/v2/recommend", "/v1/users/a/b/c", "/v1/../v1/recommend/x", "/v1/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd"):
        shape(house.get(path), 404)


def test_405_is_another_method(house: Any) -> None:
    answer = house.get("/v1/recommend")
    shape(answer, 405)
    assert "POST" in answer.headers["allow"]


def test_408_is_a_body_that_does_not_come(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.05)

    async def never(self: Any) -> bytes:
        import asyncio

        await asyncio.sleep(10)
        return b""

    monkeypatch.setattr("litestar.Request.body", never)
    shape(house.post("/v1/recommend", {}), 408)


def test_409_is_a_change_made_on_an_old_version(house: Any) -> None:
    first = house.client.put("/v1/value", json={"expression": "bought.buy"}, headers=house.headers("admin"))
    assert first.status_code == 200, first.text
    shape(house.client.put("/v1/value", json={"expression": "bought.cart", "expected": 0}, headers=house.headers("admin")), 409)
    assert house.get("/v1/value").json()["values"] == [{"scenario": "", "expression": "bought.buy"}]


def test_413_is_a_body_that_is_too_large(house: Any) -> None:
    shape(house.post("/v1/recommend", {"basket": ["i" * 190] * 400}), 413)
    shape(house.post("/v1/events", {"events": [EVENT | {"query": "q" * 500, "id": str(n)} for n in range(9000)]}, "events"), 413)


def test_415_is_what_is_not_json(house: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        shape(house.client.post("/v1/recommend", content=b"{}", headers=house.headers() | {"content-type": kind}), 415)
    shape(house.client.post("/v1/recommend", json={}, headers=house.headers() | {"content-encoding": "gzip"}), 415)


@pytest.mark.parametrize(
    ("path", "role", "body", "at"),
    [
        ("/v1/recommend", "answers", {"k": 0}, "$.k"),
        ("/v1/recommend", "answers", {"k": 10**9}, "$.k"),
        ("/v1/recommend", "answers", {"usr": "a"}, "$"),
        ("/v1/recommend", "answers", {"user": "a\0b"}, "$"),
        ("/v1/recommend", "answers", {"filters": {"equal": {"a": [1]}}}, "$.filters.equal[...][0]"),
        ("/v1/rank", "answers", {"items": []}, "$.items"),
        ("/v1/search", "answers", {"query": ""}, "$.query"),
        ("/v1/events", "events", {"events": []}, "$.events"),
        ("/v1/events", "events", {"events": [EVENT, EVENT | {"id": ""}]}, "$.events[1].id"),
        ("/v1/events", "events", {"events": [EVENT | {"time": "2024-01-01T00:00:00"}]}, "$.events[0].time"),
        ("/v1/events", "events", {"events": [EVENT | {"value": 1e300}]}, "$.events[0].value"),
        ("/v1/events", "events", {"events": [{"id": "e", "behaviour": "view"}]}, "$.events[0]"),
        ("/v1/experiments", "admin", {"name": "a", "version": "v", "share": 2}, "$.share"),
    ],
)
def test_422_is_a_message_that_breaks_a_rule_and_says_where(house: Any, path: str, role: str, body: Any, at: str) -> None:
    assert shape(house.post(path, body, role), 422)["details"]["at"] == at


def test_422_is_what_the_bundle_does_not_know(house: Any) -> None:
    assert "no samples table" in shape(house.post("/v1/predict", {"table": "x", "rows": [{}]}), 422)["message"]
    shape(house.client.put("/v1/value", json={"expression": "__import__('os').system('x')"}, headers=house.headers("admin")), 422)
    shape(house.get("/v1/users/" + "u" * 300 + "/events"), 422)
    shape(house.get("/v1/users/a%00b/events"), 422)


def test_422_is_a_query_that_breaks_a_rule(house: Any) -> None:
    for query in ("count=0", "count=x", "count=100000", "cursor=abc", "where=colour", "facets=maybe"):
        shape(house.get(f"/v1/items?{query}"), 422)


def test_429_is_a_key_that_asks_too_much(house: Any) -> None:
    told = {"limits": {"answers": {"per_second": 1, "burst": 3}}}
    assert house.client.put("/v1/limits", json=told, headers=house.headers("admin")).status_code == 200
    answers = [house.post("/v1/recommend", {}) for _ in range(5)]
    assert [each.status_code for each in answers[:3]] == [200, 200, 200]
    shape(answers[-1], 429)
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert house.post("/v1/events", {"events": [EVENT]}, "events").status_code == 200  # another key's limit is its own


def test_500_tells_the_log_and_not_the_caller(house: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(ask: Any) -> None:
        raise RuntimeError("secret u17")

    house.engine.before = fail
    answer = house.post("/v1/recommend", {"user": "u17"})
    assert "secret" not in answer.text
    shape(answer, 500)


@pytest.mark.parametrize("error", [BundleError("weights of u17 are not finite"), StateError("postgresql://user:password@host is away")])
def test_503_is_a_part_that_is_away(house: Any, error: Exception) -> None:
    def fail(ask: Any) -> None:
        raise error

    house.engine.before = fail
    assert not {"u17", "password"} & set(shape(house.post("/v1/recommend", {}), 503)["message"].replace(":", " ").split())


def test_503_is_a_service_that_is_busy_or_too_slow(make: Callable[..., Any]) -> None:
    import threading

    house = make(threads=1, waiting=0, seconds=0.2)
    gate = threading.Event()
    house.engine.before = lambda ask: gate.wait(5) and None
    assert shape(house.post("/v1/recommend", {}), 503)["details"]["reason"] == "timeout"
    busy = house.post("/v1/recommend", {})  # the first is still at it
    assert shape(busy, 503)["details"]["reason"] == "busy"
    assert busy.headers["retry-after"]
    gate.set()


def test_a_request_id_is_taken_over_where_it_is_a_plain_word_and_never_else(house: Any) -> None:
    assert house.client.get("/healthz", headers={"x-request-id": "my-request-1"}).headers["x-request-id"] == "my-request-1"
    for told in ("short", "x" * 65, "a b c d e f g h", "<script>alert(1)</script>"):
        assert house.client.get("/healthz", headers={"x-request-id": told}).headers["x-request-id"] != told


def test_the_codes_and_the_shape_are_those_of_the_description(house: Any) -> None:
    document = house.client.get("/v1/openapi.json").json()
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {"error"}
    assert set(document["components"]["schemas"]["Wrong"]["properties"]) == set(messages.Wrong.__struct_fields__)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {int(code) for code in operation["responses"]} <= {200, *CODES}
    assert json.dumps(document).count("http") < 5
    assert Path(reading.__file__).exists()

"""Every route answers what it promises, with the request's id and the versions of model and value."""

import io
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from banyan.serving import logs, messages
from banyan.serving.examples import EXAMPLES

ANSWERS = {
    "recommend": messages.RecommendBody,
    "search": messages.SearchBody,
    "rank": messages.RankBody,
    "similar": messages.SimilarBody,
    "predict": messages.PredictBody,
    "forecast": messages.ForecastBody,
    "offers": messages.OffersBody,
    "explain": messages.ExplainBody,
}


def event(n: int, **more: Any) -> dict[str, Any]:
    return {"id": f"e{n}", "user": "u1", "item": f"i{n}", "behaviour": "view"} | more


@pytest.mark.parametrize("name", ANSWERS)
def test_the_example_of_every_question_is_answered(house: Any, name: str) -> None:
    answer = house.post(f"/v1/{name}", EXAMPLES[ANSWERS[name]])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["model"] == house.service.live.version
    assert body["value"] == 0
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_next_answer_knows_an_acknowledged_event(house: Any) -> None:
    before = house.post("/v1/recommend", {"user": "u1", "k": 3}).json()
    taken = house.post("/v1/events", {"events": [event(0), event(1)]}, "events")
    assert taken.json() | {"request_id": ""} == {
        "request_id": "",
        "model": house.service.live.version,
        "value": 0,
        "accepted": 2,
        "duplicates": 0,
        "last": 2,
        "forgotten": 0,
    }
    after = house.post("/v1/recommend", {"user": "u1", "k": 3}).json()
    assert [each["item"] for each in before["items"]] == ["i0", "i1", "i2"]
    assert [each["item"] for each in after["items"]] == ["i2", "i3", "i4"]


def test_an_event_counts_once_however_often_it_comes(house: Any) -> None:
    first = house.post("/v1/events", {"events": [event(0), event(1), event(0)]}, "events").json()
    again = house.post("/v1/events", {"events": [event(1), event(2)]}, "events").json()
    assert (first["accepted"], first["duplicates"]) == (2, 1)
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    assert [each["id"] for each in house.get("/v1/users/u1/events").json()["events"]] == ["e0", "e1", "e2"]


def test_times_are_kept_to_the_microsecond_and_shown_in_utc(house: Any) -> None:
    told = [event(0, time="2026-03-01T10:00:00.123456+02:00"), event(1, time=1_772_352_000_000_001)]
    house.post("/v1/events", {"events": told}, "events")
    shown = house.get("/v1/users/u1/events").json()["events"]
    assert [each["time"] for each in shown] == ["2026-03-01T08:00:00.000001Z", "2026-03-01T08:00:00.123456Z"]


def test_a_user_is_forgotten_and_stays_so(house: Any) -> None:
    house.post("/v1/events", {"events": [event(0), event(1, user="u2")]}, "events")
    house.post("/v1/recommend", {"user": "u1"})
    gone = house.client.delete("/v1/users/u1", headers=house.headers("admin"))
    assert gone.status_code == 200
    assert gone.json()["forgotten"]["events"] == 1
    assert house.get("/v1/users/u1/events").json()["events"] == []
    assert len(house.get("/v1/users/u2/events").json()["events"]) == 1
    assert house.post("/v1/events", {"events": [event(5)]}, "events").json()["forgotten"] == 1
    assert house.client.delete("/v1/users/u2", headers=house.headers("events")).status_code == 403


def test_requests_are_recorded_off_the_path(house: Any) -> None:
    for n in range(3):
        house.post("/v1/recommend", {"user": f"u{n}", "k": 2, "scenario": "home"})
    house.service._write_waiting()
    kept = house.service.journal.recorded()
    assert [(each.user, each.method) for each in kept] == [("u0", "recommend"), ("u1", "recommend"), ("u2", "recommend")]
    assert kept[0].answer["items"] == ["i0", "i1"]
    assert kept[0].request == {"user": "u0", "k": 2, "scenario": "home", "filters": kept[0].request["filters"]}


def test_a_value_model_is_changed_for_a_scenario_and_its_history_says_by_whom(house: Any) -> None:
    def put(path: str, expression: str) -> Any:
        return house.client.put(path, json={"expression": expression}, headers=house.headers("admin"))

    assert put("/v1/value", "bought.buy").status_code == 200
    assert put("/v1/value/home", "bought.cart").status_code == 200
    assert {each["scenario"]: each["expression"] for each in house.get("/v1/value").json()["values"]} == {"": "bought.buy", "home": "bought.cart"}
    assert house.post("/v1/recommend", {}).json()["value"] == house.get("/v1/value").json()["version"] > 0
    changes = house.get("/v1/value/history", "admin").json()["changes"]
    assert changes[0]["after"] == {"": "bought.buy", "home": "bought.cart"}
    assert {each["who"] for each in changes} == {"admin"}
    assert house.client.delete("/v1/value/home", headers=house.headers("admin")).json()["values"] == [{"scenario": "", "expression": "bought.buy"}]
    assert house.client.delete("/v1/value/home", headers=house.headers("admin")).status_code == 404
    preview = house.post("/v1/value/preview", {"expression": "bought.cart", "users": ["u1", "u2"], "k": 5}, "admin").json()
    assert [each["user"] for each in preview["shifts"]] == ["u1", "u2"]
    assert preview["kept"] == 1.0


def test_the_service_at_a_glance(house: Any) -> None:
    house.post("/v1/recommend", {})
    body = house.get("/v1/overview", "admin").json()
    assert body["requests"]["POST /v1/recommend"]["count"] == 1
    assert body["workers"] == 1
    assert body["alarms"] == []
    fresh = house.get("/v1/freshness", "admin").json()
    assert fresh["waiting"] == 0
    assert house.get("/v1/training", "admin").json()["runs"] == []


def test_health_needs_no_key_and_readiness_says_what_is_missing(house: Any) -> None:
    assert house.client.get("/healthz").json()["status"] == "up"
    assert house.client.get("/readyz").status_code == 200
    house.service.live.close()
    assert house.client.get("/readyz").status_code == 503
    assert house.client.get("/readyz").json()["parts"]["model"] == "no version answers yet"


def test_the_description_shows_every_route_with_an_example_and_the_page_asks_no_other_host(house: Any) -> None:
    document = house.client.get("/v1/openapi.json").json()
    assert set(document["paths"]) >= {f"/v1/{name}" for name in (*ANSWERS, "events", "users/{user}", "items/{item}", "store", "models", "value", "overview")}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("post", "put") and "requestBody" in operation:
                assert operation["requestBody"]["content"]["application/json"]["example"], path
            assert operation["summary"], path
    assert document["paths"]["/v1/events"]["post"]["x-role"] == "events"
    page = house.client.get("/docs").text
    assert "/v1/recommend" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page


def test_answers_of_two_keys_at_once_never_mix(house: Any) -> None:
    house.engine.before = lambda ask: time.sleep(0.002)
    users = [f"user-{n}" for n in range(24)]
    for n, user in enumerate(users):
        house.post("/v1/events", {"events": [event(n, user=user, id=f"x{n}", item=f"own-{user}")]}, "events")

    def ask(user: str) -> tuple[Any, Any]:
        return house.get(f"/v1/users/{user}/events").json(), house.post("/v1/explain", {"user": user, "item": f"own-{user}"}, "admin").json()

    with ThreadPoolExecutor(8) as pool:
        for user, (events, why) in zip(users, pool.map(ask, users), strict=True):
            assert {each["user"] for each in events["events"]} == {user}
            assert (why["user"], why["item"]) == (user, f"own-{user}")


def test_the_log_is_json_and_names_nobody(house: Any) -> None:
    stream = io.StringIO()
    logs.start(stream)
    try:
        house.post("/v1/recommend", {"user": "somebody-special"})
        house.get("/v1/users/somebody-special/profile")
        house.engine.before = lambda ask: (_ for _ in ()).throw(RuntimeError("somebody-special broke it"))
        house.post("/v1/recommend", {"user": "somebody-special"})
    finally:
        logging.getLogger(logs.LOGGER).handlers, logging.getLogger(logs.LOGGER).propagate = [], True
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert "somebody" not in stream.getvalue()
    assert [line["route"] for line in lines if line["event"] == "answered"][:2] == ["POST /v1/recommend", "GET /v1/users/{user}/profile"]
    failed = next(line for line in lines if line["event"] == "failed")
    assert failed["error"].startswith("RuntimeError")
    assert any("recommend" in place for place in failed["where"])
    assert all(line["request_id"] for line in lines if line["event"] == "answered")


def test_what_was_taken_is_finished_when_the_service_ends(make: Callable[..., Any]) -> None:
    house = make()
    begun, answers = threading.Event(), []

    def slow(ask: Any) -> None:
        begun.set()
        time.sleep(0.3)

    house.engine.before = slow
    asking = threading.Thread(target=lambda: answers.append(house.post("/v1/recommend", {"user": "u1"}).status_code))
    asking.start()
    assert begun.wait(10)
    house.service.answering.close()
    asking.join()
    assert answers == [200]


def test_what_is_left_to_chance_is_kept_with_its_probability(house: Any) -> None:
    told = house.client.put("/v1/exploration", json={"share": 1, "slot": 1, "top": 5}, headers=house.headers("admin"))
    assert told.json()["top"] == 5
    answers = [house.post("/v1/recommend", {"user": f"u{n}", "k": 3}).json() for n in range(20)]
    assert {len(each["items"]) for each in answers} == {3}
    assert {each["items"][0]["item"] for each in answers} == {"i0"}
    assert {each["items"][1]["item"] for each in answers} > {"i1"}
    assert {each["explored"]["probability"] for each in answers} == {0.25}
    house.service.draws.flush()
    kept = {note.id: note.about for _, note in house.service.journal.notes("draws")}
    one = kept[answers[0]["request_id"]]
    assert one["items"][one["chosen"]] == answers[0]["items"][1]["item"]
    assert set(one["columns"]) == {"bought.cart", "bought.buy", "item.price"}
    assert house.client.put("/v1/exploration", json={"share": 0}, headers=house.headers("admin")).json()["share"] == 0
    assert house.post("/v1/recommend", {}).json()["explored"] is None

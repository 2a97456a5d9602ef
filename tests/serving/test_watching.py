"""The console's questions: how old is the model, what has moved, what would another value model earn. Answered beside the traffic, and in words where not."""

import time
from typing import Any

import numpy as np
import pytest

from banyan.serving import moving
from banyan.serving.feedback import Draw, note_of
from banyan.serving.freshness import RETRAIN, keep_fresh
from banyan.serving.state import Event

DAY = 86_400_000_000
RETRAINED = {
    "version": "0002-aa", "against": "0001-bb", "promoted": False, "reasons": ["bought: auc is worse."], "until": 9, "events": 7, "at": 1_700_000_000_000_000,
    "seconds": 12.5, "margin": 0.01, "drift": None, "notes": {}, "store": "x",
    "tasks": [{"task": "bought", "metric": "auc", "rows": 500, "candidate": 0.6, "serving": 0.7, "gain": -0.1, "low": -0.2, "high": None, "fine": False}],
    "calibration": [{"task": "bought", "column": "buy", "rows": 500, "predicted": 0.1, "observed": 0.3, "errors": 9.0, "error": None, "alarm": True}],
}  # fmt: skip


def told(visit: Any, count: int, behaviour: str) -> None:
    events = [{"id": f"{behaviour}{n}", "user": f"u{n % 27}", "item": "i2", "behaviour": behaviour, "scenario": "home"} for n in range(count)]
    assert visit("POST", "/v1/events", {"events": events}).status_code == 200


def test_drift_is_measured_beside_the_requests_and_kept_for_a_while(standing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told(standing, 600, "buy")
    first = standing("GET", "/v1/freshness").json()
    assert (first["drift"], first["measuring"], first["waiting"]) == (None, True, 600)
    standing.service.moving.wait(60.0)
    found = standing("GET", "/v1/freshness").json()
    assert found["measuring"] is False
    assert found["drift"]["version"] == found["model"]
    assert found["drift"]["now"] == 600
    assert found["drift"]["alarms"] == sum(each["alarm"] for each in found["drift"]["features"]) > 0
    behaviour = next(each for each in found["drift"]["features"] if each["feature"] == "behaviour")
    assert next(each for each in behaviour["moved"] if each["value"] == "buy")["now"] == 1.0
    looks: list[Any] = []
    monkeypatch.setattr(moving, "since_training", lambda *told: looks.append(told))
    standing("GET", "/v1/freshness")
    assert looks == []  # it is believed for some minutes


def test_a_look_that_fails_is_tried_again_later_and_hurts_nobody(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    monkeypatch.setattr(moving, "since_training", lambda *told: tries.append(1) or 1 / 0)
    for _ in range(3):
        assert house.get("/v1/freshness", "admin").json()["drift"] is None
        house.service.moving.wait(10.0)
    assert tries == [1]
    house.service.moving.path.parent.mkdir(parents=True, exist_ok=True)
    house.service.moving.path.write_text("{")
    assert house.get("/v1/freshness", "admin").json()["drift"] is None


def test_calibration_and_the_schedule_are_what_the_last_retraining_wrote_down(standing: Any) -> None:
    before = standing("GET", "/v1/freshness").json()
    assert (before["calibration"], before["schedule"], before["retrained"]) == (None, None, [])
    journal = standing.service.journal
    journal.set(RETRAIN, RETRAINED, "test")

    def attempt() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_fresh(attempt, journal, 3600.0, lambda line: None, lambda seconds: None)
    after = standing("GET", "/v1/freshness").json()
    assert (after["calibration"]["version"], after["calibration"]["columns"][0]["alarm"]) == ("0001-bb", True)
    assert after["calibration"]["at"] == "2023-11-14T22:13:20Z"
    assert (after["schedule"]["every_seconds"], after["schedule"]["overdue"], after["schedule"]["failed"]) == (3600.0, True, "")
    assert after["retrained"][0]["reasons"] == ["bought: auc is worse."]
    assert after["retrained"][0]["tasks"][0]["fine"] is False


def test_the_cache_of_users_events_is_counted(house: Any) -> None:
    house.post("/v1/events", {"events": [{"id": "e", "user": "u1", "behaviour": "view", "item": "i1"}]}, "events")
    for _ in range(4):
        house.post("/v1/recommend", {"user": "u1"})
    house.service._flush()
    cache = house.get("/v1/overview", "admin").json()["cache"]
    assert cache == {"whole": 3.0, "grown": 0.0, "missing": 1.0, "share": 0.75}
    assert 'banyan_cache_total{found="whole"} 3' in house.get("/metrics").text


@pytest.fixture
def explored(house: Any) -> Any:
    """A service that drew the second place of 200 lists from two items, two days ago; in half of the draws of i1 its user bought it within the day."""
    past, rng = time.time_ns() // 1000 - 2 * DAY, np.random.default_rng(0)
    about: Any = {"version": house.service.live.version, "value_version": 0, "scenario": ""}
    notes, events = [], []
    for n in range(200):
        draw = Draw(1, ("i1", "i2"), (0.5, 0.5), int(rng.integers(2)))
        notes.append(note_of(f"r{n}", f"user-{n}", "", past, draw, {"bought.buy": [0.5, 0.5], "item.price": [2.0, 2.0]}, **about))
        if draw.item == "i1" and n % 2:
            events.append(Event(f"b{n}", f"user-{n}", "i1", "buy", past + 60_000_000))
    house.service.journal.note("draws", notes)
    house.service.journal.append(events)
    return house


def test_a_preview_says_what_the_draws_carry_and_refuses_the_rest_in_words(explored: Any) -> None:
    def preview(**more: Any) -> Any:
        found = explored.post("/v1/value/preview", {"expression": "bought.buy", "users": ["u1"]} | more, "admin")
        assert found.status_code == 200, found.text
        return found.json()["estimate"]

    same = preview()  # every item is worth the same: the first of a draw, as now
    assert (same["outcome"], same["draws"], same["changed"], same["refused"]) == ("buy", 200, 0.0, "")
    assert [each["method"] for each in same["by"]] == ["ips", "snips"]
    assert all(each["gain"] == 0.0 and 0.2 < each["now"] < 0.8 for each in same["by"])
    robust = preview(predicted="bought.buy")
    assert [each["method"] for each in robust["by"]] == ["ips", "snips", "dr"]
    nobody = preview(outcome="view")
    assert "outcome" in nobody["refused"]
    assert all(each["gain"] is None and each["refused"] for each in nobody["by"])
    assert "no number 'bought.nothing'" in preview(predicted="bought.nothing")["refused"]
    assert preview(scenario="home")["refused"].startswith("No draw of this version and scenario")

"""What only the console asks: traffic by the minute, evaluation, the shadow, bundles that wait, an experiment over time."""

import json
from dataclasses import asdict

import pytest

from banyan.serving import insight, splits
from banyan.serving.experiments import Tally
from banyan.serving.metrics import EDGES, Metrics
from banyan.serving.traffic import EVERY, Traffic

ROUTES = ("traffic", "shadow", "incoming", "evaluation", "experiments/first/series")


@pytest.mark.parametrize("route", ROUTES)
def test_only_an_admin_asks(house, route):
    assert house.get(f"/v1/{route}").status_code == 403


def test_a_service_on_its_first_day_has_little_to_show(house):
    assert house.get("/v1/traffic", "admin").json()["minutes"] == []
    assert house.get("/v1/shadow", "admin").json()["reports"] == []
    assert house.get("/v1/incoming", "admin").json()["folders"] == []
    assert house.get("/v1/traffic?minutes=0", "admin").status_code == 422
    answer = house.get("/v1/experiments/none/series", "admin")
    assert answer.status_code == 422
    assert "no experiment 'none'" in answer.json()["error"]["message"]


def test_bundles_that_wait_are_named_and_nothing_else(house, tmp_path):
    incoming = house.service.folder / "incoming"
    (incoming / "next").mkdir(parents=True)
    (incoming / ".hidden").mkdir()
    (incoming / "file").write_text("x")
    (incoming / "link").symlink_to(tmp_path)
    assert house.get("/v1/incoming", "admin").json()["folders"] == ["next"]


def test_an_experiment_is_shown_at_each_moment_at_which_users_were_counted(house):
    journal = house.service.journal
    journal.set(splits.NAME, [{"name": "first", "outcome": "purchase"}], "ann")
    for users in (10.0, 500.0, 1000.0):
        sums = {"purchase": {"control": [users, 0.1 * users, 0.1 * users, 0.1 * users], "candidate": [users, 0.3 * users, 0.3 * users, 0.3 * users]}}
        journal.set("experiment/first", asdict(Tally(last=int(users), sums=sums)), "experiments")
    points = house.get("/v1/experiments/first/series", "admin").json()["points"]
    assert [each["users"] for each in points] == [20, 1000, 2000]
    assert points[0]["low"] is None  # too early: the interval is everything
    assert points[1]["high"] - points[1]["low"] > points[2]["high"] - points[2]["low"] > 0
    assert all(each["estimate"] == pytest.approx(0.2) for each in points)


def test_evaluation_comes_with_the_newest_audits(tmp_path):
    gains = [{"task": "bought", "scenario": "home", "interval": {"value": 0.1, "low": 0.0, "high": None}}]
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text(json.dumps({"by scenario": {"joint - alone": gains, "empty": []}}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "audit.json").write_text("{")
    found = insight.evaluation(tmp_path, {"notes": ["a"], "table": None, "rows": {"t": {"train": 1}}})
    assert found.by_scenario == [{"audit": "audit", "pair": "joint - alone", "gains": gains}]
    assert (found.notes, found.table, found.rows) == (["a"], [], {"t": {"train": 1}})


def test_traffic_is_what_the_counts_of_all_workers_grew_by(tmp_path):
    now = [0.0]
    one, two = Metrics(tmp_path, "one"), Metrics(tmp_path, "two")
    traffic = Traffic(one, lambda: now[0])

    def asked(metrics, times, status="200"):
        for _ in range(times):
            metrics.time("banyan_request_seconds", 0.004, route="POST /v1/recommend")
            metrics.add("banyan_requests_total", route="POST /v1/recommend", status=status)
        metrics.flush()

    asked(one, 3)
    asked(two, 2, "503")
    traffic.beat()
    assert traffic.minutes() == []
    now[0] += EVERY
    traffic.beat()
    asked(two, 4)
    now[0] += EVERY
    traffic.beat()
    now[0] += EVERY
    traffic.beat()
    first, second, third = traffic.minutes()
    assert (first.routes["POST /v1/recommend"].count, first.routes["POST /v1/recommend"].errors) == (5, 2)
    assert (second.routes["POST /v1/recommend"].count, second.routes["POST /v1/recommend"].errors) == (4, 0)
    assert EDGES[1] < second.routes["POST /v1/recommend"].middle <= EDGES[2]
    assert third.routes == {}
    assert traffic.minutes(1) == [third]

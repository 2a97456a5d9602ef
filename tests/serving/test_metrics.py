"""What Prometheus reads is whole: one page for all workers, counts that add up, labels that cannot break out."""

from pathlib import Path
from typing import Any

import pytest

from banyan.serving.metrics import EDGES, Metrics, quantile


def test_workers_add_up_and_one_that_ended_stays_counted(tmp_path: Path) -> None:
    first, second = Metrics(tmp_path, "1"), Metrics(tmp_path, "2")
    first.add("banyan_events_total", 3, outcome="accepted")
    second.add("banyan_events_total", 4, outcome="accepted")
    second.time("banyan_request_seconds", 0.004, route="POST /v1/recommend")
    second.flush()
    text = first.text()
    assert 'banyan_events_total{outcome="accepted"} 7' in text
    assert 'banyan_request_seconds_bucket{route="POST /v1/recommend",le="0.005"} 1' in text
    assert 'banyan_request_seconds_bucket{route="POST /v1/recommend",le="+Inf"} 1' in text
    assert first.total("banyan_events_total") == 7


def test_a_label_cannot_break_out_of_its_line() -> None:
    metrics = Metrics()
    metrics.add("x_total", 1, a='b"} 9\ny_total{c="\\')
    lines = [line for line in metrics.text().splitlines() if line.startswith(("x_total", "y_total"))]
    assert lines == ['x_total{a="b\\"} 9\\ny_total{c=\\"\\\\"} 1']


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.metrics.MOST", 10)
    metrics = Metrics()
    for n in range(100):
        metrics.add("x_total", 1, user=str(n))
        metrics.time("y", 0.1, user=str(n))
    snapshot = metrics.snapshot()
    assert len(snapshot["counts"]["x_total"]) == 10
    assert len(snapshot["times"]["y"]) == 10


def test_a_quantile_lies_in_its_bin() -> None:
    bins = [0.0] * (len(EDGES) + 2)
    bins[3], bins[5] = 50.0, 50.0  # (5, 10] ms and (25, 50] ms
    assert 0.005 < quantile(bins, 0.25) <= 0.01
    assert 0.025 < quantile(bins, 0.99) <= 0.05
    assert quantile([0.0] * (len(EDGES) + 2), 0.5) == 0


def test_the_page_needs_a_key_and_names_no_user(house: Any) -> None:
    assert house.client.get("/metrics").status_code == 401
    house.post("/v1/recommend", {"user": "somebody-special"})
    house.get("/v1/users/somebody-special/events")
    text = house.get("/metrics").text
    assert 'route="POST /v1/recommend"' in text
    assert 'route="GET /v1/users/{user}/events"' in text
    assert "somebody" not in text
    assert f'banyan_model_info{{version="{house.service.live.version}",worker=' in text
    assert "banyan_candidates_total" in text
    assert "banyan_event_lag_events" in text

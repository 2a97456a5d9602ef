"""What goes with an item is what was met with it in one visit, by the bundle's own log and by what happened since; popularity alone is no company."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from banyan.serving import company
from banyan.serving.company import Company, Visits

MINUTE = 60_000_000


def visits(told: list[tuple[int, int, int]], rows: int = 8, gap: int | None = company.GAP) -> Visits:
    user, item, moment = (np.array(column, np.int64) for column in zip(*told, strict=True))
    return Visits.of(user, item, moment, rows, gap)


def test_a_visit_ends_with_its_user_and_with_a_pause() -> None:
    found = visits([(1, 1, 0), (1, 2, MINUTE), (1, 3, 90 * MINUTE), (1, 4, 91 * MINUTE), (2, 5, MINUTE), (2, 1, 2 * MINUTE), (2, 1, 3 * MINUTE)])
    assert sparse.issparse(found.items)
    assert {tuple(sorted(row.indices)) for row in found.items} == {(1, 2), (3, 4), (1, 5)}
    near = found.near(1)
    assert near is not None
    assert set(np.flatnonzero(near)) == {2, 5}
    assert found.near(6) is None
    assert visits([(1, 1, 0), (2, 2, 0)]).near(1) is None  # nobody had both


def test_what_is_met_by_chance_is_less_company_than_what_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [(u, 1, 0) for u in range(100)] + [(u, 2, 1) for u in range(0, 100, 2)] + [(u, 3, 2) for u in range(1000)] + [(u, 4, 3) for u in range(500, 600)]
    near = visits(told).near(1)
    assert near is not None
    assert near[2] == pytest.approx(50 / (np.sqrt(100 * 50) + company.SHRINK))
    assert near[2] > near[3] > near[4] == 0
    monkeypatch.setattr(company, "VISITS", 20)
    some = visits(told).near(1)
    assert some is not None
    assert some[3] == pytest.approx(near[3])  # all visits have it, in whichever one looks


def test_a_long_visit_counts_as_several_and_an_order_has_no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "WIDE", 3)
    found = visits([(1, i + 1, i) for i in range(6)], gap=None)
    assert {tuple(sorted(row.indices)) for row in found.items} == {(1, 2, 3), (4, 5, 6)}


def test_what_happened_since_is_counted_and_counted_again_when_it_is_old(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    live = made()
    ground, row = live.engine.ground, live.engine.ground.items.row
    happened: list[tuple[str, Any]] = []
    found = Company(ground, lambda: happened)
    before = found.near(row("i3"))
    share = 0.0 if before is None else before[row("i4")]
    for n in range(40):
        live.happens(f"new {n}", ("i3", "view", n), ("i4", "buy", n), ("never seen", "buy", n))
    happened += [(event.user, event) for mine in live.events.values() for event in mine]
    assert np.array_equal(found.near(row("i3")), before) if before is not None else found.near(row("i3")) is None
    monkeypatch.setattr(company, "FRESH", -1.0)
    found.near(row("i3"))
    assert found._thread is not None
    found._thread.join(30)
    after = found.near(row("i3"))
    assert after is not None
    assert after[row("i4")] > share
    assert after[row("i4")] == after.max()
    monkeypatch.setattr(found, "lately", lambda: 1 / 0)
    found.near(row("i3"))
    found._thread.join(30)
    assert np.array_equal(found.near(row("i3")), after)


def test_together_differs_from_taste_where_visits_tell(made: Any) -> None:
    live = made()
    live.engine.company = Company(live.engine.ground, lambda: [(event.user, event) for mine in live.events.values() for event in mine])
    for n in range(30):
        live.happens(f"new {n}", ("i3", "view", n), ("i7", "buy", n))
    goes = live.engine.similar("i3", 5, "together").items
    assert goes[0].item == "i7"
    assert all(each.score > 0 for each in goes)

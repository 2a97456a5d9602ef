"""`counts`: every key x period from its first sale, inputs as of the origin, labels of the periods ahead."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from banyan.errors import ConfigError, DataError
from banyan.store.samples import counts
from banyan.store.samples.panel import periods

DAY = 86_400_000_000
MONDAY = 18_267 * DAY  # 2020-01-06
EVENTS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from(["view", "purchase"]), st.integers(0, 27)), min_size=1, max_size=40)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make(log_of, store_of, events, folder=None, value=None, **options):
    store = store_of(**{"recipe": "counts", "of": "purchase", "by": ["item"], "every": "day", "lags": 2, **options})
    if folder is not None:
        store.folder = folder
    log, entities = log_of([(u, i, b, MONDAY + t * DAY) for u, i, b, t in events], value=value)
    return counts.make("rows", store.samples["rows"], store, entities, log)


@QUIET
@given(events=EVENTS, ahead=st.integers(1, 3))
def test_the_panel_is_what_a_count_by_hand_gives(log_of, store_of, events, ahead):
    raw = make(log_of, store_of, events, ahead=ahead)
    begin, end = min(e[3] for e in events), max(e[3] for e in events)
    sold = lambda i, day: float(sum(e[1:] == (i, "purchase", day) for e in events))  # noqa: E731
    first = {i: min(e[3] for e in events if e[1] == i and e[2] == "purchase") for i in {e[1] for e in events if e[2] == "purchase"}}
    rows = list(zip(raw.entities["item"].tolist(), ((raw.time - MONDAY) // DAY - 1).tolist(), strict=True))
    assert sorted(rows) == sorted((i, day) for i in first for day in range(first[i], end + 1))
    assert begin <= min((day for _, day in rows), default=begin)
    for a in range(1, ahead + 1):
        assert raw.labels[f"ahead_{a}"].to_list() == [sold(i, day + a) if day + a <= end else None for i, day in rows]
    assert raw.context["lag_1"].to_list() == [sold(i, day) for i, day in rows]
    assert raw.context["lag_2"].to_list() == [sold(i, day - 1) if day > first[i] else None for i, day in rows]
    if "mean_4" in raw.context.columns:
        means = [np.mean([sold(i, d) for d in range(max(day - 3, first[i]), day + 1)]) for i, day in rows]
        np.testing.assert_allclose(raw.context["mean_4"].to_numpy(), means, rtol=1e-6)
    assert raw.window == ahead * DAY


@QUIET
@given(events=EVENTS, later=EVENTS)
def test_later_events_change_no_earlier_input(log_of, store_of, events, later):
    end = max(e[3] for e in events)
    later = [(u, i, b, end + 1 + t) for u, i, b, t in later]
    old, new = make(log_of, store_of, events), make(log_of, store_of, events + later)

    def known(raw):
        frame = raw.context.drop("age", "month", "weekday", strict=False).with_columns(item=pl.Series(raw.entities["item"]), time=pl.Series(raw.time))
        shared = [c for c in frame.columns if c in old.context.columns or c in ("item", "time")]
        return frame.select(shared).filter(pl.col("time") <= MONDAY + (end + 1) * DAY).sort("time", "item")

    assert known(old).equals(known(new))


def test_keys_of_features_share_the_vocabulary_of_the_entity(log_of, store_of):
    events = [(1, 1, "purchase", 0), (1, 4, "purchase", 0), (2, 2, "purchase", 9), (1, 1, "view", 20)]
    raw = make(log_of, store_of, events, by=["item.category", "scenario"], every="week")
    assert raw.features["item_category"].like == "item.category"
    weeks = ((raw.time - MONDAY) // (7 * DAY)).tolist()
    keys = set(zip(raw.context["item_category"].to_list(), raw.scenario.tolist(), weeks, strict=True))
    assert keys == {(c, s, w) for c, s, first in (("c1", 1, 1), ("c1", 0, 1), ("c2", 0, 2)) for w in range(first, 4)}
    assert set(raw.features) == set(raw.context.columns)
    assert raw.entities == {}


def test_values_are_summed_when_asked(log_of, store_of):
    raw = make(log_of, store_of, [(1, 1, "purchase", 0), (2, 1, "purchase", 0), (1, 1, "purchase", 1)], value=[2.5, 4.0, 8.0], total="value")
    assert raw.context["lag_1"].to_list() == [6.5, 8.0]
    assert raw.labels["ahead_1"].to_list() == [8.0, None]


def test_a_year_ago_is_read_where_the_log_reaches(log_of, store_of):
    events = [(1, 1, "purchase", 7 * week) for week in range(60) for _ in range(week + 1)]
    raw = make(log_of, store_of, events, every="week", ahead=2)
    last = raw.context.row(-1, named=True)
    assert last["lag_1"] == 60
    assert (last["year_ago_1"], last["year_ago_2"]) == (9.0, 10.0)  # weeks 60 and 61 minus 52, counted from 0
    assert raw.context["year_ago_1"][0] is None
    assert not raw.context.select(pl.col(pl.Float32).is_nan().any()).to_numpy().any()


def test_what_is_known_ahead_stands_at_its_target(log_of, store_of, tmp_path):
    day = lambda k: (datetime(2020, 1, 6) + timedelta(days=k)).date().isoformat()  # noqa: E731
    pl.DataFrame({"item": ["i1", "i1", "i2"], "period": [day(1), day(2), day(1)], "price": [5.0, 6.0, 7.0], "promo": ["a", None, "b"]}).write_csv(
        tmp_path / "plan.csv"
    )
    raw = make(log_of, store_of, [(1, 1, "purchase", 0), (1, 2, "purchase", 0), (1, 1, "purchase", 1)], tmp_path, known="plan.csv", ahead=2)
    rows = raw.context.with_columns(item=pl.Series(raw.entities["item"])).filter(pl.Series(raw.time) == MONDAY + DAY).sort("item")
    assert rows["price_1"].to_list() == [5.0, 7.0]
    assert rows["price_2"].to_list() == [6.0, None]
    assert rows["promo_1"].to_list() == ["a", "b"]
    assert raw.features["promo_2"].kind == "category"
    pl.DataFrame({"period": [day(1), day(1)], "price": [1, 2]}).write_csv(tmp_path / "plan.csv")
    with pytest.raises(DataError, match="a key and a period stand in one row only"):
        make(log_of, store_of, [(1, 1, "purchase", 0)], tmp_path, known="plan.csv")


def test_a_last_week_that_is_cut_short_is_no_whole_week():
    daily = MONDAY + np.arange(0, 7 * 5 + 3) * DAY
    assert periods("rows", "week", daily).whole == 5
    assert periods("rows", "week", daily[: 7 * 5]).whole == 5
    fridays = MONDAY + (np.arange(5) * 7 + 4) * DAY  # one stamp a week: its Friday week is whole
    assert periods("rows", "week", fridays).whole == 5
    spans = periods("rows", "10d", daily)
    assert spans.whole == 4
    assert spans.begin(np.array([4]))[0] == daily[-1] + 1


def test_what_makes_no_key_is_refused(log_of, store_of):
    with pytest.raises(ConfigError, match=r"by: 'item.colour' makes no key.*item.category"):
        make(log_of, store_of, [(1, 1, "purchase", 0)], by=["item.colour"])
    with pytest.raises(ConfigError, match="every: 'month' is no span of time"):
        make(log_of, store_of, [(1, 1, "purchase", 0)], every="month")

"""The log is sorted, its pointers look strictly backwards, and what is left out is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.errors import ConfigError, DataError
from banyan.store.entities import read_entities
from banyan.store.events import read_events
from banyan.store.schema import Store
from banyan.store.shop import EntityFrame, EventLog

BASE = 1_700_000_000
Row = tuple[str, str, int]


def log_of(folder: Path, frame: pl.DataFrame, notes: list[str] | None = None, **keys: Any) -> tuple[EventLog, dict[str, EntityFrame]]:
    frame.write_parquet(folder / "events.parquet")
    events = {"table": "events.parquet", "user": "user", "item": "item", **keys}
    store = Store.model_validate({"entities": {"user": {"id": "u"}, "item": {"id": "i"}}, "events": events, "samples": {}, "tasks": {}, "folder": folder})
    entities = read_entities(store)
    return read_events(store, entities, notes), entities


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "t": pl.Int64}, orient="row").with_columns(pl.col("t") + BASE)


def history(log: EventLog, entities: dict[str, EntityFrame], user: str, time: int) -> list[tuple[str, int]]:
    row = np.array([entities["user"].ids.tolist().index(user) + 1])
    end = log.before(row, np.array([(time + BASE) * 1_000_000]))[0]
    mine = slice(log.start[row[0]], end)
    return list(zip(entities["item"].ids[log.item[mine] - 1].tolist(), (log.time[mine] // 1_000_000 - BASE).tolist(), strict=True))


rows_ = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 9)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(rows=rows_, later=rows_, time=st.integers(0, 10))
def test_later_events_change_no_earlier_row(tmp_path_factory: pytest.TempPathFactory, rows: list[Row], later: list[Row], time: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    log, entities = log_of(folder, frame(rows), time="t")
    before = {user: history(log, entities, user, time) for user in entities["user"].ids}
    added = [(u, i, t + time) for u, i, t in later]  # at the row's own time or after it
    log, entities = log_of(folder, frame(rows + added), time="t")
    assert {user: history(log, entities, user, time) for user in before} == before
    for user, found in before.items():
        assert found == sorted([(i, t) for u, i, t in rows if u == user and t < time], key=lambda e: e[1])


def test_events_of_one_time_are_one_basket(tmp_path: Path) -> None:
    log, entities = log_of(tmp_path, frame([("a", "x", 1), ("a", "y", 2), ("a", "z", 2), ("b", "x", 0)]), time="t")
    assert history(log, entities, "a", 2) == [("x", 1)]
    assert history(log, entities, "a", 3) == [("x", 1), ("y", 2), ("z", 2)]
    assert log.user.tolist() == [1, 1, 1, 2]
    assert log.before(np.array([0]), np.array([BASE * 10**6])).tolist() == [0]


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
def test_numbers_of_any_unit_are_one_time(tmp_path: Path, unit: int) -> None:
    log, _ = log_of(tmp_path, pl.DataFrame({"user": [1, 1], "item": [1, 2], "t": [BASE * unit, (BASE + 1) * unit]}), time="t")
    assert log.time.tolist() == [BASE * 1_000_000, (BASE + 1) * 1_000_000]


def test_dates_zones_and_text_are_one_time(tmp_path: Path) -> None:
    text = pl.DataFrame({"user": ["a"] * 3, "item": ["x"] * 3, "t": ["2024-03-31 10:00:00+02:00", "2024-03-31T08:00:00Z", "2024-03-31 08:00:00"]})
    zoned = text.with_columns(pl.col("t").str.slice(0, 10).str.to_datetime().dt.replace_time_zone("Europe/Berlin"))
    assert set(log_of(tmp_path, text, time="t")[0].time.tolist()) == {1711872000000000}
    assert set(log_of(tmp_path, zoned, time="t")[0].time.tolist()) == {1711839600000000}
    assert set(log_of(tmp_path, text.with_columns(pl.lit("2024-03-31").str.to_date().alias("t")), time="t")[0].time.tolist()) == {1711843200000000}


def test_numbers_that_are_no_time_point_to_order(tmp_path: Path) -> None:
    counted = pl.DataFrame({"user": ["a", "a"], "item": ["x", "y"], "t": [2, 1]})
    with pytest.raises(DataError, match=r"events\.parquet, column t holds numbers from 1 to 2.*`order` instead of `time`"):
        log_of(tmp_path, counted, time="t")
    notes: list[str] = []
    log, _ = log_of(tmp_path, counted, notes, order="t")
    assert (log.clock, log.time.tolist(), log.item.tolist()) == ("order", [1, 2], [2, 1])
    assert "order and no time" in notes[0]
    with pytest.raises(DataError, match=r"row 2: found 1\.5; an order is a whole number"):
        log_of(tmp_path, counted.with_columns(t=pl.Series([1.0, 1.5])), order="t")


def test_without_a_clock_a_row_sees_all_of_its_user(tmp_path: Path) -> None:
    notes: list[str] = []
    log, _ = log_of(tmp_path, pl.DataFrame({"user": ["a", "b", "a"], "item": ["x", "y", "z"]}), notes)
    assert log.before(np.array([0, 1, 2]), np.zeros(3, np.int64)).tolist() == [0, 2, 3]
    assert log.clock == "none"
    assert "the log is a set" in notes[0]


def test_rows_without_what_they_need_are_left_out_and_counted(tmp_path: Path) -> None:
    table = pl.DataFrame({"user": ["a", None, "b", "c"], "item": ["x", "x", None, "y"], "t": [BASE, BASE, BASE, None], "k": ["v", "v", "v", "w"]})
    notes: list[str] = []
    log, _ = log_of(tmp_path, table, notes, time="t", behaviour="k")
    assert len(log.item) == 1
    assert log.behaviours == ("v",)
    assert [n.split(":")[1].split(" rows")[0] for n in notes] == [" 1 of 4"] * 3
    with pytest.raises(DataError, match="no row has all of user, item, time"):
        log_of(tmp_path, table.with_columns(user=pl.lit(None, pl.String)), time="t")


def test_an_unknown_id_gets_a_row_with_all_features_missing(tmp_path: Path) -> None:
    pl.DataFrame({"i": ["x"], "price": [2.0]}).write_csv(tmp_path / "items.csv")
    frame([("a", "x", 1), ("a", "new", 2)]).write_parquet(tmp_path / "events.parquet")
    store = Store.model_validate(
        {
            "entities": {"user": {"id": "u"}, "item": {"id": "i", "table": "items.csv", "features": {"price": "number"}}},
            "events": {"table": "events.parquet", "user": "user", "item": "item", "time": "t"},
            "samples": {},
            "tasks": {},
            "folder": tmp_path,
        }
    )
    notes: list[str] = []
    entities = read_entities(store, notes)
    log = read_events(store, entities, notes)
    assert entities["item"].frame.rows() == [("x", 2.0), ("new", None)]
    assert log.item.tolist() == [1, 2]
    assert notes == ["events: 1 ids of item have no row in items.csv; each got a row with all features missing."]


def test_values_scenarios_and_behaviours_are_coded(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"user": [1, 1, 2], "item": [5, 6, 5], "t": [BASE] * 3, "k": ["view", "buy", "view"], "page": ["home", None, "cart"], "v": ["1.5", None, "2"]}
    )
    log, _ = log_of(tmp_path, table, time="t", behaviour="k", scenario="page", value="v")
    assert log.behaviours == ("buy", "view")
    assert log.behaviour.tolist() == [1, 0, 1]
    assert log.scenarios == ("", "cart", "home")
    assert log.scenario.tolist() == [2, 0, 1]
    assert np.array_equal(log.value, np.array([1.5, np.nan, 2.0], np.float32), equal_nan=True)
    with pytest.raises(DataError, match="row 3: found 'lots'; it must be a number"):
        log_of(tmp_path, table.with_columns(v=pl.Series(["1", "2", "lots"])), time="t", value="v")
    with pytest.raises(ConfigError, match="no column 'when'"):
        log_of(tmp_path, table, time="when")


def test_a_user_whose_state_changes_keeps_one_run_of_events(tmp_path: Path) -> None:
    pl.DataFrame({"u": ["a", "a", "b"], "since": [BASE, BASE + 5, BASE], "city": ["x", "y", "z"]}).write_csv(tmp_path / "users.csv")
    frame([("a", "x", 1), ("a", "y", 9), ("b", "x", 3)]).write_parquet(tmp_path / "events.parquet")
    user = {"id": "u", "table": "users.csv", "valid_from": "since", "features": {"city": "category"}}
    events = {"table": "events.parquet", "user": "user", "item": "item", "time": "t"}
    store = Store.model_validate({"entities": {"user": user, "item": {"id": "i"}}, "events": events, "samples": {}, "tasks": {}, "folder": tmp_path})
    log = read_events(store, read_entities(store))
    assert log.start.tolist() == [0, 0, 0, 2, 3]  # both states of `a` begin at 0; their events lie under the newest
    assert log.user.tolist() == [2, 2, 3]

"""Every id has one row number (one a state with valid_from), and every column is what its kind promises."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.errors import ConfigError, DataError
from banyan.store.entities import extended, lookup, newest, read_entities
from banyan.store.schema import Entity, Store
from banyan.store.shop import EntityFrame

DAY, HOUR = 86_400_000_000, 3_600_000_000


def entity(folder: Path, table: pl.DataFrame, notes: list[str] | None = None, **described: Any) -> EntityFrame:
    table.write_parquet(folder / "e.parquet")
    store = Store(entities={"item": Entity(table="e.parquet", id="id", **described)}, samples={}, tasks={}, folder=folder)  # type: ignore[arg-type]
    return read_entities(store, notes)["item"]


def feature(folder: Path, values: pl.Series | list[Any], kind: Any) -> list[Any]:
    table = pl.DataFrame({"id": range(len(values)), "x": values})
    return entity(folder, table, features={"f": {"kind": kind, "column": "x"}}).frame["f"].to_list()


def test_rows_are_sorted_by_id_as_text_and_renamed(tmp_path: Path) -> None:
    frame = entity(tmp_path, pl.DataFrame({"id": [9, 10, 2], "p": [9.0, 10.0, 2.0]}), features={"price": {"kind": "number", "column": "p"}})
    assert frame.frame.to_dict(as_series=False) == {"id": ["10", "2", "9"], "price": [10.0, 2.0, 9.0]}
    assert len(frame) == 4
    assert lookup(frame, pl.Series(["9", "x", None, "10"])).tolist() == [3, 0, 0, 1]


def test_an_id_is_the_same_as_number_and_as_text(tmp_path: Path) -> None:
    table = pl.DataFrame({"id": [17.0, 3.0]})
    assert entity(tmp_path, table).ids.tolist() == ["17", "3"]
    with pytest.raises(DataError, match=r"e\.parquet, column id, row 2: found 3\.5; an id is a whole number or text"):
        entity(tmp_path, pl.DataFrame({"id": [17.0, 3.5]}))


def test_rows_without_an_id_are_left_out_and_counted(tmp_path: Path) -> None:
    notes: list[str] = []
    assert entity(tmp_path, pl.DataFrame({"id": ["a", None, "", "b"]}), notes).ids.tolist() == ["a", "b"]
    assert notes == ["entities.item: 2 of 4 rows of e.parquet have no id and were left out."]


def test_an_id_that_stands_twice_is_named_with_its_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"e\.parquet, column id: id 'a' stands in rows 1, 3; keep one row an id, or name .* `valid_from`\. 1 ids"):
        entity(tmp_path, pl.DataFrame({"id": ["a", "b", "a"]}))
    with pytest.raises(DataError, match="with one valid_from stands in rows 1, 2"):
        entity(tmp_path, pl.DataFrame({"id": ["a", "a"], "since": [1_700_000_000] * 2}), valid_from="since")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column 'brand'"):
        entity(tmp_path, pl.DataFrame({"id": ["a"], "brnd": ["x"]}), features={"brand": "category"})


@pytest.mark.parametrize(
    "kind, values, right",
    [
        ("category", [1, 2, None], ["1", "2", None]),
        ("category", [1.0, 2.0, None], ["1", "2", None]),
        ("category", [1.5, 2.0], ["1.5", "2.0"]),
        ("category", [True, False, None], ["true", "false", None]),
        ("category", ["a", "", None], ["a", None, None]),
        ("text", ["a b", None], ["a b", None]),
        ("number", [1, 2, None], [1.0, 2.0, None]),
        ("number", ["1.5", " 2 ", "", "NaN", "true"], [1.5, 2.0, None, None, 1.0]),
        ("number", [float("nan"), 1.0], [None, 1.0]),
        ("number", [True, False], [1.0, 0.0]),
        ("tags", ["a| b", "", None, "c||"], [["a", "b"], None, None, ["c"]]),
        ("tags", [["x", None], None, []], [["x"], None, []]),
        ("tags", [[1, 2], [3]], [["1", "2"], ["3"]]),
        ("vector", [[0.5, 1.0], None], [[0.5, 1.0], None]),
        ("vector", ["[0.5, 1]", "[2, 3]"], [[0.5, 1.0], [2.0, 3.0]]),
        (
            "time",
            ["1970-01-02", "1970-01-02 01:00:00", "1970-01-02T01:00Z", "1970-01-02T01:00:00.5+01:00", None],
            [DAY, DAY + HOUR, DAY + HOUR, DAY + 500_000, None],
        ),
    ],
)
def test_a_column_becomes_what_its_kind_promises(tmp_path: Path, kind: str, values: list[Any], right: list[Any]) -> None:
    assert feature(tmp_path, values, kind) == right


@pytest.mark.parametrize(
    "kind, values, said",
    [
        ("number", ["1", "abc", "2"], r"column x, row 2: found 'abc'; it must be a number"),
        ("number", [1.0, float("inf")], "row 2: found inf; a number must be finite"),
        ("number", [[1], [2]], "it must hold numbers"),
        ("category", [["a"], ["b"]], "of the kind `tags`"),
        ("time", ["1970-01-02", "soon"], "row 2: found 'soon'; a time is ISO text"),
        ("time", [20240131, 20240201], "neither seconds, milliseconds nor microseconds"),
        ("vector", [[1.0, 2.0], [1.0]], "same number of entries"),
        ("vector", [[1.0, 2.0], [1.0, float("nan")]], "row 2: .*finite"),
        ("vector", ["red", "blue"], "no list of numbers"),
        ("vector", [1.0, 2.0], "a vector is a list"),
    ],
)
def test_a_value_that_breaks_the_promise_is_named(tmp_path: Path, kind: str, values: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        feature(tmp_path, pl.Series(values), kind)


def test_a_row_reads_the_state_that_held_at_its_time(tmp_path: Path) -> None:
    since = pl.Series(["2024-01-01", "2024-03-01", "2024-02-01"])
    frame = entity(tmp_path, pl.DataFrame({"id": ["a", "a", "b"], "since": since, "price": [1, 3, 2]}), valid_from="since", features={"price": "number"})
    frame, new = extended(frame, pl.Series(["z", "a", None]))
    assert new == 1
    march, february, early = (int(np.datetime64(d, "us").astype(np.int64)) for d in ("2024-03-01", "2024-02-15", "2020-01-01"))
    ids = pl.Series(["a", "a", "a", "b", "z", "q"])
    assert lookup(frame, ids, np.array([march, february, early, march, early, march])).tolist() == [2, 1, 1, 3, 4, 0]
    assert newest(frame).tolist() == [0, 2, 2, 3, 4]
    assert frame.frame["price"].to_list() == [1.0, 3.0, 2.0, None]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), min_size=1, max_size=20, unique=True),
    asked=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-1, 21)), min_size=1),
)
def test_as_of_agrees_with_a_plain_search(rows: list[tuple[str, int]], asked: list[tuple[str, int]]) -> None:
    rows = sorted(rows)
    frame = EntityFrame("e", pl.DataFrame({"id": [r[0] for r in rows]}), np.array([r[0] for r in rows], object), np.array([r[1] for r in rows]))
    found = lookup(frame, pl.Series([a[0] for a in asked]), np.array([a[1] for a in asked]))
    for (id_, time), row in zip(asked, found, strict=True):
        own = [i + 1 for i, r in enumerate(rows) if r[0] == id_]
        past = [i for i in own if rows[i - 1][1] <= time]
        assert row == (past[-1] if past else own[0] if own else 0)

"""A bundle answers rows, the unknown among them; a bad row is named."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from banyan.bundle import Bundle
from banyan.errors import ConfigError, DataError


def test_unknown_ids_are_strangers_and_get_finite_answers(bundle: Bundle) -> None:
    rows = pl.DataFrame({"user_id": ["u1", "nobody", None], "item_id": ["nothing", "i1", "i2"]})
    found = bundle.predict("viewed", rows)
    assert found.columns == ["user_id", "item_id", "carted.cart", "bought.cart", "bought.buy"]
    answers = found.select(pl.col(pl.Float32)).to_numpy()
    assert ((answers > 0) & (answers < 1)).all()
    assert found["bought.buy"].dtype == pl.Float32


def test_two_strangers_are_answered_alike(bundle: Bundle) -> None:
    found = bundle.predict("viewed", pl.DataFrame({"user_id": ["nobody", "noone"], "item_id": ["i1", "i1"]}))
    assert found["carted.cart"][0] == found["carted.cart"][1]


def test_no_rows_get_no_answers(bundle: Bundle) -> None:
    found = bundle.predict("viewed", pl.DataFrame({"user_id": [], "item_id": []}, schema={"user_id": pl.String, "item_id": pl.String}))
    assert found.shape == (0, 5)


@pytest.mark.parametrize(
    ("table", "rows", "said"),
    [
        ("viewed", {"user_id": ["u1"]}, "no column 'item_id'"),
        ("viewed", {"user_id": ["u1"], "item_id": ["i1"], "ts": ["last week"]}, "column ts, row 1: found 'last week'"),
        ("viewed", {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "ts": ["2024-02-20", None]}, "row 2"),
        ("viewed", {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "ts": ["2024-02-20", "2020-01-01"]}, "row 2: its moment is 2020-01-01"),
        ("viewed", {"user_id": ["u1"], "item_id": ["i1"], "carted.cart": [0.5]}, "a column 'carted.cart' already"),
        ("shown", {"who": ["u1"], "what": ["i1"], "place": ["first"], "device": ["desk"]}, "column place, row 1: found 'first'"),
        ("shown", {"who": ["u1"], "what": ["i1"]}, "no column 'device'"),
    ],
)
def test_a_bad_row_is_named(bundle: Bundle, table: str, rows: dict, said: str) -> None:
    with pytest.raises(DataError) as caught:
        bundle.predict(table, pl.DataFrame(rows), where="rows.csv")
    assert said in str(caught.value)
    assert "rows.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "tasks", "said"), [("veiwed", None, "Did you mean 'viewed'"), ("viewed", ["cart"], "no task 'cart'"), ("next", None, "recommend")]
)
def test_a_wrong_question_is_answered_by_a_hint(bundle: Bundle, table: str, tasks: list | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bundle.predict(table, pl.DataFrame({"user_id": ["u1"], "item_id": ["i1"]}), tasks=tasks)


def test_what_is_known_in_training_only_is_read_at_its_stated_value(bundle: Bundle) -> None:
    rows = pl.DataFrame({"who": ["u1"] * 3, "what": ["i1"] * 3, "device": ["desk"] * 3})
    found = bundle.predict("shown", rows.with_columns(place=pl.Series([1, 5, 9])))
    plain = bundle.predict("shown", rows)
    assert found["grade.grade"].n_unique() == 1
    assert found["grade.grade"][0] == plain["grade.grade"][0]


def test_the_columns_that_it_expects_are_enough(bundle: Bundle) -> None:
    for table in ("viewed", "people", "weekly", "shown"):
        expected = bundle.expects(table)
        kinds = {name: pl.Float64 if what == "number" else pl.String for name, what in expected.items()}
        kinds |= {name: pl.Datetime("us") for name, what in expected.items() if what.startswith("time")}
        row = {name: [None] if not what.startswith("time") else [np.datetime64("2024-03-01", "us").item()] for name, what in expected.items()}
        found = bundle.predict(table, pl.DataFrame(row, schema=kinds))
        assert found.height == 1


def test_rows_of_a_file_are_answered_into_a_file(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("user_id,item_id,note\nu1,i1,007\nu2,i2,x\n")
    bundle.predict_file("viewed", tmp_path / "rows.csv", tmp_path / "out.csv")
    found = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert found["note"].to_list() == ["007", "x"]
    wanted = bundle.predict("viewed", pl.DataFrame({"user_id": ["u1", "u2"], "item_id": ["i1", "i2"]}))
    assert np.allclose(found["carted.cart"].cast(pl.Float32).to_numpy(), wanted["carted.cart"].to_numpy(), atol=1e-6)

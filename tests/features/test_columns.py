"""Promises of the columns: fitted on some rows, applied to any."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.errors import DataError
from banyan.features import columns, times
from banyan.features.columns import Layout, Values
from banyan.features.texts import Texts
from banyan.features.times import DAY
from banyan.features.vocabulary import Vocabulary
from banyan.store.schema import Feature

KINDS = {
    "number": pl.Float64(),
    "category": pl.String(),
    "text": pl.String(),
    "tags": pl.List(pl.String),
    "time": pl.Int64(),
    "vector": pl.Array(pl.Float32, 2),
}


def fitted(kind: str, values: list[object], **options: object) -> tuple[Layout, dict[str, Vocabulary]]:
    books: dict[str, Vocabulary] = {}
    frame = pl.DataFrame({"x": pl.Series(values, dtype=KINDS[kind])})
    return columns.fit("item", frame, {"x": Feature(kind=kind, **options)}, books, Texts(), prefix="item."), books


def applied(layout: Layout, books: dict[str, Vocabulary], kind: str, values: list[object], blank: bool = False) -> Values:
    return columns.apply(layout, pl.DataFrame({"x": pl.Series(values, dtype=KINDS[kind])}), books, Texts(), blank=blank)


def test_a_number_is_standardised_by_what_was_fitted() -> None:
    layout, books = fitted("number", [1.0, 2.0, 3.0, None], bins=0)
    found = applied(layout, books, "number", [2.0, None, 1e9])
    largest = applied(layout, books, "number", [3.0]).numbers[0, 0]
    assert found.numbers[:, 0].tolist() == [0.0, 0.0, largest], "beyond the training values counts as the nearest of them"
    assert found.known[:, 0].tolist() == [True, False, True]
    assert found.bins.shape == (3, 0)


def test_a_column_without_a_training_value_stays_missing() -> None:
    layout, books = fitted("number", [None, None])
    found = applied(layout, books, "number", [5.0, None])
    assert not found.known.any()
    assert not found.numbers.any()


def test_without_a_year_of_training_seasons_are_unknown() -> None:
    month = [i * DAY for i in range(30)]
    layout, books = fitted("time", month)
    assert not applied(layout, books, "time", [200 * DAY]).dense["x"][:, 5:].any()
    layout, books = fitted("time", [i * DAY for i in range(400)])
    assert applied(layout, books, "time", [200 * DAY]).dense["x"][:, 5:].any()


def test_bins_hold_about_as_many_rows_each_and_keep_the_order() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    layout, books = fitted("number", values.tolist(), bins=8)
    layout.numbers[0].offset = 100
    found = applied(layout, books, "number", values.tolist())
    share = np.bincount(found.bins[:, 0] - 100, minlength=8) / len(values)
    assert len(share) == 8
    assert abs(share - 1 / 8).max() < 0.01
    order = np.argsort(values)
    assert (np.diff(found.bins[order, 0]) >= 0).all()


def test_what_most_rows_hold_has_a_bin_to_itself_and_the_rest_is_divided() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(4000) < 0.97, 0.0, rng.random(4000))  # nearly always nothing: quantiles of all rows are all 0
    layout, books = fitted("number", values.tolist(), bins=8)
    found = applied(layout, books, "number", [0.0, 0.01, 0.3, 0.6, 0.99, -1.0])
    bins = found.bins[:, 0].tolist()
    assert len(set(bins[:5])) == 5
    assert bins[5] == bins[0]
    share = np.bincount(applied(layout, books, "number", values[values > 0].tolist()).bins[:, 0])
    assert share[share > 0].max() < 0.3 * (values > 0).sum()


def test_few_different_values_have_a_bin_each() -> None:
    layout, books = fitted("number", [3.0] * 5 + [1.0] * 90 + [2.0] * 5, bins=8)
    assert applied(layout, books, "number", [1.0, 2.0, 3.0, 2.6, 9.0]).bins[:, 0].tolist() == [0, 1, 2, 1, 2]


def test_a_long_tail_is_pulled_in() -> None:
    values = np.random.default_rng(0).lognormal(2, 2, 2000)
    layout, books = fitted("number", values.tolist())
    assert layout.numbers[0].log
    z = applied(layout, books, "number", values.tolist()).numbers[:, 0]
    assert abs(z.mean()) < 0.01
    assert abs(z.std() - 1) < 0.02
    assert not fitted("number", np.random.default_rng(0).normal(size=200).tolist())[0].numbers[0].log


@pytest.mark.parametrize("values", [[4.0] * 5, [None] * 5, [], [0.0, 1e300, -1e300], [1e-300, 0.0]])
def test_constant_empty_and_extreme_columns_give_finite_numbers(values: list[float | None]) -> None:
    layout, books = fitted("number", values)
    found = applied(layout, books, "number", [4.0, None, -1e300, 5.0])
    assert np.isfinite(found.numbers).all()
    assert found.bins.shape[1] == bool(layout.numbers[0].edges)
    assert (found.bins >= 0).all()
    assert (found.bins <= len(layout.numbers[0].edges)).all()


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=30))
def test_a_row_does_not_see_its_neighbours(values: list[float | None]) -> None:
    layout, books = fitted("number", [0.0, 1.0, 2.0, 50.0])
    together = applied(layout, books, "number", values)
    alone = [applied(layout, books, "number", [value]) for value in values]
    assert np.array_equal(together.numbers, np.concatenate([each.numbers for each in alone]))
    assert np.array_equal(together.bins, np.concatenate([each.bins for each in alone]))


@pytest.mark.parametrize("kind", ["category", "number", "tags", "text", "time", "vector"])
def test_the_blank_row_is_a_missing_one(kind: str) -> None:
    some = {"category": "a", "number": 1.0, "tags": ["a"], "text": "a", "time": DAY, "vector": [1.0, 2.0]}[kind]
    layout, books = fitted(kind, [some, None])
    blank, missing = applied(layout, books, kind, [some], blank=True), applied(layout, books, kind, [None])
    assert len(blank) == 2
    assert np.array_equal(blank.ids[:1], missing.ids)
    assert np.array_equal(blank.known[:1], missing.known)
    for offsets, _ in blank.bags.values():
        assert offsets[:2].tolist() == [0, 0]
        assert offsets[2] > 0
    for entries in blank.dense.values():
        assert not entries[0].any()
        assert entries[1].any()


def test_tags_may_be_empty_missing_or_unknown() -> None:
    layout, books = fitted("tags", [["a", "b"], [], None, ["a"]])
    offsets, ids = applied(layout, books, "tags", [[], ["a", "z"], None, ["b"]]).bags["x"]
    assert offsets.tolist() == [0, 0, 2, 2, 3]
    assert ids.tolist() == [2, 1, 3]
    offsets, ids = applied(layout, books, "tags", [None, []]).bags["x"]
    assert offsets.tolist() == [0, 0, 0]
    assert len(ids) == 0


def test_texts_may_be_empty_or_missing() -> None:
    layout, books = fitted("text", ["red dress"], buckets=64)
    layout.texts["x"] = (1000, 64)
    offsets, ids = applied(layout, books, "text", ["", None, "红色"]).bags["x"]
    assert offsets.tolist() == [0, 0, 0, 3]
    assert ((ids >= 1000) & (ids < 1064)).all()


def test_a_text_keeps_as_many_grams_as_its_feature_says_words_first() -> None:
    review = "soft red dress, nicely cut and lined"
    all_of_it = applied(*fitted("text", [review], grams=400), "text", [review]).bags["x"][1]
    few = applied(*fitted("text", [review], grams=3), "text", [review]).bags["x"][1]
    assert len(all_of_it) > 20
    assert few.tolist() == all_of_it[:3].tolist()


@pytest.mark.parametrize("wrong", [{"kind": "number"}, {"kind": "text", "encoder": "frozen"}])
def test_only_hashed_texts_have_grams(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="grams says how many n-grams of a text are kept"):
        Feature(**wrong, grams=100)


def test_a_text_is_read_by_runs_of_letters_where_its_feature_says_so() -> None:
    layout, books = fitted("text", ["tee"], letters=[2, 3])
    assert len(applied(layout, books, "text", ["tee"]).bags["x"][1]) == 1 + 4 + 3
    assert columns.restored(json.loads(json.dumps(columns.plain(layout)))).features["x"].letters == (2, 3)


@pytest.mark.parametrize(("wrong", "said"), [({"kind": "number"}, "no text"), ({"kind": "text", "encoder": "frozen"}, "no text"), ({"kind": "text"}, "2 to 8")])
def test_runs_of_letters_are_of_hashed_texts_and_short(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=f"letters .*{said}"):
        Feature(**wrong, letters=(1, 3))


def test_times_may_be_missing_everywhere() -> None:
    layout, books = fitted("time", [None, None])
    found = applied(layout, books, "time", [None, 5 * DAY]).dense["x"]
    assert not found[0].any()
    assert np.isfinite(found).all()


def test_a_time_says_its_hour_weekday_and_season() -> None:
    noon = np.array([(4 + 3) * DAY + DAY // 2, 11 * DAY])  # Thursday 8 January 1970 at noon; Monday 12 January, midnight
    parts = times.time_parts(noon)
    assert np.allclose(parts[:, 0], 0)
    assert np.allclose(parts[:, 1:3], [[0, -1], [0, 1]], atol=1e-6)
    assert np.allclose(parts[1, 3:5], [0, 1], atol=1e-6)  # a week begins on Monday
    aged = times.time_parts(np.array([0.0, 10.0 * DAY, np.nan]), mean=5.0, scale=5.0)
    assert aged[:, 0].tolist() == [-1.0, 1.0, 0.0]
    assert not aged[2].any()


def test_vectors_without_one_in_training_are_refused() -> None:
    frame = pl.DataFrame({"x": pl.Series([None, None], dtype=pl.List(pl.Float32))})
    with pytest.raises(DataError, match=r"item\.x: no training row has a vector"):
        columns.fit("item", frame, {"x": Feature(kind="vector")}, {}, Texts())


def test_features_that_are_alike_share_their_rows() -> None:
    books: dict[str, Vocabulary] = {}
    columns.fit("item", pl.DataFrame({"kind": ["p", "q"]}), {"kind": Feature(kind="category")}, books, Texts(), prefix="item.")
    layout = columns.fit("context", pl.DataFrame({"favourite": ["q", "z"]}), {"favourite": Feature(kind="category", like="item.kind")}, books, Texts())
    assert list(books) == ["item.kind"]
    found = columns.apply(layout, pl.DataFrame({"favourite": ["p", "q", "z"]}), books, Texts())
    assert found.ids[:, 0].tolist() == books["item.kind"].rows(pl.Series(["p", "q", "z"])).tolist()


def test_frozen_texts_are_vectors_and_missing_ones_zeros() -> None:
    class Few(Texts):
        def width(self, model: str | None = None) -> int:
            return 3

        def vectors(self, texts: pl.Series, model: str | None = None) -> np.ndarray:
            return np.array([[0.0] * 3 if t is None else [1.0, 2.0, 3.0] for t in texts], np.float32)

    feature = {"x": Feature(kind="text", encoder="frozen")}
    layout = columns.fit("item", pl.DataFrame({"x": ["a"]}), feature, {}, Few())
    assert layout.dense == {"x": ("vector", 3)}
    found = columns.apply(layout, pl.DataFrame({"x": ["a", None]}), {}, Few())
    assert found.dense["x"].tolist() == [[1, 2, 3], [0, 0, 0]]


@pytest.mark.parametrize("kind", ["tags", "text", "time", "vector"])
def test_only_categories_and_numbers_have_a_stated_value(kind: str) -> None:
    with pytest.raises(ValueError, match="training_only states a category or a number"):
        Feature(kind=kind, training_only="x")

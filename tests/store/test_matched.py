"""Text finds the value beside its word, whether it comes as text or coded."""

import numpy as np
import polars as pl
import pytest

from banyan.store.columns import matched
from banyan.store.events import coded

TEXT = ["b", None, "unknown", "a", "b", ""]


@pytest.mark.parametrize("kind", [pl.String(), pl.Categorical(), pl.Categorical(pl.Categories.random())])
def test_a_word_finds_its_value_and_no_other_does(kind: pl.DataType) -> None:
    column = pl.Series("x", TEXT, dtype=pl.String).cast(kind)
    found = matched(column, pl.Series(["a", "b", "c"]), np.array([10, 20, 30], np.int32))
    assert found.dtype == pl.Int32
    assert found.to_list() == [20, None, None, 10, 20, None]
    assert matched(column[:0], pl.Series(["a"]), np.array([1], np.int32)).to_list() == []
    assert matched(column, pl.Series([], dtype=pl.String), np.zeros(0, np.int32)).to_list() == [None] * 6
    assert matched(pl.Series([None, None], dtype=pl.String).cast(kind), pl.Series(["a"]), np.array([1], np.int32)).to_list() == [None] * 2


@pytest.mark.parametrize("kind", [pl.String(), pl.Categorical(pl.Categories.random())])
def test_words_are_numbered_by_the_known_then_by_the_text(kind: pl.DataType) -> None:
    names, codes = coded(pl.Series("x", ["q", None, "b", "q", "a"], dtype=pl.String).cast(kind), ("", "b"))
    assert names == ("", "b", "a", "q")
    assert codes.tolist() == [3, 0, 1, 3, 2]

"""Promises of vocabularies."""

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from banyan.features import vocabulary
from banyan.features.vocabulary import FIRST, Vocabulary

WORDS = st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "b", "红", "c c"])), max_size=30)


def test_missing_and_never_seen_values_have_rows_of_their_own() -> None:
    book = vocabulary.fit("city", pl.Series(["b", "a", "b", None]))
    book.offset = 10
    assert book.rows(pl.Series(["a", None, "z", "b"])).tolist() == [13, 10, 11, 12]
    assert (book.missing, book.unseen, len(book)) == (10, 11, 4)
    assert book.rows(pl.Series([], dtype=pl.String)).tolist() == []
    assert book.rows(pl.Series([None, None])).tolist() == [10, 10]


def test_rare_values_share_the_row_of_the_never_seen() -> None:
    book = vocabulary.fit("city", pl.Series(["a"] * 3 + ["b"] * 2 + ["c"]), least=2)
    assert book.values == ["a", "b"]
    assert book.rows(pl.Series(["c"])).tolist() == [book.unseen]


@given(WORDS)
def test_the_order_of_rows_and_ties_do_not_change_a_vocabulary(words: list[str | None]) -> None:
    one = vocabulary.fit("x", pl.Series(words, dtype=pl.String))
    other = vocabulary.fit("x", pl.Series(words[::-1], dtype=pl.String))
    assert one.values == other.values
    counts = [words.count(value) for value in one.values]
    assert counts == sorted(counts, reverse=True)
    assert all(a > b or one.values[i] < one.values[i + 1] for i, (a, b) in enumerate(pairwise(counts)))


@given(WORDS, st.integers(0, 99))
def test_every_known_value_comes_back(words: list[str | None], offset: int) -> None:
    book = vocabulary.fit("x", pl.Series(words, dtype=pl.String))
    book.offset = offset
    rows = book.rows(pl.Series(words, dtype=pl.String))
    assert rows.dtype == np.int32
    back = [None if row == offset else book.values[row - offset - FIRST] for row in rows.tolist()]
    assert back == words


def test_ids_of_several_rows_are_counted_together() -> None:
    book = vocabulary.of_counts("item.id", np.array(["x", "y", "x", "z"], object), np.array([1, 2, 1, 0]), least=2)
    assert book.values == ["x", "y"]
    assert vocabulary.of_counts("item.id", np.array(["x"], object), np.array([0])).values == []  # never named in training


def test_a_vocabulary_without_values_knows_missing_and_unseen() -> None:
    book = Vocabulary("x", [])
    assert book.rows(pl.Series(["a", None])).tolist() == [1, 0]

"""BM25 with fields over exact tokens: by hand on one word, fields weighed, and items that hold every token."""

import numpy as np
import polars as pl
import pytest

from banyan.features import tokens
from banyan.retrieval.terms import Terms, spread

TITLES = ["", "red cotton dress", "blue dress dress", "hammer", "红色连衣裙"]


def token(word: str) -> int:
    return int(tokens.hashes([word])[0])


@pytest.fixture(scope="module")
def index() -> Terms:
    return Terms([(*tokens.bag(pl.Series(TITLES)), 1.0)], len(TITLES) + 2)


def test_one_word_is_weighed_as_the_formula_says(index: Terms) -> None:
    length, mean = np.array([3.0, 3.0]), (3 + 3 + 1 + 9) / 4
    tf = np.array([1.0, 2.0]) / (1 - 0.75 + 0.75 * length / mean)
    wanted = np.log1p((4 - 2 + 0.5) / (2 + 0.5)) * tf * 2.2 / (tf + 1.2)
    dress = int(tokens.hashes([tokens.fold("dress")])[0])
    assert np.allclose(index.scores([(dress, 1.0)])[1:3], wanted, rtol=1e-5)
    assert np.allclose(index.scores([(dress, 0.5)]), index.scores([(dress, 1.0)]) / 2)
    assert index.scores([(token("nothing"), 1.0)]).tolist() == [0.0] * 7


def test_items_that_hold_every_token(index: Terms) -> None:
    dress, red = token("dress"), token("red")
    assert index.held([dress]).tolist() == [1, 2]
    assert index.held([dress, red]).tolist() == [1]
    assert index.held([dress, token("nothing")]).tolist() == []
    assert index.held([]).tolist() == []
    assert [index.often(each) for each in (dress, token("nothing"))] == [2, 0]


def test_a_field_that_counts_more_is_worth_more() -> None:
    title, name = tokens.bag(pl.Series(["sofa", "lamp"])), tokens.bag(pl.Series(["lamp", "sofa"]))
    scores = Terms([(*title, 1.0), (*name, 0.4)], 2).scores([(token("sofa"), 1.0)])
    assert scores[0] > scores[1] > 0


def test_an_empty_catalogue_is_no_error() -> None:
    empty = Terms([(*tokens.bag(pl.Series([], dtype=pl.String)), 1.0)], 3)
    assert empty.scores([(5, 1.0)]).tolist() == [0, 0, 0]
    assert len(empty.held([5])) == 0


def test_names_are_spread_to_the_items_that_have_them() -> None:
    shoes, red = (tokens.bag(pl.Series([name]))[1] for name in ("shoes", "red"))
    bag = tokens.bag(pl.Series(["shoes", "red"]))
    offsets, found = spread(*bag, [np.array([0, -1, 0, -1]), np.array([1, 1, -1, -1])])
    assert np.diff(offsets).tolist() == [len(shoes) + len(red), len(red), len(shoes), 0]
    index = Terms([(offsets, found, 1.0)], 4)
    assert (index.scores([(int(red[0]), 1.0)]) > 0).tolist() == [True, True, False, False]
    assert (index.scores([(int(shoes[0]), 1.0)]) > 0).tolist() == [True, False, True, False]

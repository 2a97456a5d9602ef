"""BM25 over n-grams: by hand on one word, in two scripts, half typed; and texts of categories spread to items."""

import numpy as np
import pytest

from banyan.retrieval.words import Words, bag, spread

TITLES = ["red cotton dress", "blue dress", "hammer", "红色连衣裙", "蓝色衬衫", ""]


@pytest.fixture(scope="module")
def index() -> Words:
    return Words(*bag(TITLES, 1 << 16), 1 << 16)


@pytest.mark.parametrize(("query", "best"), [("hammer", 2), ("HAMM", 2), ("red dress", 0), ("blue", 1), ("连衣裙", 3), ("衬衫", 4), ("蓝色", 4)])
def test_the_item_that_holds_the_words_is_first(index: Words, query: str, best: int) -> None:
    scores = index.scores(query)
    assert scores.argmax() == best
    assert scores[best] > 0


def test_what_shares_nothing_has_no_score(index: Words) -> None:
    for query in ("", "zzz", "!!"):
        assert not index.scores(query).any()
    assert index.scores("hammer")[-1] == 0


def test_one_word_is_weighed_as_the_formula_says() -> None:
    found = Words(*bag(["aa", "aa bb", "cc"], 1 << 16), 1 << 16).scores("aa")
    lengths = np.array([1.0, 3.0])  # words and pairs
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    wanted = idf * 2.2 / (1 + 1.2 * (1 - 0.75 + 0.75 * lengths / (5 / 3)))
    assert np.allclose(found[:2], wanted, rtol=1e-5)


def test_names_are_spread_to_the_items_that_have_them() -> None:
    offsets, grams = spread(*bag(["shoes", "red"], 1000), [np.array([0, -1, 0, -1]), np.array([1, 1, -1, -1])])
    assert np.diff(offsets).tolist() == [np.diff(bag(["shoes", "red"], 1000)[0]).sum(), 1, 4, 0]
    index = Words(offsets, grams, 1000)
    assert (index.scores("red") > 0).tolist() == [True, True, False, False]
    assert (index.scores("shoes") > 0).tolist() == [True, False, True, False]

"""Promises of the words that two texts share, by values counted by hand."""

import numpy as np
import pytest

from banyan.features import word_pairs, words
from banyan.features.word_pairs import compare, inverse_frequency

BUCKETS = 5000
FLAT = np.ones(BUCKETS)


def bag(*texts: str | None, first: int = 0) -> word_pairs.Bag:
    offsets, grams = words.grams(list(texts), BUCKETS)
    return offsets, grams + first, first


def of(left: str | None, right: str | None, weight: np.ndarray = FLAT) -> list[float]:
    return compare(bag(left), np.zeros(1, np.int64), bag(right), np.zeros(1, np.int64), weight)[0].tolist()


def test_shares_and_cosine_by_hand() -> None:
    # `red cat` has the grams red, cat, red+cat; `red dog cat` has red, dog, cat, red+dog, dog+cat: red and cat are shared
    assert of("red cat", "red dog cat") == pytest.approx([2 / 3, 2 / 5, 2 / np.sqrt(3 * 5)])
    assert of("red cat", "red cat") == pytest.approx([1, 1, 1])
    assert of("red cat", "blue dog") == [0, 0, 0]


def test_a_text_without_words_is_like_nothing() -> None:
    assert of(None, "red") == of("red", "") == of(None, None) == [0, 0, 0]


def test_chinese_works() -> None:
    # 红色 has 红, 色, 红色; 红色裙 has 红, 色, 裙, 红色, 色裙
    assert of("红色", "红色裙") == pytest.approx([1, 3 / 5, 3 / np.sqrt(15)])


def test_what_every_title_says_weighs_little() -> None:
    titles = bag("new red", "new blue", "new hat", None)
    weight = inverse_frequency(titles, BUCKETS)
    new, red = (words.grams([word], BUCKETS)[1][0] for word in ("new", "red"))
    assert weight[new] == pytest.approx(np.log(5 / 4) + 1)
    assert weight[red] == pytest.approx(np.log(5 / 2) + 1)
    assert of("red", "new red", weight)[2] > of("new", "new red", weight)[2]


def test_repeated_words_count_in_the_cosine() -> None:
    # no no yes has no twice, yes, no+no, no+yes: |.| = sqrt(4 + 1 + 1 + 1)
    assert of("no", "no no yes") == pytest.approx([1, 1 / 4, 2 / np.sqrt(7)])


def test_one_row_against_many_and_buckets_that_begin_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = bag("red cat", "红色", None, first=700), bag("red dog cat", "红色裙", "red", "cat red", first=9000)
    a, b = np.array([0, 1, 2]), np.array([[0, 1, 2, 3]] * 3)
    whole = compare(left, a[:, None], right, b, FLAT)
    assert whole.shape == (3, 4, 3)
    for i in range(3):
        for j in range(4):
            assert np.array_equal(whole[i, j], compare(left, a[i : i + 1], right, b[i, j : j + 1], FLAT)[0])
    monkeypatch.setattr(word_pairs, "CHUNK", 5)
    assert np.array_equal(whole, compare(left, a[:, None], right, b, FLAT))
    assert compare(left, a[:0], right, b[0, :0], FLAT).shape == (0, 3)

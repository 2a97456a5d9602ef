"""Promises of what judged pairs teach about words: other words are learned, noise is not, and a training row reads nothing of its own query."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.features import taught
from banyan.features.build import build
from banyan.features.lexicon import Letters, letters
from banyan.features.plan import Plan
from banyan.features.taught import FOLDS, Lessons, folds, guess, plain, restored, teach
from banyan.store.shop import Shop
from banyan.types import TRAIN, Array

FIRST, SECOND = ["red", "blue", "green", "white"], ["small", "large", "old", "new"]


def text(*texts: str | None) -> Letters:
    return letters(pl.Series(texts, dtype=pl.String))


def judged(pairs: list[tuple[str, str, float]], times: int = 10) -> tuple[Letters, Letters, Array, Array]:
    """(Queries, titles, row numbers of both, labels) of pairs, each said in several ways."""
    said = [(f"{query} {FIRST[i % 4]} {SECOND[i // 4 % 4]}", title, label) for query, title, label in pairs for i in range(times)]
    left, right, label = zip(*said, strict=True)
    return text(*left), text(*right), np.arange(len(said)), np.array(label)


@pytest.fixture(scope="module")
def sofas() -> Lessons:
    """A couch answers a sofa though no letter says so, a table does not; the same in Chinese."""
    pairs = [("sofa", "couch", 1.0), ("sofa", "table", 0.0), ("沙发", "长椅", 1.0), ("沙发", "桌子", 0.0)]
    left, right, rows, label = judged(pairs)
    return teach(left, rows, right, rows, label, np.ones(len(rows)))[0]


def of(query: str | None, title: str | None, learned: Lessons) -> float:
    one = np.zeros(1, np.int64)
    return float(guess(text(query), one, text(title), one, learned)[0, 0])


def test_words_that_answer_others_are_learned(sofas: Lessons) -> None:
    assert of("sofa", "couch", sofas) > 0.2
    assert of("sofas", "couch", sofas) == of("sofa", "couch", sofas)  # plurals are folded
    assert of("sofa", "table", sofas) < -0.2
    assert of("沙发", "长椅", sofas) > 0.2
    assert of("沙发", "桌子", sofas) < -0.2


def test_nothing_is_said_without_words_or_of_words_that_nobody_judged(sofas: Lessons) -> None:
    assert of(None, "couch", sofas) == of("...", "couch", sofas) == 0
    assert of("lamp", "lantern", sofas) == 0
    assert of("sofa", None, sofas) == pytest.approx(0, abs=0.1)  # a lost word, which was lost as often in good answers as in bad ones


def test_a_ridge_by_hand() -> None:
    """Queries of a word each, which are too few to be learned; two titles of a word each, 20 times: w = 20 / (STRENGTH + 20) for labels of +-1."""
    left, right, rows, label = (
        text(*(f"{chr(97 + i % 20)}x{chr(97 + i // 20)}" for i in range(40))),
        text(*["couch", "table"] * 20),
        np.arange(40),
        np.array([1.0, 0.0] * 20),
    )
    found = teach(left, rows, right, rows, label, np.ones(40))[0]
    expected = 20 / (taught.STRENGTH + 20)
    assert of("sofa", "couch", found) == pytest.approx(expected, abs=1e-3)
    assert of("sofa", "table", found) == pytest.approx(-expected, abs=1e-3)


def test_what_no_other_query_confirms_is_not_learned() -> None:
    left, right, rows, label = text(*["sofa"] * 40), text(*["couch", "table"] * 20), np.arange(40), np.array([1.0, 0.0] * 20)
    assert not teach(left, rows, right, rows, label, np.ones(40))[0].weight.any()


def test_what_few_rows_show_is_not_learned() -> None:
    left, right, rows, label = judged([("sofa", "couch", 1.0), ("sofa", "table", 0.0)], times=taught.LEAST - 1)
    found = teach(left, rows, right, rows, label, np.ones(len(rows)))[0]
    assert of("x", "couch", found) == 0


def test_labels_that_are_all_the_same_teach_nothing() -> None:
    left, right, rows, label = judged([("sofa", "couch", 1.0)])
    whole, apart = teach(left, rows, right, rows, label, np.ones(len(rows)))
    assert len(apart) == FOLDS
    assert not any(each.weight.any() for each in (whole, *apart))
    none = teach(left, rows[:0], right, rows[:0], label[:0], np.ones(0))[0]
    assert plain(none) == {"bucket": [], "weight": []}


def test_a_bundle_keeps_what_was_learned(sofas: Lessons) -> None:
    assert np.array_equal(restored(plain(sofas)).weight, sofas.weight)
    assert not restored({}).weight.any()


def test_queries_of_the_same_words_share_a_fold() -> None:
    found = folds(text("red sofa", "sofa, RED", "red sofas", "lamp"), np.array([0, 1, 2, 0, 3]))
    assert len(set(found[:4].tolist())) == 1
    many = folds(text(*(f"word{i}" for i in range(400))), np.arange(400))
    assert np.bincount(many, minlength=FOLDS).min() > 20


def test_noise_teaches_nothing() -> None:
    rng = np.random.default_rng(0)
    queries = text(*(f"q{i} {FIRST[i % 4]}" for i in range(60)))
    asked, rows, label = rng.integers(0, 60, 600), np.arange(600), rng.random(600)
    titles = text(*(f"{SECOND[i % 4]} t{i % 50}" for i in range(600)))
    whole, apart = teach(queries, asked, titles, rows, label, np.ones(600))
    assert not any(each.weight.any() for each in (whole, *apart))


def test_a_long_text_and_many_rows_are_read_in_part(monkeypatch: pytest.MonkeyPatch, sofas: Lessons) -> None:
    long = " ".join(f"w{i}" for i in range(90))
    assert of(f"sofa {long}", f"couch {long}", sofas) != 0
    monkeypatch.setattr(taught, "CHUNK", 7)
    monkeypatch.setattr(taught, "ROWS", 20)
    left, right, rows, label = judged([("sofa", "couch", 1.0), ("sofa", "table", 0.0)])
    found = teach(left, rows, right, rows, label, np.ones(len(rows)))[0]
    assert of("sofa", "couch", found) > 0.1 > -0.1 > of("sofa", "table", found)


def test_a_store_learns_from_its_judgements(
    opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Callable[..., dict[str, pl.DataFrame]]
) -> None:
    page = described()
    del page["events"]
    page["samples"] = {"judged": page["samples"]["judged"]}
    page["tasks"] = {"grade": page["tasks"]["grade"]}
    found = tables()
    answers = found["items"].filter(pl.col("title").str.contains("(?i)shirt"))["item_id"].implode()
    found["judged"] = found["judged"].with_columns(grade=pl.col("what").is_in(answers).cast(pl.Int64) * 3)
    data = build(opened(found, page))
    key, table = "query.text:item.title", data.tables["judged"]
    assert data.plan.taught[key]["bucket"]
    assert table.pair is not None
    assert np.array_equal(restored(Plan.from_json(data.plan.to_json()).taught[key]).weight, data.stock.lessons(key).weight)
    column = table.pair[:, data.plan.pair.index(f"{key}:taught")]
    left, right = (Letters(*data.stock.entities[name].bags[f"{of_}:letters"]) for name, of_ in (("query", "text"), ("item", "title")))
    asked, item = (table.entities[name].astype(np.int64) for name in ("query", "item"))
    whole = guess(left, asked, right, item, data.stock.lessons(key))[:, 0]
    assert np.array_equal(column[table.part != TRAIN], whole[table.part != TRAIN])
    assert not np.array_equal(column[table.part == TRAIN], whole[table.part == TRAIN])

"""Promises of how the words of a query meet those of a title."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.features import word_match
from banyan.features.lexicon import letters, lexicon
from banyan.features.word_match import FIGURES, match

TITLES = [
    "Red Velvet Sofa with Cushions in Blue",
    "2 in. Doorstop for Doors",
    "红色连衣裙 丝绸",
    "x",
    "BEHR Premium Textured DeckOver 1-gal.",
    "3/4 in. Angle Bracket",
    None,
    "Blue Sofa",
]


def met(query: str | None, title: str | None, titles: list[str | None] | None = None) -> dict[str, float]:
    """The figures of one pair."""
    right = letters(pl.Series([title], dtype=pl.String))
    known = lexicon(letters(pl.Series(titles or TITLES, dtype=pl.String)))
    row = np.zeros(1, np.int64)
    return dict(zip(FIGURES, match(letters(pl.Series([query], dtype=pl.String)), row, right, row, known)[0].tolist(), strict=True))


def test_every_word_found_is_all_of_them() -> None:
    found = met("blue sofa", "Blue Sofa")
    ones = (
        "met",
        "met_exact",
        "met_half",
        "met_least",
        "met_idf",
        "exact_idf",
        "rare_met",
        "last_met",
        "noun_met",
        "covered",
        "right_head",
        "order",
        "letters3",
    )
    assert [found[name] for name in ones] == pytest.approx([1.0] * len(ones))
    assert found["lost"] == found["lost_idf"] == found["lost_most"] == 0
    assert found["bm25"] > met("blue sofa", "Red Velvet Sofa with Cushions in Blue")["bm25"] > met("blue sofa", "3/4 in. Angle Bracket")["bm25"] == 0


def test_a_misspelt_word_and_a_plural_are_nearly_met() -> None:
    for query in ("angle braket", "angel bracket", "angle brackets"):
        found = met(query, "3/4 in. Angle Bracket")
        assert 0.7 < found["met"] < 1
        assert found["met_exact"] == 0.5
    assert met("angle braket", "3/4 in. Angle Bracket")["met_half"] == 1
    assert met("sofa", "3/4 in. Angle Bracket")["met"] < 0.2


def test_words_written_apart_are_met_by_their_letters() -> None:
    assert met("deck over", "BEHR Premium Textured DeckOver 1-gal.")["letters5"] == 1
    assert met("door stop", "2 in. Doorstop for Doors")["letters3"] == 1


def test_the_head_of_a_title_stands_before_its_extras() -> None:
    """A sofa with cushions is a sofa."""
    sofa, cushion = met("sofa", TITLES[0]), met("cushions", TITLES[0])
    assert (sofa["right_head"], sofa["beyond_head"]) == (1, 0)
    assert cushion["right_head"] < 0.3
    assert cushion["beyond_head"] == 1
    assert met("bracket", "3/4 in. Angle Bracket")["right_head"] == 1  # behind a number, in is an inch


def test_numbers_are_met_as_numbers_and_units_in_any_spelling() -> None:
    found = met('3/4 inch bracket 24"', "3/4 in. Angle Bracket")
    assert (found["numbers_met"], found["units_met"]) == (0.5, 1)
    assert met("3/8 inch", "3/4 in. Angle Bracket")["numbers_met"] == 0
    assert met("500ml", "水 500 ml")["met_exact"] == 1


def test_order_and_neighbours_are_told_apart() -> None:
    assert met("velvet sofa", TITLES[0])["adjacent"] == 1
    assert (met("red sofa", TITLES[0])["order"], met("red sofa", TITLES[0])["adjacent"]) == (1, 0)
    assert met("sofa red", TITLES[0])["order"] == 0


def test_a_rare_word_counts_for_more() -> None:
    titles: list[str | None] = ["common thing"] * 20 + ["rare thing"]
    assert met("common rare", "common thing", titles)["met_idf"] < met("common rare", "rare thing", titles)["met_idf"]
    assert met("common rare", "common thing", titles)["lost_most"] > met("common rare", "rare thing", titles)["lost_most"]


def test_chinese_is_met_character_by_character() -> None:
    found = met("红色 丝绸裙", "红色连衣裙 丝绸")
    assert found["met_exact"] == 1
    assert met("蓝色的锤子", "红色连衣裙 丝绸")["met_exact"] == pytest.approx(0.2)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.none() | st.text(max_size=12), st.none() | st.text(max_size=20)), min_size=1, max_size=6))
def test_any_texts_give_finite_figures_which_do_not_depend_on_the_others(pairs: list[tuple[str | None, str | None]]) -> None:
    left, right = (letters(pl.Series(each, dtype=pl.String)) for each in zip(*pairs, strict=True))
    known, rows = lexicon(right), np.arange(len(pairs))
    whole = match(left, rows, right, rows, known)
    assert np.isfinite(whole).all()
    assert whole.min() >= -1e-6
    assert whole.max() < 5
    assert np.allclose(np.concatenate([match(left, rows[i : i + 1], right, rows[i : i + 1], known) for i in rows]), whole, atol=1e-6)


def test_many_pairs_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = letters(pl.Series(TITLES, dtype=pl.String))
    a, b = np.repeat(np.arange(8), 8), np.tile(np.arange(8), 8)
    whole = match(texts, a, texts, b, lexicon(texts))
    monkeypatch.setattr(word_match, "CHUNK", 5)
    monkeypatch.setattr("banyan.features.lexicon.CHUNK", 5)
    assert np.allclose(match(texts, a, texts, b, lexicon(texts)), whole, atol=1e-6)
    assert match(texts, a[:0], texts, b[:0], lexicon(texts)).shape == (0, len(FIGURES))

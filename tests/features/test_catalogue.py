"""Promises of what a catalogue says of a query: hand-computed figures, the best and the rest, and that pairs do not see each other."""

from math import log, log1p

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.features import catalogue as module
from banyan.features.catalogue import FIGURES, Catalogue, catalogue, rows, stands
from banyan.features.lexicon import Letters, letters
from banyan.types import Array

TITLES = [None, "red sofa", "red chair", "blue chair", "green lamp", "红色连衣裙", "蓝色连衣裙", "红色沙发"]


def known(titles: list[str | None]) -> tuple[Letters, Catalogue]:
    """The letters of titles, of which the first is the missing one, and their catalogue."""
    found = letters(pl.Series(titles, dtype=pl.String))
    return found, catalogue(found, rows(len(titles) - 1))


def figures(query: str | None, title: str | None, titles: list[str | None] | None = None) -> dict[str, float]:
    """The figures of one pair before a catalogue."""
    one, (left, right) = np.zeros(1, np.int64), (letters(pl.Series([each], dtype=pl.String)) for each in (query, title))
    return dict(zip(FIGURES, stands(left, one, right, one, known(titles or TITLES)[1])[0].tolist(), strict=True))


def test_figures_by_hand() -> None:
    titles: list[str | None] = [None, "red sofa", "red chair", "blue chair", "green lamp"]  # two stems each, so a stem found once counts its rarity
    two, one = log(5 / 3), log(5 / 2)  # of red and chair, which two titles hold, and of those that one holds
    assert figures("red chairs", "red sofa", titles) == pytest.approx(
        {
            "said": two / 20,
            "of_best": 0.5,
            "above": log1p(1) / log1p(4),  # red chair
            "best": 2 * two / 20,
            "answered": 1.0,
            "full": log1p(1) / log1p(4),  # red chair alone holds both
        },
        rel=1e-3,
    )
    assert figures("blue velvet lamp", "green lamp", titles) == pytest.approx(
        {
            "said": one / 20,
            "of_best": 1.0,
            "above": 0.0,
            "best": one / 20,
            "answered": 1 / 3,
            "full": log1p(2) / log1p(4),  # one holds blue, one lamp
        },
        rel=1e-3,
    )


def test_a_text_that_is_not_in_the_catalogue_may_be_the_best() -> None:
    found = figures("green sofa", "green sofa")
    assert (found["of_best"], found["above"]) == (1, 0)
    assert found["best"] == found["said"] > figures("green sofa", "red sofa")["best"]


def test_a_title_does_not_stand_above_itself() -> None:
    for title in TITLES[1:]:
        assert figures(title, title)["above"] == 0
        assert figures(title, title)["of_best"] == 1


def test_chinese_titles_are_told_apart() -> None:
    dress, other, sofa = (figures("红色连衣裙", title) for title in ("红色连衣裙", "蓝色连衣裙", "红色沙发"))
    assert dress["said"] > other["said"] > sofa["said"] > 0
    assert dress["above"] == 0
    assert other["above"] == pytest.approx(log1p(1) / log1p(7))
    assert dress["full"] == pytest.approx(log1p(1) / log1p(7))
    assert figures("skirt", "红色沙发")["said"] == 0


def test_a_query_of_which_nothing_is_known_and_one_without_words() -> None:
    assert figures("zebra", "red sofa") == {"said": 0, "of_best": 0, "above": 0, "best": 0, "answered": 0, "full": 1}
    assert not any(figures(None, "red sofa").values())
    assert not any(figures("...", "red sofa").values())
    assert figures("red", None)["said"] == 0
    assert not any(figures("red", "red", [None]).values())  # no catalogue


def test_a_large_catalogue_is_drawn_evenly() -> None:
    found = rows(200_000)
    assert len(found) == module.MOST
    assert (found[0], found[-1]) == (1, 200_000)
    assert np.diff(found).max() <= 4
    assert rows(3).tolist() == [1, 2, 3]
    assert rows(0).tolist() == []


def pairs(count: int) -> tuple[Letters, Array, Array]:
    """All pairs of titles."""
    return letters(pl.Series(TITLES, dtype=pl.String)), np.repeat(np.arange(count), count), np.tile(np.arange(count), count)


def test_many_queries_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text, a, b = pairs(len(TITLES))
    whole = stands(text, a, text, b, known(TITLES)[1])
    monkeypatch.setattr(module, "CELLS", 10)
    assert np.array_equal(stands(text, a, text, b, known(TITLES)[1]), whole)
    assert stands(text, a[:0], text, b[:0], known(TITLES)[1]).shape == (0, len(FIGURES))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.none() | st.text(max_size=12), st.none() | st.text(max_size=20)), min_size=1, max_size=6))
def test_any_texts_give_figures_between_bounds_which_do_not_depend_on_the_others(asked: list[tuple[str | None, str | None]]) -> None:
    left, right = (letters(pl.Series(each, dtype=pl.String)) for each in zip(*asked, strict=True))
    _, shelf = known([None, *(title for _, title in asked), "red sofa"])
    at = np.arange(len(asked))
    whole = stands(left, at, right, at, shelf)
    assert np.isfinite(whole).all()
    assert whole.min() >= 0
    assert whole.max() < 5
    assert np.array_equal(np.concatenate([stands(left, at[i : i + 1], right, at[i : i + 1], shelf) for i in at]), whole)

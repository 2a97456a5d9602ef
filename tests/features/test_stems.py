"""Promises of stems: what they fold together, what they keep apart, and that a text's stems are its own."""

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.features.lexicon import letters
from banyan.features.stems import stems


def of(*texts: str | None) -> list[list[int]]:
    """The stems of each text."""
    offsets, found = stems(letters(pl.Series(texts, dtype=pl.String)), np.arange(len(texts)))
    return [found[a:b].tolist() for a, b in pairwise(offsets.tolist())]


def test_a_plural_is_its_singular() -> None:
    plural, singular = of("Batteries boxes hinges tables", "battery boxe hinge table")
    assert plural == singular


def test_words_that_only_look_like_plurals_stay() -> None:
    for word, other in (("glass", "glas"), ("bus", "bu"), ("cactus", "cactu"), ("gas", "ga"), ("shoes", "sho"), ("sofa", "sof")):
        assert of(word) != of(other)
    assert of("glass brass", "")[0] == of("glass")[0] + of("brass")[0]


def test_units_and_their_marks_are_one() -> None:
    assert of('5/8" bolts')[0] == of("5/8 inches bolt")[0] == of("5/8 in. bolt")[0]


def test_chinese_characters_come_with_their_pairs() -> None:
    whole, first, apart = of("连衣裙", "连衣", "连 衣")
    assert len(whole) == 5  # three characters, two pairs
    assert set(first) < set(whole)
    assert len(first) == 3
    assert len(apart) == 2
    assert of("衣连")[0][-1] != first[-1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.text(max_size=20), min_size=1, max_size=5))
def test_a_text_has_the_same_stems_beside_any_other(texts: list[str | None]) -> None:
    assert of(*texts) == [of(each)[0] for each in texts]

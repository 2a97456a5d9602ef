"""Spelling is mended towards common words; what is short, numbered, or merely unknown is left alone; Chinese only where it cannot be wrong."""

import numpy as np
import pytest

from banyan.retrieval.spelling import Speller

WORDS = {"sofa": (500, 90), "velvet": (300, 40), "hammer": (200, 10), "hamper": (3, 0), "screwdriver": (80, 5), "couch": (0, 60), "sofaa": (0, 4),
         "dress": (100, 10), "连衣裙": (50, 0), "衬衫领": (9, 0), "soft": (20, 0), "door": (90, 0), "stop": (30, 0)}  # fmt: skip


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller(list(WORDS), np.array(list(WORDS.values()), np.int64))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("velvt", "velvet"), ("vlevet", "velvet"), ("velvett", "velvet"), ("hamer", "hammer"), ("sofaa", "sofa"), ("scrwdrivr", "screwdriver"),
        ("doorstop", "door stop"), ("sof", ""), ("xqzt", ""), ("velvt2", ""), ("dxxss", ""), ("a" * 500, ""), ("", ""),
    ],
)  # fmt: skip
def test_words(speller: Speller, typed: str, meant: str) -> None:
    assert speller.meant(typed) == meant


def test_nothing_is_mended_towards_a_word_that_no_item_has(speller: Speller) -> None:
    assert speller.meant("couchh") == ""


def test_chinese_is_mended_only_where_a_character_is_unknown_or_two_are_swapped(speller: Speller) -> None:
    assert speller.meant_run("连衣郡", [False, False, True]) == "连衣裙"
    assert speller.meant_run("衣连裙", [False] * 3) == "连衣裙"
    for run, unknown in (("连衣裤", [False] * 3), ("连衣", [False, False]), ("连衣郡郡", [False, False, True, True]), ("红色连衣裙", [False] * 5)):
        assert speller.meant_run(run, unknown) == ""


def test_a_half_typed_word_stands_for_those_that_begin_with_it(speller: Speller) -> None:
    assert speller.beginning("so", 5) == ["sofa", "soft"]
    assert speller.beginning("ham", 1) == ["hammer"]
    assert speller.beginning("couc", 5) == []


def test_no_words_are_no_error() -> None:
    nothing = Speller([], np.zeros((0, 2), np.int64))
    assert (nothing.meant("velvet"), nothing.beginning("ve", 3), nothing.meant_run("连衣裙", [True, False, False])) == ("", [], "")

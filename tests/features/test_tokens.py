"""Tokens of texts: the same for a column and for one query, in two scripts; plurals are folded, numbers are not."""

import numpy as np
import polars as pl
import pytest

from banyan.features import tokens

TEXTS = ["Red Velvet Sofas, 3-seat", "红色连衣裙 XL", None, "", "ladies' dresses & boxes", "glass 100s buses", "Ｆｕｌｌ width é", "हिन्दी 🙂"]


@pytest.mark.parametrize("text", [each for each in TEXTS if each])
def test_a_query_has_the_pieces_that_a_column_has(text: str) -> None:
    found = tokens.runs(pl.Series([text]))
    assert tokens.pieces(text) == [tokens.Piece(each, han) for each, han in found.select("text", "han").iter_rows()]


def test_a_text_holds_every_token_of_each_of_its_pieces() -> None:
    offsets, found = tokens.bag(pl.Series(TEXTS))
    assert np.diff(offsets)[[2, 3]].tolist() == [0, 0]
    for i, text in enumerate(TEXTS):
        wanted = [token for piece in tokens.pieces(text or "") for token in tokens.of_piece(piece)]
        assert set(tokens.hashes(wanted).tolist()) <= set(found[offsets[i] : offsets[i + 1]].tolist())


def test_plurals_are_folded_alike_in_a_column_and_alone() -> None:
    words = ["sofas", "ladies", "dresses", "boxes", "glass", "bus", "buses", "gas", "100s", "shoes", "is", "trees", "ties"]
    column = pl.DataFrame({"w": words}).select(tokens.folded(pl.col("w")))["w"].to_list()
    assert column == [tokens.fold(each) for each in words]
    assert column[:5] == ["sofa", "lady", "dresse", "boxe", "glass"]
    assert tokens.fold("100s") == "100s"
    assert tokens.fold("glasses") != tokens.fold("glass")  # a weak stemmer: it never joins what it is not sure of


def test_chinese_is_searched_by_pairs_of_characters() -> None:
    (piece,) = tokens.pieces("连衣裙")
    assert tokens.of_piece(piece) == ["连衣", "衣裙"]
    _, found = tokens.bag(pl.Series(["连衣裙"]))
    assert set(found.tolist()) == set(tokens.hashes(["连", "衣", "裙", "连衣", "衣裙"]).tolist())

"""Texts -> the tokens by which they are searched: words without their plural, and of Chinese and Japanese single characters and pairs. Knows no index.

A column and a single query give the same tokens. A token is kept as 32 bits of a hash that is arithmetic on code points (`features.words`): two words of a
vocabulary of a million meet by chance once in four thousand.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from banyan.features import words
from banyan.types import Array

CHUNK = 100_000  # texts split at a time
LETTERS = 2_000  # of a text that are read
_HAN = "".join(rf"\x{{{low:X}}}-\x{{{high:X}}}" for low, high in words.UNSPACED)
HAN = rf"[[{_HAN}]&&[\p{{L}}\p{{N}}]]"  # as polars reads a class: characters that stand for themselves
WORD = rf"[[\p{{L}}\p{{N}}\p{{M}}]&&[^{_HAN}]&&[^\x{{FE00}}-\x{{FE0F}}]]"
PIECE = f"{HAN}+|{WORD}+"
PLURALS = ((r"([^ae])ies$", "${1}y"), (r"([^aeo])es$", "${1}e"), (r"([^us])s$", "${1}"))  # the S stemmer (Harman, 1991): the first that fits


class Piece(NamedTuple):
    """A run of a query: a word, or Chinese or Japanese characters side by side."""

    text: str  # in lower case
    han: bool


def clean(texts: pl.Series) -> pl.Series:
    """Texts as they are compared: NFKC, lower case; a missing one is empty."""
    return texts.cast(pl.String).fill_null("").str.slice(0, LETTERS).str.normalize("NFKC").str.to_lowercase()


def runs(texts: pl.Series) -> pl.DataFrame:
    """(row, text, han) of every word and every run of characters of n texts, in order."""
    frame = pl.DataFrame({"row": np.arange(len(texts), dtype=np.uint32), "text": clean(texts).str.extract_all(PIECE)})
    return frame.explode("text", empty_as_null=True, keep_nulls=True).drop_nulls().with_columns(han=pl.col("text").str.contains(f"^{HAN}"))


def grams(runs: pl.DataFrame, size: int) -> pl.DataFrame:
    """(row, text) of the runs of `size` characters in Chinese and Japanese."""
    long = runs.filter("han").select("row", "text", left=pl.col("text").str.len_chars().cast(pl.Int64) - size + 1).filter(pl.col("left") > 0)
    each = long.with_columns(at=pl.int_ranges(0, "left")).explode("at", empty_as_null=True, keep_nulls=True)
    return each.select("row", pl.col("text").str.slice(pl.col("at"), size))


def bag(texts: pl.Series) -> tuple[Array, Array]:
    """(offsets (n + 1,) int64, tokens uint32) of n texts: text i's lie at offsets[i]:offsets[i + 1], each as often as it stands there."""
    counts, found = [np.zeros(1, np.int64)], [np.zeros(0, np.uint32)]
    for start in range(0, len(texts), CHUNK):
        piece = texts[start : start + CHUNK]
        row, token = _tokens(runs(piece))
        order = np.argsort(row, kind="stable")
        counts.append(np.bincount(row, minlength=len(piece)))
        found.append(token[order])
    return np.cumsum(np.concatenate(counts)), np.concatenate(found)


def _tokens(found: pl.DataFrame) -> tuple[Array, Array]:
    """(rows, hashes) of all tokens of runs."""
    spoken = found.filter(~pl.col("han")).select("row", folded(pl.col("text")).alias("text"))
    whole = pl.concat([spoken, grams(found, 1), grams(found, 2)])
    distinct = whole["text"].unique()
    known = pl.DataFrame({"text": distinct, "token": hashes(distinct.to_list())})
    joined = whole.join(known, on="text", how="left", maintain_order="left")
    return joined["row"].to_numpy(), joined["token"].to_numpy()


def folded(column: pl.Expr) -> pl.Expr:
    """Words without an English plural ending; shorter than four letters, and with a digit, as they are."""
    found = column
    for pattern, instead in reversed(PLURALS):  # the first pattern that fits stands outermost
        found = pl.when(column.str.contains(pattern)).then(column.str.replace(pattern, instead)).otherwise(found)
    return pl.when((column.str.len_chars() < 4) | column.str.contains(r"\d")).then(column).otherwise(found)


_PLURALS = tuple((re.compile(pattern), instead.replace("${1}", r"\1")) for pattern, instead in PLURALS)


def fold(word: str) -> str:
    """`folded` of one word."""
    if len(word) < 4 or any(unicodedata.category(letter) == "Nd" for letter in word):
        return word
    return next((pattern.sub(instead, word) for pattern, instead in _PLURALS if pattern.search(word)), word)


def hashes(texts: Sequence[str]) -> Array:
    """(n,) uint32 of n tokens, none of which is empty."""
    found = [np.zeros(0, np.uint32)]
    for start in range(0, len(texts), CHUNK):
        some = texts[start : start + CHUNK]
        codes = np.frombuffer("".join(some).encode("utf-32-le", "replace"), np.uint32)
        length = np.array([len(each) for each in some])
        mixed = words.word_hashes(words.mix(codes.astype(np.uint64) + words.BASE), np.cumsum(length) - length, length)
        found.append((words.mix(mixed) >> np.uint64(32)).astype(np.uint32))
    return np.concatenate(found)


def pieces(query: str) -> list[Piece]:
    """The runs of one query, as `runs` finds them."""
    found: list[Piece] = []
    before = words.SPLIT
    for letter in unicodedata.normalize("NFKC", query[:LETTERS]).lower():
        kind = _kind(letter)
        if kind != words.SPLIT:
            if kind == before:
                found[-1] = Piece(found[-1].text + letter, found[-1].han)
            else:
                found.append(Piece(letter, kind == words.ALONE))
        before = kind
    return found


@lru_cache(maxsize=65_536)
def _kind(letter: str) -> int:
    kind = words._kind(ord(letter))
    return words.SPLIT if kind == words.ALONE and unicodedata.category(letter)[0] not in "LN" else kind


def han(letter: str) -> bool:
    """Whether a character is a Chinese or Japanese one, which stands for itself."""
    return _kind(letter) == words.ALONE


def of_piece(piece: Piece) -> list[str]:
    """The tokens that a text must hold to hold the piece: the word, or the pairs of its characters."""
    if not piece.han:
        return [fold(piece.text)]
    return [piece.text[i : i + 2] for i in range(len(piece.text) - 1)] or [piece.text]

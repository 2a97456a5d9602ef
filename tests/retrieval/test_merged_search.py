"""On a planted world, where half of what is meant is called by another word and vectors are noisy, words and vectors together find more than either alone."""

import numpy as np
import polars as pl
import pytest

from banyan.features import tokens
from banyan.retrieval import candidates
from banyan.retrieval.sketch import Sketch
from banyan.retrieval.terms import Terms

ITEMS, THINGS, KINDS = 4_000, 12, 8


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    """Mean recall of the first 100 of each source."""
    rng = np.random.default_rng(7)
    thing, kind = rng.integers(0, THINGS, ITEMS), rng.integers(0, KINDS, ITEMS)
    called = rng.integers(0, 2, ITEMS)  # by which of its two names
    titles = [f"thing{'ab'[c]}{t} kind{k} extra{e}" for t, c, k, e in zip(thing, called, kind, rng.integers(0, 50, ITEMS), strict=True)]
    terms = Terms([(*tokens.bag(pl.Series(titles)), 1.0)], ITEMS)
    meaning = rng.normal(size=(THINGS + KINDS, 48))
    vectors = (meaning[thing] + meaning[THINGS + kind] + 2.2 * rng.normal(size=(ITEMS, 48))).astype(np.float32)
    sketch, recalls = Sketch(vectors), {"words": [], "vectors": [], "both": []}
    for t in range(THINGS):
        for k in range(KINDS):
            asked = tokens.hashes([f"thinga{t}", f"kind{k}"])
            tokens_of = [(int(each), 1.0) for each in asked]
            held = terms.held([token for token, _ in tokens_of])
            sources = {
                "words": held[candidates.leading(terms.scores(tokens_of)[held], 100)].astype(np.int64),
                "vectors": sketch.near((meaning[t] + meaning[THINGS + k]).astype(np.float32), 100).rows,
            }
            meant = np.flatnonzero((thing == t) & (kind == k))
            for name, rows in {**sources, "both": candidates.fused(sources, 100)[0]}.items():
                recalls[name].append(len(np.intersect1d(rows, meant)) / len(meant))
    return {name: float(np.mean(each)) for name, each in recalls.items()}


def test_the_merged_list_recalls_at_least_what_each_part_does(found: dict[str, float]) -> None:
    assert found["both"] >= max(found["words"], found["vectors"])
    assert min(found["words"], found["vectors"]) > 0.4


def test_a_fused_list_holds_each_row_once_and_says_who_brought_it() -> None:
    rows, brought = candidates.fused({"a": np.array([5, 3, 9]), "b": np.array([3, 7]), "c": np.zeros(0, np.int64)}, 3)
    assert rows.tolist() == [3, 5, 7]
    assert brought.tolist() == [[True, True, False], [True, False, False], [False, True, False]]
    assert [each.shape for each in candidates.fused({}, 5)] == [(0,), (0, 0)]

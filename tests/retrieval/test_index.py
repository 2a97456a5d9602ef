"""Nearest means the largest products, in order."""

import numpy as np
import pytest

from banyan.errors import DataError
from banyan.retrieval import index
from banyan.retrieval.index import Exact

RNG = np.random.default_rng(3)
ITEMS, ASKED = RNG.normal(size=(500, 16)).astype(np.float32), RNG.normal(size=(40, 16)).astype(np.float32)


def test_exact_is_the_sorted_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "ROWS", 7)  # several blocks
    places, scores = Exact(ITEMS).nearest(ASKED, 9)
    products = ASKED @ ITEMS.T
    assert np.array_equal(places, np.argsort(-products, axis=1, kind="stable")[:, :9])
    assert np.allclose(scores, np.take_along_axis(products, places, 1), atol=1e-5)


def test_equal_products_come_in_the_order_of_the_items() -> None:
    items = np.ones((50, 4), np.float32)
    items[10] = 2
    places, _ = Exact(items).nearest(np.ones((3, 4), np.float32), 5)
    assert places.tolist() == [[10, 0, 1, 2, 3]] * 3


@pytest.mark.parametrize("share", [1.0, 0.6, 0.05], ids=["all", "most", "few"])
@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0], ids=["close together", "apart", "around nothing"])
def test_one_question_alone_finds_what_it_finds_among_others(spread: float, share: float) -> None:
    items = (np.float32([1.0] * 8) + spread * RNG.standard_t(2, size=(5000, 8))).astype(np.float32)
    items[100:120] = items[7]  # as many that are equal
    among = None if share == 1.0 else RNG.random(5000) < share
    for asked in (*RNG.normal(size=(5, 8)).astype(np.float32), items[7], -items[7], np.zeros(8, np.float32)):
        products = items @ asked if among is None else np.where(among, items @ asked, -np.inf)
        places, scores = Exact(items).nearest(asked[None], 40, among)
        wanted = np.lexsort((np.arange(5000), -products))[:40]
        assert np.allclose(scores[0], products[wanted], rtol=1e-5, atol=1e-4)
        assert among is None or among[places[0]].all()
        assert len(set(places[0].tolist())) == 40


def test_one_question_looks_at_few_of_the_items_that_lie_close_together() -> None:
    items = RNG.normal(1.0, 0.01, size=(20_000, 8)).astype(np.float32)
    items[:50] += RNG.normal(0.0, 1.0, size=(50, 8)).astype(np.float32)
    exact = Exact(items)
    wanted = exact.nearest(np.ones((1, 8), np.float32), 10)[0]
    exact.items[2000:] = 1e6  # in the order in which they are looked at
    assert np.array_equal(exact.nearest(np.ones((1, 8), np.float32), 10)[0], wanted)


def test_more_than_there_are_is_all_there_are() -> None:
    places, scores = Exact(ITEMS[:3]).nearest(ASKED, 10)
    assert places.shape == scores.shape == (40, 3)
    assert Exact(ITEMS).nearest(ASKED[:0], 4)[0].shape == (0, 4)


def test_vectors_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        Exact(np.full((2, 2), np.nan, np.float32))

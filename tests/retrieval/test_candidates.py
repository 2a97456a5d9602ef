"""Sources are merged fairly, each item once, and a filter is never looked past."""

import numpy as np
import pytest

from banyan.features.pairs import Pasts
from banyan.retrieval import candidates
from banyan.retrieval.index import Exact


def test_each_item_stands_once_and_names_all_its_sources() -> None:
    rows, brought = candidates.merged({"history": np.array([3, 1]), "vectors": np.array([1, 2, 3, 4])}, 10)
    assert sorted(rows.tolist()) == [1, 2, 3, 4]
    at = dict(zip(rows.tolist(), brought.tolist(), strict=True))
    assert at == {1: [True, True], 2: [False, True], 3: [True, True], 4: [False, True]}


def test_no_source_waits_for_another() -> None:
    rows, brought = candidates.merged({"vectors": np.arange(1, 1001), "popular": np.arange(2001, 3001)}, 70)
    assert len(rows) == 70
    assert brought.sum(0).tolist() == [60, 10]
    empty, _ = candidates.merged({"vectors": np.zeros(0, np.int64)}, 5)
    assert len(empty) == 0


def test_the_past_is_read_from_its_end() -> None:
    pasts = Pasts(np.zeros(5, np.int64), np.array([4, 2, 4, 0, 1]), np.zeros(5, np.int64), np.zeros(5, np.float32))
    assert candidates.history(pasts, np.arange(9), 10).tolist() == [1, 4, 2]
    assert candidates.history(pasts, np.arange(9), 2).tolist() == [1, 4]


def test_the_largest_scores_lead_and_equal_ones_stand_in_order() -> None:
    scores = np.array([0.0, 2.0, 5.0, 2.0, -1.0])
    assert candidates.leading(scores, 2).tolist() == [2, 1]
    assert candidates.leading(scores, 9).tolist() == [2, 1, 3]


@pytest.mark.parametrize("share", [0.001, 0.5])
def test_only_what_is_allowed_is_taken(share: float) -> None:
    allowed = np.random.default_rng(0).random(5000) < share
    found = candidates.only(np.arange(5000), allowed, 3)
    assert found.tolist() == np.flatnonzero(allowed)[:3].tolist()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.6, 1.0])
def test_the_nearest_among_some_are_those_of_these_alone(share: float) -> None:
    rng = np.random.default_rng(1)
    items, asked = rng.normal(size=(400, 8)).astype(np.float32), rng.normal(size=(3, 8)).astype(np.float32)
    among = rng.random(400) < share
    places, scores = Exact(items).nearest(asked, 10, among)
    kept = np.flatnonzero(among)
    assert places.shape == (3, min(10, len(kept)))
    wanted = np.argsort(-(asked @ items[kept].T), axis=1)[:, : places.shape[1]]
    assert np.array_equal(places, kept[wanted] if len(kept) else places)
    assert np.allclose(scores, np.take_along_axis(asked @ items.T, places, 1), atol=1e-5)

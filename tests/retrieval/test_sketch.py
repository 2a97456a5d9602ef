"""Cosines by short vectors first: nearly all of the true nearest are found, filters hold, zeros are never found."""

import numpy as np
import pytest

from banyan.retrieval.sketch import SMALL, Sketch


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(60, 160))
    found = (centres[rng.integers(0, 60, 2 * SMALL)] + 0.7 * rng.normal(size=(2 * SMALL, 160))).astype(np.float16)
    found[::50] = 0
    return found


def exact(vectors: np.ndarray, asked: np.ndarray) -> np.ndarray:
    whole = vectors.astype(np.float32)
    return whole @ asked / np.maximum(np.linalg.norm(whole, axis=1) * np.linalg.norm(asked), 1e-9)


def test_nearly_all_of_the_nearest_are_found_in_order(vectors: np.ndarray) -> None:
    sketch = Sketch(vectors)
    assert sketch.short is not None
    hits = []
    for asked in np.random.default_rng(3).choice(np.flatnonzero(sketch.norm > 0), 20):
        vector = vectors[asked].astype(np.float32)
        near = sketch.near(vector, 50)
        assert (np.diff(near.cosines) <= 0).all()
        hits.append(len(np.intersect1d(near.rows, np.argsort(-exact(vectors, vector))[:50])) / 50)
    assert np.mean(hits) >= 0.95


def test_filters_hold_and_zeros_are_no_vectors(vectors: np.ndarray) -> None:
    sketch, allowed = Sketch(vectors[:300]), np.arange(300) % 2 == 1
    near = sketch.near(vectors[1].astype(np.float32), 400, allowed)
    assert set(near.rows) == set(np.flatnonzero(allowed & (sketch.norm > 0)))
    assert len(sketch.near(np.zeros(160, np.float32), 5).rows) == 0
    assert np.isfinite(sketch.cosines(np.arange(300), vectors[1].astype(np.float32))).all()

"""An index of cells finds nearly all that exact products find, of any kept few all, and is made once for the same vectors."""

from pathlib import Path

import numpy as np
import pytest

from banyan.errors import DataError
from banyan.retrieval import cells
from banyan.retrieval.cells import Cells
from banyan.retrieval.index import Exact
from banyan.types import Array

RNG = np.random.default_rng(3)
MIDDLES = RNG.normal(size=(40, 16))


def drawn(count: int) -> Array:
    """Vectors in heaps, longer and shorter ones, all on one side of nothing, as learned vectors lie."""
    heaps = MIDDLES[RNG.integers(40, size=count)] + 0.6 * RNG.normal(size=(count, 16))
    return (3 + heaps * RNG.lognormal(0, 0.3, (count, 1))).astype(np.float32)


ITEMS, ASKED = drawn(20_000), drawn(30)


@pytest.fixture(scope="module")
def made() -> Cells:
    return Cells(ITEMS)


def found(places: Array, wanted: Array) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(places, wanted, strict=True)]))


def test_few_cells_hold_nearly_all_of_the_nearest(made: Cells) -> None:
    places, scores = made.nearest(ASKED, 50)
    wanted, products = Exact(ITEMS).nearest(ASKED, 50)
    assert found(places, wanted) > 0.95
    assert made.looks < made.cells.nlist / 4, "many were left out"
    assert np.allclose(scores[:, 0], products[:, 0], rtol=1e-4, atol=1e-3)
    assert np.allclose(scores, np.take_along_axis(ASKED @ ITEMS.T, places, 1), rtol=1e-4, atol=1e-3)
    assert (np.diff(scores, axis=1) <= 1e-3).all()


@pytest.mark.parametrize("share", [0.5, 0.02, 0.0005])
def test_of_the_kept_items_there_are_always_k_and_no_others(made: Cells, share: float) -> None:
    among = RNG.random(len(ITEMS)) < share
    places, scores = made.nearest(ASKED, 100, among)
    assert places.shape == (30, min(100, int(among.sum())))
    assert among[places].all()
    assert np.isfinite(scores).all()
    assert found(places, Exact(ITEMS).nearest(ASKED, 100, among)[0]) > 0.98


def test_nothing_is_found_of_nothing(made: Cells) -> None:
    assert made.nearest(ASKED, 5, np.zeros(len(ITEMS), bool))[0].shape == (30, 0)
    assert made.nearest(ASKED[:0], 5)[0].shape == (0, 5)


def test_more_than_there_are_is_all_there_are() -> None:
    places, _ = Cells(ITEMS[:7]).nearest(ASKED, 10)
    assert [sorted(row) for row in places.tolist()] == [[*range(7)]] * 30


def test_the_same_vectors_are_parted_once(tmp_path: Path, made: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    Cells(ITEMS, tmp_path)
    monkeypatch.setattr(cells, "_made", lambda rows: pytest.fail("it was made again"))
    again = Cells(ITEMS, tmp_path)
    assert np.array_equal(again.nearest(ASKED, 50)[0], made.nearest(ASKED, 50)[0])
    with pytest.raises(pytest.fail.Exception, match="again"):
        Cells(ITEMS[::-1], tmp_path)


def test_a_kept_file_that_is_cut_short_is_made_anew(tmp_path: Path, made: Cells) -> None:
    Cells(ITEMS, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:5000])
    assert np.array_equal(Cells(ITEMS, tmp_path).nearest(ASKED, 50)[0], made.nearest(ASKED, 50)[0])
    assert path.stat().st_size > 5000


def test_only_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "KEPT", 2)
    for n in (100, 101, 102, 103):
        Cells(ITEMS[:n], tmp_path)
    assert len([*tmp_path.iterdir()]) == 2


def test_vectors_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        Cells(np.full((2, 2), np.nan, np.float32))

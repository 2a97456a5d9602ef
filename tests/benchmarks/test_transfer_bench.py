"""The benchmark of transfer: rows needed are read from the learning curve, and thinned stores keep their test."""

import math
from pathlib import Path

import numpy as np
import pytest

from banyan.types import TEST, TRAIN, VALID
from benchmarks import _curves, _stores, transfer


def curve(*levels: float) -> dict[str, float]:
    return dict(zip(("1/27", "1/9", "1/3", "1"), levels, strict=True))


def test_rows_needed_lie_on_the_line_between_two_shares() -> None:
    share, bound = transfer.needed(curve(0.5, 0.6, 0.8, 0.9), 0.7)
    assert share == pytest.approx(math.sqrt(1 / 9 * 1 / 3))
    assert not bound
    assert transfer.needed(curve(0.5, 0.6, 0.8, 0.9), 0.6) == (pytest.approx(1 / 9), False)


def test_what_the_fewest_rows_reach_is_a_bound_and_what_is_never_reached_is_infinite() -> None:
    assert transfer.needed(curve(0.7, 0.6, 0.8, 0.9), 0.65) == (pytest.approx(1 / 27), True)
    assert transfer.needed(curve(0.5, 0.6, 0.55, 0.62), 0.7) == (math.inf, False)


def test_a_store_is_thinned_but_for_its_test() -> None:
    part = np.repeat([TRAIN, VALID, TEST], [270, 90, 40])
    kept = _stores._kept(np.random.default_rng(0), part, 1 / 9).to_numpy()
    assert [int(kept[part == each].sum()) for each in (TRAIN, VALID, TEST)] == [30, 10, 40]


def test_the_summary_says_whether_the_reach_is_reached_and_draws_it(tmp_path: Path) -> None:
    def run(level: float) -> dict[str, object]:
        return {"level": level, "tasks": {"loyal": level}, "cpu_seconds": 1.0}

    seed = {"scratch": {k: run(v) for k, v in curve(0.5, 0.6, 0.7, 0.8).items()}, "bundle": {k: run(v) for k, v in curve(0.7, 0.82, 0.85, 0.9).items()}}
    found = transfer.summary([seed, seed])
    assert found["reached"]
    assert 1 / 27 < found["rows_needed"] < 1 / 9
    expected = 3 ** (0.1 / 0.12) / 27  # ten of the twelve points from .70 to .82, from 1/27 to 1/9
    assert f"**{expected:.3f}**" in "\n".join(_curves.lines(found))
    _curves.draw(found, tmp_path / "curves.svg")
    assert "from a bundle of four stores" in (tmp_path / "curves.svg").read_text()

"""The benchmark of few labels takes labels from training rows only, and its gains and intervals are those of a hand count."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from benchmarks import scarcity

END = datetime(2024, 6, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    days = [END - timedelta(days=day) for day in range(400)]
    pl.DataFrame({"ts": days}).write_parquet(tmp_path / "events.parquet")
    pl.DataFrame({"ts": days, "keeps": [1] * 400, "returns": [0] * 400}).write_parquet(tmp_path / "trials.parquet")
    part = ["train", "valid", "test", "train"] * 100
    pl.DataFrame({"split": part, "loyal": [1] * 400, "lifestage": ["a"] * 400, "interests": [["x"]] * 400}).write_parquet(tmp_path / "people.parquet")
    return tmp_path


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_only_training_rows_lose_their_labels(folder: Path, share: float) -> None:
    for again in (0.02, share):  # from the whole table each time
        scarcity.thinned(folder, again, 0)
    trials, people = (pl.read_parquet(folder / f"{name}.parquet") for name in ("trials", "people"))
    held = pl.col("ts") >= END - scarcity.HELD
    assert trials.filter(held)["keeps"].null_count() == 0
    kept = trials.filter(~held)["keeps"].is_not_null()
    assert kept.mean() == pytest.approx(share, abs=0.08)
    assert (trials.filter(~held)["returns"].is_not_null() == kept).all()
    assert people.filter(pl.col("split") != "train")["lifestage"].null_count() == 0
    assert people.filter(pl.col("split") == "train")["loyal"].is_not_null().mean() == pytest.approx(share, abs=0.12)


def test_all_labels_stay_where_all_are_kept(folder: Path) -> None:
    whole = pl.read_parquet(folder / "trials.parquet")
    scarcity.thinned(folder, 1.0, 0)
    assert pl.read_parquet(folder / "trials.parquet").equals(whole)


def test_gains_are_of_each_world_and_above_0_where_better() -> None:
    figures = {"keeps": (0.5, 0.6, 0.8), "lifestage": (1.5, 1.4, 1.6)}  # of the worlds
    more = {"keeps": (0.6, 0.7, 0.9), "lifestage": (1.3, 1.3, 1.3)}
    found = {}
    for seed in range(3):
        for name, each in (("plain", figures), ("masked", more)):
            found[0.1, seed, name] = {task: each.get(task, (0.5, 0.5, 0.5))[seed] for task in scarcity.TASKS}
    shown = scarcity.compared(found, 0.1, range(3), ["plain", "masked"])
    assert shown["plain"]["keeps"] == {"mean": pytest.approx(1.9 / 3)}
    assert shown["masked"]["keeps"]["gain"] == pytest.approx(0.1)
    assert shown["masked"]["keeps"]["low"] == pytest.approx(0.1)
    assert shown["masked"]["lifestage"]["gain"] == pytest.approx(0.2)
    assert shown["masked"]["lifestage"]["high"] == pytest.approx(0.2 + 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert shown["masked"]["loyal"] == {"mean": 0.5, "gain": 0.0, "low": 0.0, "high": 0.0}
    text = scarcity._entry("python", {"seeds": 3, "users": 9, "items": 9, "part": "valid", "shares": {"0.1": shown}})
    assert "| 10% | masked | **+0.1000" in text

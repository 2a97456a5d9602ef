"""The benchmark of one table with two labels, on a few made-up people: what the last line says, and what goes into RESULTS.md."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import census

SMALL = ["--seeds", "2", "--rounds", "5", "--set", "training.epochs=5", "training.batch=64", "training.lr=0.02", "model.width=4"]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whoever is old has an income; whoever gained exactly one amount is never married."""
    folder, rng = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    for name, rows in (("train", 800), ("val", 200), ("test", 300)):
        age, gain = rng.random(rows), rng.choice([0.0, 0.0, 0.0, 0.05, 0.07, 0.15], rows)
        labels = {"income": (age + 0.2 * rng.random(rows) > 0.8).astype(np.int8), "married_never": (gain == 0.07).astype(np.int8)}
        pl.DataFrame({"C1": rng.integers(0, 5, rows), "I1": age, "I2": gain, **labels}).write_parquet(folder / f"{name}.parquet")
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two settings of trees, few draws."""
    monkeypatch.setattr(census, "GROWN", census.GROWN[:2])
    monkeypatch.setattr(census, "DRAWS", 20)


@pytest.mark.slow
def test_both_labels_are_judged_beside_trees(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = census.main(["--data", str(people), "--folder", str(tmp_path), "--results", str(tmp_path / "R.md"), *SMALL])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    assert (found["rows"], found["seeds"]) == (300, 2)
    for label in census.LABELS:
        row = found[label]
        assert 0.5 < row["auc"] <= 1
        assert row["gain"]["value"] == pytest.approx(row["auc"] - row["trees"])
        assert 0.5 < row["refit"]["auc"] <= 1
        assert row["gain"]["low"] <= row["gain"]["value"] <= row["gain"]["high"]
    assert found["married_never"]["auc"] > 0.99  # an amount is known by its very value
    assert "| married_never | " in (tmp_path / "R.md").read_text()


def test_settings_are_chosen_without_the_test_rows(people: Path, tmp_path: Path) -> None:
    test = people / "test.parquet"
    kept = test.read_bytes()
    arguments = [
        "--data",
        str(people),
        "--folder",
        str(tmp_path),
        "--results",
        str(tmp_path / "R.md"),
        "--part",
        "valid",
        "--no-trees",
        *SMALL,
        "training.epochs=1",
    ]
    found = census.main(arguments)
    pl.read_parquet(test).with_columns(pl.lit(0, pl.Int8).alias(label) for label in census.LABELS).write_parquet(test)
    assert census.main(arguments)["income"] == found["income"]
    assert (found["part"], found["rows"]) == ("valid", 200)
    test.write_bytes(kept)

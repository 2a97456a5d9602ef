"""The benchmark of a store's tasks, on a small shop: joint, alone, trees and rules; a finished run is not made again."""

import json
from pathlib import Path

import pytest

from benchmarks import _opponents, journey
from examples.own_csv_files import STORE, write_files

SMALL = ["training.epochs=1", "training.steps=3", "training.batch=128", "model.width=4", "model.sharing=bottom"]


def test_every_task_meets_its_opponents_and_a_finished_run_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, users=60, items=30, views=1500)
    (tmp_path / "store.yaml").write_text(STORE)
    runs, results = tmp_path / "runs", tmp_path / "R.md"
    places = ["--store", str(tmp_path / "store.yaml"), "--folder", str(runs), "--results", str(results)]
    arguments = [*places, "--seeds", "2", "--trials", "2", "--draws", "10", "--set", *SMALL]
    found = journey.main(arguments)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    assert set(found["tasks"]) == {"bought", "next", "age"}
    for task in ("bought", "next"):
        gain = found["tasks"][task]["over_alone"]
        assert gain["low"] <= gain["value"] <= gain["high"]
    assert all(row["rule"]["name"] in _opponents.RULES for row in found["tasks"].values())
    assert "trees" in found["tasks"]["bought"]
    assert "trees" not in found["tasks"]["next"]
    low, high = (found["mean_relative_gain"][end] for end in ("low", "high"))
    assert low <= high
    assert results.read_text().count("| bought ") == 1
    lines = (runs / "runs.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 3 + 2 + 2 + 3 * (2 + 1)  # what must be alike, rules, trees, joint; of each task two trials and a seed more
    again = journey.main(arguments)
    assert (runs / "runs.jsonl").read_text().splitlines() == lines
    assert again == found
    one_more = journey.main([*places, "--seeds", "1", "--trials", "2", "--draws", "10", "--set", *SMALL])
    assert one_more["seeds"] == 1
    assert (runs / "runs.jsonl").read_text().splitlines() == lines

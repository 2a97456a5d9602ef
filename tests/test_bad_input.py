"""Data with every common fault trains to the end: each fault is named, what is undefined says so, and nothing undefined enters a mean."""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import banyan
from banyan.run import Run

START, DAY = 1_700_006_400, 86_400
PAGE = """
store: faults
entities:
  user: {table: users.parquet, id: user_id, features: {city: category}}
  item: {table: items.parquet, id: item_id, features: {brand: category}}
events: {table: events.parquet, user: user_id, item: item_id, behaviour: event, time: ts, scenario: page}
samples:
  viewed: {recipe: outcomes, after: view, within: 3d, labels: {buy: purchase}}
  judged: {table: judged.parquet, user: user_id, item: item_id, labels: {good: good, same: same}, split: {by: random}}
tasks:
  bought: {kind: binary, samples: viewed, calibration: platt}
  good: {kind: binary, samples: judged, label: good}
  same: {kind: binary, samples: judged, label: same, calibration: isotonic}
split: {by: time, valid: 10d, test: 15d}
model: {width: 4, sharing: bottom}
training: {epochs: 2, steps: 4, batch: 256, threads: 1}
"""


def write(folder: Path) -> None:
    """A robot, doubles, a file in no order, a scenario in which nobody buys, a label that is always 1, ids with a decimal point."""
    rng = np.random.default_rng(0)
    n, users = 1200, 300
    user = np.r_[rng.integers(1, users, n), np.zeros(6000, int)].astype(float)
    rows = len(user)
    page = rng.choice(["home", "kiosk"], rows)
    event = np.where((rng.random(rows) < 0.3) & (page == "home"), "purchase", "view")
    ts = pl.from_epoch(pl.Series(START + rng.integers(0, 100 * DAY, rows)))
    item = rng.integers(0, 10, rows) + np.where(page == "home", 10, 0)  # what the kiosk shows is sold nowhere
    frame = pl.DataFrame({"user_id": user, "item_id": item, "event": event, "ts": ts, "page": page})
    pl.concat([frame, frame[:300]]).sample(fraction=1, shuffle=True, seed=1).write_parquet(folder / "events.parquet")
    pl.DataFrame({"user_id": np.arange(users), "city": rng.choice(["x", "y"], users)}).write_parquet(folder / "users.parquet")
    pl.DataFrame({"item_id": np.arange(20), "brand": rng.choice(["p", "q"], 20)}).write_parquet(folder / "items.parquet")
    judged = {"user_id": rng.integers(0, users, 600), "item_id": rng.integers(0, 20, 600), "good": rng.integers(0, 2, 600), "same": np.ones(600, int)}
    pl.DataFrame(judged).write_parquet(folder / "judged.parquet")
    (folder / "store.yaml").write_text(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults")
    write(path)
    return path


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return banyan.train(folder / "store.yaml", folder / "run", alone=False, draws=10)


def test_each_fault_is_named(folder: Path) -> None:
    found = banyan.check(folder / "store.yaml")
    for where, words in (
        ("tasks.same", "always 1"),
        ("samples.viewed", "buy never happens in 'kiosk'"),
        ("events.user", "more than 1000 times the median"),
        ("events", "stand twice"),
        ("events", "holds decimals"),
        ("opening the store", "no order of time in the file"),
    ):
        assert [each for each in found if each.where == where and words in each.found], (words, [each.found for each in found if each.where == where])


def test_what_is_undefined_says_so_and_enters_no_mean(run: Run) -> None:
    assert math.isnan(run.evaluation.figures["same"]["auc"])
    assert "undefined" in run.table(width=200)
    row = next(row for row in json.loads((run.folder / "table.json").read_text()) if row["task"] == "same")
    assert row["joint"] is None
    assert all(math.isfinite(epoch["score"]) for epoch in run.record.epochs)
    assert "same" not in run.record.first  # no epoch was chosen by it
    assert not {"nan", "NaN"} & set(run.report.read_text(encoding="utf-8").split())


def test_every_answer_is_a_number_all_the_same(run: Run) -> None:
    for answer in run.evaluation.answers.values():
        assert np.isfinite(answer).all()
    assert run.evaluation.answers["same"].mean() > 0.9  # the constant
    kiosk = run.evaluation.by_scenario["bought"]["kiosk"]
    assert math.isnan(kiosk["auc"])
    assert kiosk["rate"] == 0
    assert run.bundle.predict("judged", pl.DataFrame({"user_id": ["3", "no one"], "item_id": ["1", "2"]})).null_count().sum_horizontal().item() == 0

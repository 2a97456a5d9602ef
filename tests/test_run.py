"""A whole run from Python: it keeps what it found, repeats it, compares the task alone and the baselines, and serves what is to be served."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import banyan
from banyan.errors import ConfigError
from banyan.run import Run
from banyan.store.schema import Store
from examples.own_csv_files import STORE, write_files

SMALL = ["training.epochs=1", "training.steps=4", "training.batch=128", "model.width=4", "model.sharing=bottom", "tasks.age.auxiliary=true"]
SMALL += ["tasks.bought.calibration=isotonic"]
NAMES = {"Bundle", "Run", "Store", "check", "evaluate", "load", "train", "BanyanError", "BundleError", "ConfigError", "DataError", "MissingExtraError"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder, users=60, items=30, views=1500)
    (folder / "store.yaml").write_text(STORE)
    return banyan.load(folder / "store.yaml", SMALL)


@pytest.fixture(scope="module")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return banyan.train(store, tmp_path_factory.mktemp("runs") / "first", draws=20)


def again(store: Store, folder: Path, **changed: int) -> Run:
    """The joint model alone, with settings of training changed."""
    other = store.model_copy(update={"training": store.training.model_copy(update=changed)})
    return banyan.train(other, folder, alone=False, simple=False, draws=0)


def test_a_run_writes_page_table_report_and_bundle(run: Run) -> None:
    assert {"bundle", "report.html", "table.json", "store.yaml", "joint", "alone"} <= {path.name for path in run.folder.iterdir()}
    assert [row["task"] for row in json.loads((run.folder / "table.json").read_text())] == ["bought", "next", "age"]
    page = run.report.read_text(encoding="utf-8")
    assert all(word in page for word in ("bought", "next", "age", "corner shop"))
    assert banyan.load(run.folder / "store.yaml").tasks.keys() == run.store.tasks.keys()
    assert run.bundle.store.store == "corner shop"


def test_the_table_has_the_joint_model_each_task_alone_and_the_baselines(run: Run) -> None:
    shown = run.table(width=200)
    assert max(len(line) for line in shown.splitlines()) <= 200
    assert all(word in shown for word in ("joint", "alone", "popularity", "trees", "gain by sharing", "bought", "next", "age"))
    assert all(row.alone is not None and row.best_baseline for row in run.rows)
    assert all(np.isfinite(row.joint) for row in run.rows)


def test_an_auxiliary_task_is_trained_and_shown_but_not_served(run: Run) -> None:
    assert "age" in {row.task for row in run.rows}
    assert "age" not in run.bundle.served
    everybody = pl.DataFrame({"user_id": [1, 2]})
    assert run.bundle.predict("people", everybody, tasks=["age"]).width > 1  # by name only
    asked = pl.DataFrame({"user_id": [1], "item_id": [2], "ts": ["2026-04-01T12:00:00"]})
    assert run.bundle.predict("viewed", asked).columns == ["user_id", "item_id", "ts", "bought.cart", "bought.buy"]


def test_a_finished_run_gives_the_same_table_without_training(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(*_: object) -> None:
        raise AssertionError("it trains again")

    monkeypatch.setattr("banyan.training.loop.Fit._step", trained)
    second = banyan.train(store, run.folder, draws=20)
    assert second.table() == run.table()
    assert second.record == run.record


def test_a_calibration_is_shown_kept_and_changed_without_training(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before, after = run.evaluation.before["bought"], run.evaluation.figures["bought"]
    assert before["log_loss/buy"] != after["log_loss/buy"]
    assert before["auc/buy"] == pytest.approx(after["auc/buy"], abs=0.01)  # no stage is likelier than the one before it: a few rows may change places
    assert (np.diff(run.evaluation.answers["bought"], axis=1) <= 0).all()
    assert "Dashed: before calibration" in run.report.read_text(encoding="utf-8")
    assert run.bundle.network.calibration["bought"].state() == run.network.calibration["bought"].state()
    monkeypatch.setattr("banyan.training.loop.Fit._step", lambda *_: pytest.fail("it trains again"))
    folder = tmp_path / "other"
    shutil.copytree(run.folder, folder)
    plain = {**store.tasks, "bought": store.tasks["bought"].model_copy(update={"calibration": None})}
    second = banyan.train(store.model_copy(update={"tasks": plain}), folder, alone=False, simple=False, draws=0)
    assert second.evaluation.figures["bought"] == pytest.approx(before)
    assert "calibration.json" not in {each.name for each in (folder / "bundle").iterdir()}


def test_the_seed_decides(store: Store, tmp_path: Path) -> None:
    first, same, other = (again(store, tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert same.evaluation.figures == first.evaluation.figures
    assert other.evaluation.figures != first.evaluation.figures


def test_a_folder_belongs_to_one_description(run: Run, store: Store) -> None:
    table = (run.folder / "table.json").read_text()
    with pytest.raises(ConfigError, match=r"holds a run of another description \(training\.batch was 128 and is 64\)"):
        again(store, run.folder, batch=64)
    changed = store.model_copy(update={"split": store.split.model_copy(update={"test": "10d"})})
    with pytest.raises(ConfigError, match=r"split\.test was '14d' and is '10d'"):
        banyan.train(changed, run.folder)
    assert (run.folder / "table.json").read_text() == table
    assert again(store, run.folder, threads=1, seconds=1000).record.steps == run.record.steps  # these may change


def test_a_file_that_changed_without_a_row_more_or_less_is_named(store: Store, run: Run) -> None:
    users = store.folder / "users.csv"
    was = users.read_text()
    table = (run.folder / "table.json").read_text()
    try:
        pl.read_csv(users).with_columns(pl.col("age_group").reverse()).write_csv(users)
        with pytest.raises(ConfigError, match=r"holds a run on other data \(.*users\.csv holds other values than it did\)\. Give another folder"):
            again(store, run.folder)
    finally:
        users.write_text(was)
    assert (run.folder / "table.json").read_text() == table
    assert again(store, run.folder).record == run.record


def test_a_folder_in_which_nothing_was_trained_takes_another_description(store: Store, tmp_path: Path) -> None:
    broken = store.model_copy(update={"split": store.split.model_copy(update={"test": "900d"})})
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        banyan.train(broken, tmp_path / "run")
    assert again(store, tmp_path / "run").record.steps == 4


def test_fewer_rows_are_judged_where_asked_and_it_is_said(store: Store, tmp_path: Path) -> None:
    few = banyan.train(store, tmp_path, alone=False, simple=False, draws=0, most=50)
    assert {row.task: row.rows for row in few.rows}["bought"] == 50
    said = [note for note in few.notes if note.startswith("bought: judged on 50 of ")]
    assert said
    assert said[0] in (tmp_path / "report.html").read_text()
    whole = banyan.train(store, tmp_path, alone=False, simple=False, draws=0, most=None)
    assert not [note for note in whole.notes if "judged on" in note]
    assert said[0] == f"bought: judged on 50 of {whole.rows[0].rows:,} test rows, drawn at random."


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_a_bundle_is_judged_on_every_part(run: Run, store: Store, part: str) -> None:
    rows = banyan.evaluate(store, run.folder / "bundle", part=part, draws=0)
    assert [row.task for row in rows] == ["bought", "next", "age"]
    if part == "test":
        assert [row.joint for row in rows] == pytest.approx([row.joint for row in run.rows], rel=1e-4)


def test_a_bundle_of_another_store_or_part_is_refused(run: Run, store: Store) -> None:
    with pytest.raises(ConfigError, match="There is no part 'dropped'; parts are train, valid and test"):
        banyan.evaluate(store, run.folder / "bundle", part="dropped")
    fewer = store.model_copy(update={"tasks": {"bought": store.tasks["bought"]}})
    with pytest.raises(ConfigError, match="answers bought, next, age; the store asks for bought"):
        banyan.evaluate(fewer, run.folder / "bundle")
    assert store.events is not None
    scenes = store.model_copy(update={"events": store.events.model_copy(update={"scenario": "event"})})
    with pytest.raises(ConfigError, match=r"The store's scenarios are cart, purchase, view; .* was trained on none"):
        banyan.evaluate(scenes, run.folder / "bundle")


def test_check_finds_what_the_data_can_support(store: Store) -> None:
    assert {each.where for each in banyan.check(store)} >= {"samples.viewed", "samples.people"}


def test_the_package_names_a_handful_and_imports_nothing_heavy() -> None:
    assert set(banyan.__all__) == NAMES
    program = "import sys, banyan; print(sorted({'torch', 'polars', 'numpy', 'pydantic'} & set(sys.modules)), dir(banyan))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.startswith("[] ")
    assert all(f"'{name}'" in said for name in [*NAMES, "__version__"])
    described = "import sys, banyan; banyan.load; banyan.Store; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", described], check=True)
    for name in NAMES:
        assert getattr(banyan, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        banyan.trian  # noqa: B018

"""Every command, from a shop's CSV files to answers; a mistake is one sentence and exit status 2."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import banyan
from banyan import parts
from banyan.cli import app
from banyan.run import DRAWS, MOST
from banyan.training.progress import Bar
from examples.own_csv_files import write_files

SMALL = ["--set", "training.epochs=1", "--set", "training.steps=4", "--set", "training.batch=128", "--set", "model.width=4"]
QUICK = ["--no-alone", "--no-simple", "--draws", "0"]


def banyan_(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@dataclass
class Used:
    """A shop's folder after init, check and train, and what each of them said."""

    folder: Path
    init: Result
    check: Result
    train: Result

    @property
    def page(self) -> Path:
        return self.folder / "store.yaml"

    @property
    def bundle(self) -> Path:
        return self.folder / "run" / "bundle"


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Used:
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder, users=50, items=30, views=1500)
    page = folder / "store.yaml"
    drafted = banyan_("init", *(folder / f"{name}.csv" for name in ("users", "items", "events")), "--out", page)
    looked = banyan_("check", page)
    return Used(folder, drafted, looked, banyan_("train", page, "--out", folder / "run", *SMALL, "--draws", "20", "--most", "60"))


def refused(result: Result, said: str) -> None:
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_init_writes_a_page_and_keeps_one_that_is_there(used: Used) -> None:
    assert used.init.exit_code == 0, used.init.output
    assert f"run: banyan check {used.page}" in used.init.stdout
    before = used.page.read_text()
    refused(banyan_("init", used.folder / "users.csv", "--out", used.page), "is there already; give another --out, or --force")
    assert used.page.read_text() == before


def test_check_says_what_was_found(used: Used) -> None:
    assert used.check.exit_code == 0, used.check.output
    assert "samples.viewed" in used.check.stdout


def test_check_exits_with_1_where_there_is_an_error(used: Used, tmp_path: Path) -> None:
    for name in ("items", "events"):
        shutil.copy(used.folder / f"{name}.csv", tmp_path)
    users = pl.read_csv(used.folder / "users.csv")
    users.with_columns(city=pl.lit(None, dtype=pl.String)).write_csv(tmp_path / "users.csv")
    shutil.copy(used.page, tmp_path / "store.yaml")
    result = banyan_("check", tmp_path / "store.yaml")
    assert result.exit_code == 1, result.output
    assert "1 error" in result.stdout
    assert "missing" in result.stdout


def test_train_prints_the_table_and_where_bundle_and_report_are(used: Used) -> None:
    assert used.train.exit_code == 0, used.train.output
    said = used.train.stdout
    assert all(word in said for word in ("bought", "next", "demand", "joint", "alone", "popularity"))
    assert f"Bundle: {used.bundle}" in said
    assert f"Report: {used.folder / 'run' / 'report.html'}" in said
    assert "Traceback" not in used.train.stderr


def test_a_cap_on_judged_rows_stands_in_the_report(used: Used) -> None:
    table = json.loads((used.folder / "run" / "table.json").read_text())
    assert max(row["rows"] for row in table) == 60
    assert "bought: judged on 60 of " in (used.folder / "run" / "report.html").read_text()


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_evaluate_judges_every_part(used: Used, part: str) -> None:
    result = banyan_("evaluate", used.page, "--bundle", used.bundle, "--part", part, "--json", "--no-simple", "--draws", "0", "--most", "0")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["task"] for row in rows] == ["bought", "next", "demand"]
    assert all(row["rows"] > 0 for row in rows[:2])  # no week of validation is whole


def test_evaluate_prints_a_table_and_repeats_the_run(used: Used) -> None:
    result = banyan_("evaluate", used.page, "--bundle", used.bundle, "--no-simple", "--draws", "20", "--most", "60", "--json")
    was = {row["task"]: row for row in json.loads((used.folder / "run" / "table.json").read_text())}
    for row in json.loads(result.stdout):
        assert row["rows"] == was[row["task"]]["rows"]
        assert row["joint"] == pytest.approx(was[row["task"]]["joint"], rel=1e-4)
    shown = banyan_("evaluate", used.page, "--bundle", used.bundle, "--draws", "0", "--most", "60")
    assert shown.exit_code == 0, shown.output
    assert "popularity" in shown.stdout
    refused(banyan_("evaluate", used.page, "--bundle", used.bundle, "--part", "tset"), "There is no part 'tset'; parts are train, valid and test.")


def test_predict_answers_the_rows_of_a_file(used: Used, tmp_path: Path) -> None:
    asked = pl.DataFrame({"user_id": [1, 2], "item_id": [3, 4], "ts": ["2026-04-01T12:00:00"] * 2})
    asked.write_csv(tmp_path / "rows.csv")
    result = banyan_("predict", used.bundle, "--rows", tmp_path / "rows.csv", "--out", tmp_path / "answers.csv", "--table", "viewed")
    assert result.exit_code == 0, result.output
    assert f"Wrote {tmp_path / 'answers.csv'}" in result.stdout
    answers = pl.read_csv(tmp_path / "answers.csv")
    assert answers.columns == ["user_id", "item_id", "ts", "bought.cart", "bought.buy"]
    assert answers["bought.buy"].is_between(0, 1).all()
    unsaid = banyan_("predict", used.bundle, "--rows", tmp_path / "rows.csv", "--out", tmp_path / "answers.csv")
    refused(unsaid, "The bundle answers rows of viewed, weekly; say which with --table.")
    refused(banyan_("predict", used.bundle, "--rows", tmp_path / "rws.csv", "--out", tmp_path / "a.csv", "--table", "viewed"), "There is no file")


def test_recommend_writes_lists(used: Used, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id\n7\n3\n")
    result = banyan_("recommend", used.bundle, "--users", tmp_path / "users.csv", "-k", "5", "--out", tmp_path / "top.parquet")
    assert result.exit_code == 0, result.output
    top = pl.read_parquet(tmp_path / "top.parquet")
    assert top["user"].cast(pl.String).to_list() == ["7"] * 5 + ["3"] * 5
    assert top["rank"].to_list() == [1, 2, 3, 4, 5] * 2
    everybody = banyan_("recommend", used.bundle, "-k", "2", "--leave-out", "purchase", "--out", tmp_path / "all.csv")
    assert everybody.exit_code == 0, everybody.output
    assert len(pl.read_csv(tmp_path / "all.csv")) == 100


def test_a_device_that_is_not_there_is_refused(used: Used, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("user_id,item_id,ts\n1,3,2026-04-01\n")
    answered = ["predict", used.bundle, "--rows", tmp_path / "rows.csv", "--table", "viewed", "--out", tmp_path / "a.csv"]
    ranked = ["recommend", used.bundle, "-k", "1", "--out", tmp_path / "b.csv"]
    for command in (answered, ranked, ["evaluate", used.page, "--bundle", used.bundle], ["train", used.page, "--out", tmp_path / "run"]):
        refused(banyan_(*command, "--device", "gpu"), "There is no device 'gpu' here; devices are cpu")
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]
    for command in (answered, ranked):
        assert banyan_(*command, "--device", "cpu").exit_code == 0


def test_a_tampered_bundle_answers_nothing(used: Used, tmp_path: Path) -> None:
    shutil.copytree(used.bundle, tmp_path / "bundle")
    weights = tmp_path / "bundle" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    refused(banyan_("recommend", tmp_path / "bundle", "--out", tmp_path / "top.csv"), "weights.safetensors")
    assert not (tmp_path / "top.csv").exists()


def test_a_finished_run_is_not_trained_again(used: Used) -> None:
    checkpoints = {path: path.stat().st_mtime_ns for path in (used.folder / "run").rglob("checkpoint-*/*")}
    table = json.loads((used.folder / "run" / "table.json").read_text())
    assert checkpoints
    again = banyan_("train", used.page, "--out", used.folder / "run", *SMALL, "--draws", "20", "--most", "60")
    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in (used.folder / "run").rglob("checkpoint-*/*")} == checkpoints
    assert json.loads((used.folder / "run" / "table.json").read_text()) == table


def test_other_settings_in_the_folder_of_a_run_are_refused(used: Used) -> None:
    page = (used.folder / "run" / "store.yaml").read_text()
    other = banyan_("train", used.page, "--out", used.folder / "run", *SMALL, "--sharing", "bottom", "--set", "samples.viewed.within=3d")
    refused(other, "holds a run of another description (samples.viewed.within was '4d' and is '3d'; model.sharing was 'mmoe' and is 'bottom')")
    assert (used.folder / "run" / "store.yaml").read_text() == page


def test_settings_parts_and_switches_reach_the_run(used: Used, tmp_path: Path) -> None:
    settings = ["--sharing", "ple", "--set", "sharing.own=2", "--balancing", "uncertainty", "--history", "mean", "--set", "tasks.demand.auxiliary=true"]
    result = banyan_("train", used.page, "--out", tmp_path / "run", *SMALL, *settings, *QUICK)
    assert result.exit_code == 0, result.output
    assert "alone" not in result.stdout
    assert "trees" not in result.stdout
    kept = banyan.load(tmp_path / "run" / "store.yaml")
    assert kept.model.sharing == {"part": "ple", "own": 2}
    assert (kept.model.balancing, kept.model.history, kept.training.steps) == ("uncertainty", "mean", 4)


@pytest.mark.parametrize("family", [None, *parts.FAMILIES])
def test_parts_as_json_are_the_signatures(family: str | None) -> None:
    result = banyan_("parts", *([family] if family else []), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ([family] if family else list(parts.FAMILIES))
    for each, known in found.items():
        assert list(known) == parts.names(each)
        for name, options in known.items():
            signature = parts.options(each, name)
            expected = {key: {"needed": True} if p.default is p.empty else {"default": p.default} for key, p in signature.items()}
            assert options == json.loads(json.dumps(expected)), f"{each} {name}"


def test_parts_print_what_each_is(used: Used) -> None:
    result = banyan_("parts", "sharing")
    assert all(name in result.stdout for name in parts.names("sharing"))
    refused(banyan_("parts", "sharding"), "There is no family 'sharding'. Families: encoders")


def test_version() -> None:
    result = banyan_("--version")
    assert (result.exit_code, result.stdout.strip()) == (0, banyan.__version__)


@pytest.mark.parametrize(
    "text, said",
    [
        ("samples: {a: [}", "store.yaml, line 1"),
        ("samples: {}\ntasks:\n  bought: {kind: binray, samples: viewed}\n", "store.yaml, line 3: tasks.bought.kind: tasks has no part 'binray'. Did you mean"),
        ("samples: {}\ntasks: {}\ntraining: {epoch: 3}\n", "store.yaml, line 3: training.epoch: 'epoch' is no key here. Did you mean 'epochs'?"),
    ],
)
@pytest.mark.parametrize("command", ["check", "train"])
def test_a_mistake_in_the_page_names_its_line(tmp_path: Path, command: str, text: str, said: str) -> None:
    (tmp_path / "store.yaml").write_text(text)
    refused(banyan_(command, tmp_path / "store.yaml"), said)


def test_what_is_not_there_or_not_known_is_refused(used: Used, tmp_path: Path) -> None:
    refused(banyan_("check", tmp_path / "store.yaml"), "There is no file")
    refused(banyan_("train", used.page, "--sharng", "ple"), "--sharing")
    refused(banyan_("train", used.page, "--sharing", "pel", "--out", tmp_path / "run"), "sharing has no part 'pel'. Did you mean 'ple'?")
    refused(banyan_("train", used.page, "--set", "sharing.expert=3", "--out", tmp_path / "run"), "has no option 'expert'. Did you mean 'experts'?")
    refused(banyan_("trian", used.page), "Did you mean 'train'?")
    (tmp_path / "file").write_text("")
    refused(banyan_("train", used.page, "--out", tmp_path / "file" / "run", *SMALL, *QUICK), f"{tmp_path / 'file'}")


def test_a_path_in_brackets_is_printed_as_it_is(used: Used, tmp_path: Path) -> None:
    folder = tmp_path / "[red]"
    folder.mkdir()
    result = banyan_("recommend", used.bundle, "-k", "1", "--out", folder / "top.csv")
    assert f"Wrote {folder / 'top.csv'}" in result.stdout


def test_the_help_states_the_defaults_of_python() -> None:
    said = " ".join(banyan_("train", "--help").stdout.split())
    assert f"{MOST:,} unless given" in said
    assert f"{DRAWS} unless given" in said


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C as in a terminal; a job in the background is started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_says_how_to_go_on_and_the_same_command_goes_on(used: Used, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["train", used.page, *SMALL, "--set", "training.steps=12", "--set", "training.epochs=2", *QUICK, "--out"]
    whole = banyan_(*command, tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    told = Bar.step

    def step(self: Bar, epoch: int, step: int, *rest: Any) -> None:
        told(self, epoch, step, *rest)
        if step == 20:  # the first that is told
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Bar, "step", step)
        stopped = banyan_(*command, tmp_path / "run")
    assert stopped.exit_code == 130, stopped.output
    assert "Stopped after step 20 of 24. Start the same command again to go on from the last checkpoint in" in " ".join(stopped.stderr.split())
    assert "Traceback" not in stopped.output
    assert not (tmp_path / "run" / "bundle").exists()
    resumed = banyan_(*command, tmp_path / "run")
    assert resumed.exit_code == 0, resumed.output
    assert json.loads((tmp_path / "run" / "table.json").read_text()) == json.loads((tmp_path / "whole" / "table.json").read_text())


def test_ctrl_c_while_tables_are_read_says_so_too(used: Used, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("banyan.run.open_store", interrupted)
    stopped = banyan_("train", used.page, "--out", tmp_path / "run")
    assert (stopped.exit_code, stopped.stderr.strip()) == (130, "Stopped. Start the same command again to go on.")


def test_the_installed_command_speaks_as_it_should(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("banyan")
    if not command.exists():
        pytest.skip("banyan is not installed beside this Python")
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == banyan.__version__
    refused_ = subprocess.run([command, "init", "nothing.csv"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (refused_.returncode, refused_.stdout) == (2, "")
    assert refused_.stderr.startswith("Error: There is no file nothing.csv")
    assert len(refused_.stderr.strip().splitlines()) == 1

"""Each task alone gets the joint model's budget and the same rows; what comes out is one row a task."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from banyan.evaluation import baselines, table, transfer
from banyan.evaluation.evaluate import evaluate, judged
from banyan.evaluation.questions import ask
from banyan.metrics import NAN, Interval
from banyan.training.budget import budget, training_rows
from banyan.types import TEST


@pytest.fixture(scope="module")
def alone(board: SimpleNamespace) -> dict[str, list[transfer.Alone]]:
    joint = budget(board.feeder, board.store.tasks, board.store.training)
    return {t: [transfer.alone(board.store, board.feeder, t, joint, board.evaluation.questions, TEST)] for t in ("liked", "taste")}


@pytest.fixture(scope="module")
def rows(board: SimpleNamespace, alone: dict[str, list[transfer.Alone]]) -> list[transfer.Row]:
    found = baselines.run(board.store, board.data, board.evaluation.questions, TEST, only=("popularity", "own history", "item-kNN"))
    return transfer.compare(board.store, board.data, board.evaluation, alone, found, draws=20)


def test_a_task_alone_reads_its_own_rows_as_often_as_the_joint_model(board: SimpleNamespace) -> None:
    tasks = board.store.tasks
    joint = budget(board.feeder, tasks, board.store.training)
    for task in ("liked", "rare", "demand"):
        own = len(training_rows(board.feeder, {task: tasks[task]})[tasks[task].samples])
        every = len(training_rows(board.feeder, {n: s for n, s in tasks.items() if s.samples == tasks[task].samples})[tasks[task].samples])
        given = transfer.budget_alone(board.feeder, tasks, joint, task)
        passes = given.shares[tasks[task].samples] * given.steps / own
        assert passes == pytest.approx(joint.shares[tasks[task].samples] * joint.steps / every, rel=0.1)


def test_less_than_a_row_a_step_becomes_fewer_steps(board: SimpleNamespace) -> None:
    joint = replace(budget(board.feeder, board.store.tasks, board.store.training), shares={"weekly": 0.25}, steps=40)
    given = transfer.budget_alone(board.feeder, board.store.tasks, joint, "demand")
    assert (given.shares["weekly"], given.steps) == (1.0, 10)


def test_alone_and_joint_answer_the_same_rows(board: SimpleNamespace, alone: dict[str, list[transfer.Alone]]) -> None:
    for task, runs in alone.items():
        assert np.array_equal(runs[0].evaluation.questions[task].rows, board.evaluation.questions[task].rows)
        assert runs[0].evaluation.answers[task].shape == board.evaluation.answers[task].shape
        assert runs[0].cpu_seconds >= runs[0].record.cpu_seconds > 0


def test_a_row_a_task_with_what_there_is(rows: list[transfer.Row]) -> None:
    by_task = {row.task: row for row in rows}
    assert set(by_task) == {"next", "liked", "rare", "taste", "demand"}
    assert by_task["liked"].verdict in {"better", "worse", "no difference"}
    assert by_task["liked"].gain is not None
    assert by_task["liked"].gain.value == pytest.approx(by_task["liked"].joint - by_task["liked"].alone)
    assert by_task["next"].gain is None
    assert by_task["next"].verdict == ""
    assert by_task["next"].best_baseline in {"own history", "item-kNN"}
    assert by_task["liked"].best_baseline == "popularity"


def test_the_best_baseline_of_a_falling_metric_is_the_lowest(board: SimpleNamespace) -> None:
    asked = {"demand": board.evaluation.questions["demand"]}
    spec = {"demand": board.store.tasks["demand"]}
    found = baselines.Baselines()
    for name, factor in (("popularity", 1.5), ("own history", 1.1), ("trees", 3.0)):
        found.by_name[name] = judged(board.data, spec, asked, {"demand": asked["demand"].value * factor}, TEST)
    row = next(r for r in transfer.compare(board.store, board.data, board.evaluation, None, found, draws=5) if r.task == "demand")
    assert row.baselines == pytest.approx({"popularity": 0.5, "own history": 0.1, "trees": 2.0}, abs=1e-6)
    assert row.best_baseline == "own history"
    assert row.over_best is not None
    assert row.over_best.value == pytest.approx(0.1 - row.joint, abs=1e-6)


def test_two_seeds_are_averaged(board: SimpleNamespace) -> None:
    torch.manual_seed(1)
    other = evaluate(type(board.network)(board.data.plan, board.store.model, board.store.tasks), board.feeder, board.store.tasks, TEST)
    found = {row.task: row for row in transfer.compare(board.store, board.data, [board.evaluation, other])}
    assert found["liked"].joint == pytest.approx((board.evaluation.figures["liked"]["auc"] + other.figures["liked"]["auc"]) / 2)


def test_fewer_rows_are_the_same_rows_for_all_tasks_of_a_table(board: SimpleNamespace) -> None:
    tasks = {"liked": board.store.tasks["liked"], "again": board.store.tasks["liked"]}
    board.data.tables["rated"].labels["again"] = board.data.tables["rated"].labels["liked"]
    found = ask(board.data, tasks, TEST, most=50, seed=3)
    del board.data.tables["rated"].labels["again"]
    assert len(found["liked"]) == 50
    assert np.array_equal(found["liked"].rows, found["again"].rows)
    assert not np.array_equal(found["liked"].rows, ask(board.data, {"liked": tasks["liked"]}, TEST, most=50, seed=4)["liked"].rows)


def test_validation_figures_come_from_the_validation_part(board: SimpleNamespace) -> None:
    valid = board.record.epochs[0]["valid"]
    assert set(valid) == set(board.store.tasks)
    assert valid["liked"]["rate"] != pytest.approx(board.evaluation.figures["liked"]["rate"], abs=1e-9)


def test_the_table_prints_undefined_and_never_nan(rows: list[transfer.Row]) -> None:
    rows = [*rows, transfer.Row("lost|found", "binary", "auc", True, 3, NAN, Interval(NAN, NAN, NAN), NAN, Interval(NAN, NAN, NAN), "undefined")]
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(table.terminal(rows, "all tasks"))
    printed, written = console.export_text(), table.markdown(rows)
    for text in (printed, written):
        assert "nan" not in text.lower()
        assert "undefined" in text
    assert "lost\\|found" in written
    assert len({line.replace("\\|", "").count("|") for line in written.splitlines()}) == 1
    plain = json.loads(json.dumps(table.plain(rows), allow_nan=False))
    assert plain[-1]["joint"] is None


@pytest.mark.parametrize("width", [80, 120, 200])
def test_no_column_is_cut_off_on_a_narrow_terminal(width: int) -> None:
    gain = Interval(0.0113, 0.0042, 0.0183)
    row = transfer.Row(
        "will_buy", "binary", "auc", True, 100_000, 0.8123, Interval(0.8123, 0.8, 0.82), 0.801, gain, "better", {"popularity": 0.7, "trees": 0.8}
    )
    row.best_baseline, row.over_best, row.over_best_verdict = "trees", Interval(0.001, -0.002, 0.004), "no difference"
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table.terminal([row], "[b]a shop[/b]"))
    printed = console.export_text()
    assert all(word in printed for word in ("[b]a shop[/b]", "[0.0042, 0.0183]", "[-0.0020, 0.0040]", "no difference", "better", "0.801"))
    assert printed.count("will_buy") == (2 if width == 80 else 1)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (NAN, "undefined"), (0.0123, "0.0123"), (0.5, "0.500"), (12.34, "12.3"), (12345.6, "12,346"), (-1e-9, "0.0000")]
)
def test_numbers_are_printed_so(value: float | None, text: str) -> None:
    assert table.number(value) == text

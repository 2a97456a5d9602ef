"""What a person sees while a run goes on."""

import io
import re

import pytest
from rich.console import Console

from banyan.training.progress import Bar
from banyan.training.record import Watch

LOSSES = {f"task{number}": number / 7 for number in range(1, 10)}  # nine of them


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(bar: Bar) -> str:
    assert isinstance(bar.console.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", bar.console.file.getvalue())


def run(bar: Bar, clock: Clock, first: int = 0) -> None:
    with bar:
        for step in range(first + 20, first + 401, 20):
            clock.now += 1
            bar.step(0, step, 1000, LOSSES, 12_345.6)
        bar.epoch(0, {"task1": {"auc": 0.75}, "task2": {"log_loss": float("nan")}, "task3": {}}, 0.0, True)


def plain(first: int = 0) -> list[str]:
    clock = Clock()
    bar = Bar("joint", Console(file=io.StringIO(), width=60), clock=clock)
    run(bar, clock, first)
    return shown(bar).splitlines()


def test_a_bar_is_a_watch() -> None:
    assert isinstance(Bar("joint", Console(file=io.StringIO())), Watch)


def test_a_plain_log_has_losses_pace_and_time_left_every_ten_seconds_and_a_line_an_epoch() -> None:
    lines = plain()
    assert len(lines) == 3
    assert lines[0].startswith("joint  step 200 of 1,000, at most 40 s left, 12,346 rows/s  task1 0.143")  # 20 steps a second
    assert lines[1].startswith("joint  step 400 of 1,000, at most 30 s left")
    assert all(f"{name} {value:.3g}" in line for line in lines[:2] for name, value in LOSSES.items())
    assert lines[2] == "joint  epoch 1 * task1 auc 0.75  task2 log_loss -"


def test_the_time_left_of_a_resumed_run_counts_its_own_steps() -> None:
    assert "step 700 of 1,000, at most 15 s left" in plain(500)[0]


def test_a_stopped_run_says_how_to_go_on() -> None:
    bar = Bar("joint", Console(file=io.StringIO(), width=60))
    with pytest.raises(KeyboardInterrupt), bar:
        raise KeyboardInterrupt("Stopped after step 12 of 45. Start the same command again to go on from the last checkpoint in [x].")
    assert shown(bar) == "Stopped after step 12 of 45. Start the same command again to go on from the last checkpoint in [x].\n"


def test_a_short_run_shows_its_losses_too() -> None:
    clock = Clock()
    bar = Bar("joint", Console(file=io.StringIO(), width=60), clock=clock)
    bar.step(0, 20, 40, LOSSES, 5.0)
    bar.epoch(0, {}, 0.0, False)
    assert shown(bar).splitlines()[0].startswith("joint  step 20 of 40, 5 rows/s  task1 0.143")


def test_a_terminal_shows_the_loss_of_each_task_pace_and_time_left() -> None:
    clock = Clock()
    bar = Bar("joint", Console(file=io.StringIO(), width=70, force_terminal=True), clock=clock)
    run(bar, clock)
    drawn = "\n".join(str(line) for line in [shown(bar)])
    assert "400/1000" in drawn
    assert "12,346 rows/s" in drawn
    assert "00:30" in drawn
    assert all(f"{name} {value:.3g}" in drawn for name, value in LOSSES.items())
    assert "epoch 1 * task1 auc 0.75" in drawn
    assert "step 400 of" not in drawn  # lines are for logs

"""A run that was killed, stopped or failed goes on to the very result of one that was not."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from banyan import disk
from banyan.errors import BanyanError, BundleError
from banyan.training import checkpoint, journal
from tests.training import toy as shop
from tests.training.toy import Toy

EPOCHS, STEPS = 9, 9
CLOCKS = {"seconds", "cpu_seconds"}


def kept(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], bytes]:
    """(all tensors, all facts but clocks, history) of the end of a run."""
    found = checkpoint.newest(folder)
    assert found
    tensors, facts = found
    facts["record"] = {key: value for key, value in facts["record"].items() if key not in CLOCKS}
    best = checkpoint.read(folder, facts["best"])
    return {**tensors, **checkpoint.pack("best", best)}, facts, (folder / "history.jsonl").read_bytes()


def assert_same(one: Path, other: Path) -> None:
    (tensors, facts, lines), (tensors_, facts_, lines_) = kept(one), kept(other)
    assert lines == lines_
    assert facts == facts_
    assert tensors.keys() == tensors_.keys()
    for key, tensor in tensors.items():
        assert torch.equal(tensor.view(torch.uint8) if tensor.ndim else tensor, tensors_[key].view(torch.uint8) if tensor.ndim else tensors_[key]), key
    for folder in (one, other):
        assert len(list(folder.iterdir())) == 3, sorted(folder.iterdir())  # a checkpoint, the best weights, the history: nothing is left over


def train(tables: Path, run: Path, part: str, *kills: str) -> None:
    command = [sys.executable, shop.__file__, str(tables), str(run), part, str(EPOCHS), *kills]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_result(toy: Toy, tmp_path: Path) -> None:
    """Five kills at random moments, three more while a checkpoint is written: between its files, before and after the rename."""
    rng = np.random.default_rng(7)
    moments = [f"{rng.integers(1, 6)}+{rng.uniform(0, 0.03):.4f}" for _ in range(5)]
    syncs = [f"sync:{number}" for number in (2, 4, 5)]
    tables = tmp_path / "tables"
    tables.mkdir()
    train(tables, tmp_path / "killed", "gradnorm", *rng.permutation(moments + syncs).tolist())
    assert shop.fit(toy, tmp_path / "whole", "gradnorm", epochs=EPOCHS).run().steps == EPOCHS * STEPS
    assert_same(tmp_path / "killed", tmp_path / "whole")


class Stop(Exception):
    """What the tests below raise in the middle of a run."""


def breaking(run: Any, at: int, when: str) -> None:
    """Have a run raise at its `at`-th step from now: before it, between the dense part's move and the table's, or after it."""
    steps = iter(range(1, 10_000))
    step, move = run._step, run.table.step

    def stepped(dealt: Any) -> None:
        number = next(steps)
        if number == at and when == "between":
            run.table.step = failing
        if number == at and when == "before":
            raise Stop
        step(dealt)
        run.table.step = move
        if number == at:
            raise Stop

    def failing(*_: object) -> None:
        raise Stop

    run._step = stepped


LENT = {"part": "jacobian", "aggregator": "PCGrad"}  # draws at random
OTHERS = [pytest.param(part, depth, marks=pytest.mark.slow) for part, depth in (("dwa", 0), ("uncertainty", 2), (LENT, 2))]


@pytest.mark.parametrize(("part", "depth"), [("gradnorm", 2), ("famo", 2), *OTHERS])
def test_a_run_that_fails_at_random_steps_goes_on_to_the_same_result(toy: Toy, tmp_path: Path, part: Any, depth: int) -> None:
    rng = np.random.default_rng(3)
    for when in ("before", "between", "after", "before", "after"):
        run = shop.fit(toy, tmp_path / "broken", part, depth=depth)
        breaking(run, int(rng.integers(2, 7)), when)
        with pytest.raises(Stop):
            run.run()
    resumed = shop.fit(toy, tmp_path / "broken", part, depth=depth)
    whole = shop.fit(toy, tmp_path / "whole", part, depth=2 - depth)
    shown = resumed.run(), whole.run()
    assert_same(tmp_path / "broken", tmp_path / "whole")
    assert shown[0].epochs == shown[1].epochs
    assert resumed.history == whole.history
    for key, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[key]), key


def test_the_end_of_a_run_is_kept(toy: Toy, tmp_path: Path) -> None:
    first, again = shop.fit(toy, tmp_path), shop.fit(toy, tmp_path)
    record = first.run()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert again.run() == record  # clocks too: nothing was done
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert again.history == first.history
    assert all(torch.equal(t, again.network.state_dict()[key]) for key, t in first.network.state_dict().items())


class Watching:
    """Calls something at a step's line."""

    def __init__(self, line: int, call: Callable[[], object]) -> None:
        self.line, self.call = line, call

    def step(self, *_: object) -> None:
        self.line -= 1
        if self.line == 0:
            self.call()

    def epoch(self, *_: object) -> None:
        pass


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C as in a terminal; a job in the background is started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_ends_the_step_saves_and_says_how_to_go_on(toy: Toy, tmp_path: Path) -> None:
    stopped = shop.fit(toy, tmp_path / "stopped", watch=Watching(4, ctrl_c), checkpoint_seconds=1e9)
    with pytest.raises(KeyboardInterrupt, match=r"after step 12 of 27\. Start the same command again .*stopped"):
        stopped.run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = shop.fit(toy, tmp_path / "stopped", checkpoint_seconds=1e9)
    resumed.run()
    assert [line["step"] for line in resumed.history[:6]] == [3, 6, 9, 9, 12, 15]  # no line is lost or written twice
    shop.fit(toy, tmp_path / "whole").run()
    assert_same(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.usefixtures("heard")
def test_a_second_ctrl_c_stops_at_once(toy: Toy) -> None:
    run = shop.fit(toy, watch=Watching(2, lambda: (ctrl_c(), ctrl_c())))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.record.steps == 6
    with pytest.raises(KeyboardInterrupt, match="Nothing was kept"):
        shop.fit(toy, watch=Watching(2, ctrl_c)).run()


def test_a_run_of_other_options_is_refused_with_what_differs(toy: Toy, tmp_path: Path) -> None:
    shop.fit(toy, tmp_path, epochs=1).run()
    with pytest.raises(BanyanError, match=r"training\.epochs was 1 and is 2; training\.lr was 0\.01 and is 0\.5"):
        shop.fit(toy, tmp_path, epochs=2, lr=0.5).run()
    with pytest.raises(BanyanError, match=r"balancing\.part was 'gradnorm' and is 'dwa'"):
        shop.fit(toy, tmp_path, "dwa", epochs=1).run()
    shop.fit(toy, tmp_path, epochs=1, seconds=60.0, threads=2).run()  # neither changes what a step does


def test_a_changed_or_missing_file_is_refused(toy: Toy, tmp_path: Path) -> None:
    shop.fit(toy, tmp_path, epochs=1).run()
    best = next(tmp_path.glob("best-*"))
    held = best.read_bytes()
    best.write_bytes(held[:-1] + b"?")
    with pytest.raises(BundleError, match=r"best-.* was changed"):
        shop.fit(toy, tmp_path, epochs=1).run()
    best.unlink()
    with pytest.raises(BundleError, match=r"best-.* is missing"):
        shop.fit(toy, tmp_path, epochs=1).run()
    best.write_bytes(held)
    (tmp_path / "history.jsonl").write_text('{"step": 3}\n', encoding="utf-8")
    with pytest.raises(BanyanError, match=r"history\.jsonl: has 12 bytes"):
        shop.fit(toy, tmp_path, epochs=1).run()
    next(tmp_path.glob("checkpoint-*/tensors.safetensors")).write_bytes(b"nothing")
    with pytest.raises(BundleError, match="cannot be read"):
        shop.fit(toy, tmp_path, epochs=1).run()


def test_best_weights_are_written_once_an_improvement(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def noted(tensors: dict[str, torch.Tensor], path: Path) -> None:
        written.append(Path(path).name)
        save_file(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", noted)
    scores = iter([0.5, 0.7, 0.6])  # the second epoch is the best
    shop.fit(toy, tmp_path, validate=lambda network: {"liked": {"auc": next(scores)}}).run()
    assert [name for name in written if "best" in name] == [".best-000000009.safetensors.writing", ".best-000000018.safetensors.writing"]
    assert [path.name for path in tmp_path.glob("best-*")] == ["best-000000018.safetensors"]
    assert not any(key.startswith("best") for key in load_file(next(tmp_path.glob("checkpoint-*/tensors.safetensors"))))


def test_a_checkpoint_does_not_grow_with_the_history(tmp_path: Path) -> None:
    log = journal.Journal(tmp_path / "history.jsonl")
    log.rewind(0)
    sizes = []
    for number in range(200):
        log.add({"step": number, "loss": {"liked": 0.5}})
        if number % 50 == 0:
            saved = checkpoint.save(tmp_path, {"x": torch.ones(3)}, {"history": log.sync()})
            sizes.append(sum(path.stat().st_size for path in saved.iterdir()))
    assert max(sizes) - min(sizes) < 8  # digits of the length


def test_a_line_cut_short_is_taken_back(tmp_path: Path) -> None:
    log = journal.Journal(tmp_path / "history.jsonl")
    log.rewind(0)
    log.add({"step": 1, "loss": {"liked": 0.25}})
    log.add({"epoch": 0, "valid": {"liked": {"auc": float("nan")}}})
    length = log.sync()
    with log.path.open("ab") as file:  # type: ignore[union-attr]
        file.write(b'{"step": 2, "lo')
    again = journal.Journal(log.path)
    again.rewind(length)
    again.add({"step": 2})
    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line, parse_constant=pytest.fail) for line in lines] == [
        {"step": 1, "loss": {"liked": 0.25}},
        {"epoch": 0, "valid": {"liked": {"auc": None}}},
        {"step": 2},
    ]
    assert np.isnan(again.entries[1]["valid"]["liked"]["auc"])
    assert again.entries[0] == log.entries[0]


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, {"x": torch.ones(2)}, {"number": 1})

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "sync", full)
    with pytest.raises(BanyanError, match="No space left"):
        checkpoint.save(tmp_path, {"x": torch.zeros(2)}, {"number": 2})
    found = checkpoint.newest(tmp_path)
    assert found
    assert found[1] == {"number": 1}
    assert found[0]["x"].tolist() == [1, 1]


def test_tensors_on_one_storage_are_saved_whole(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    checkpoint.save(tmp_path, {"all": base, "half": base[:3], "turned": base.view(2, 3).t()}, {})
    found = checkpoint.newest(tmp_path)
    assert found
    assert {key: t.tolist() for key, t in found[0].items()} == {"all": base.tolist(), "half": [0, 1, 2], "turned": [[0, 3], [1, 4], [2, 5]]}

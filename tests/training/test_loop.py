"""One training run: what it promises of seeds, stops, losses, balancers, numbers and devices."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from banyan import parts
from banyan.devices import has_bf16
from banyan.errors import BanyanError
from banyan.training import checkpoint, loop
from banyan.training.loop import Fit
from banyan.types import Step
from tests.training import toy as shop
from tests.training.toy import Toy


def weights(run: Fit) -> dict[str, Tensor]:
    return {key: t.detach().cpu().clone() for key, t in run.network.state_dict().items()}


def scored(*scores: float) -> Any:
    """A validation that gives these scores, one a call."""
    left = iter(scores)
    return lambda network: {"liked": {"auc": next(left)}}


def unjudged(network: Any) -> Any:
    """A validation that costs nothing: the last epoch is the best."""
    return {}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(t, other[key]) for key, t in one.items())


def trained(toy: Toy, **options: Any) -> dict[str, Tensor]:
    run = shop.fit(toy, validate=unjudged, epochs=1, **options)
    run.run()
    return weights(run)


def test_a_seed_gives_the_same_weights_and_another_gives_others(toy: Toy) -> None:
    one = trained(toy, seed=1)
    torch.rand(7)  # what came before does not count
    assert same(one, trained(toy, seed=1, depth=0))
    other = trained(toy, seed=2)
    assert all(not torch.equal(t, other[key]) for key, t in one.items() if t.numel() > 8 and t.std() > 0)


def test_losses_fall_on_the_training_rows(toy: Toy) -> None:
    run = shop.fit(toy, None, "fixed", validate=unjudged, epochs=15, lr=0.02)
    run.run()
    losses = [line["loss"] for line in run.history if "loss" in line]
    for task in ("liked", "taste"):
        first, last = ([each[task] for each in part if task in each] for part in (losses[:6], losses[-6:]))
        assert np.mean(last) < np.mean(first) - 0.02, task


@pytest.mark.parametrize("name", parts.names("balancing"))
def test_every_balancer_runs_over_two_tables_with_a_task_missing_from_some_steps(toy: Toy, name: str) -> None:
    run, seen = shop.fit(toy, None, name, epochs=1, steps=3, batch=12, log_every=1), list[set[str]]()
    run.run()
    seen = [set(line["loss"]) for line in run.history if "loss" in line]
    assert len(seen) == 3
    assert {"liked", "taste"} <= set.union(*seen)
    assert any("rare" not in each for each in seen)
    assert all(bool(t.isfinite().all()) for t in weights(run).values() if t.is_floating_point())


def test_the_best_epoch_is_kept_and_bad_ones_end_the_run(toy: Toy, tmp_path: Path) -> None:
    held: list[dict[str, Tensor]] = []
    scores = scored(0.5, 0.6, 0.55, 0.52, 0.9)

    def validate(network: Any) -> Any:
        held.append({key: t.clone() for key, t in network.state_dict().items()})
        return scores(network)

    for folder in (None, tmp_path):
        held.clear()
        scores = scored(0.5, 0.6, 0.55, 0.52, 0.9)
        run = shop.fit(toy, folder, validate=validate, epochs=9, patience=2)
        record = run.run()
        assert (record.best_epoch, record.stale, record.steps) == (1, 2, 4 * 9)
        assert record.stopped.startswith("early")
        assert record.best_score == pytest.approx(0.1 / 0.5)
        assert same(held[1], weights(run))
        assert not same(held[3], weights(run))


def test_the_score_weighs_the_tasks(toy: Toy) -> None:
    tasks = {name: spec.model_copy(update={"weight": 3.0 if name == "liked" else 1.0}) for name, spec in toy.store.tasks.items()}
    figures = iter([{"liked": {"auc": 0.5}, "taste": {"log_loss": 2.0}, "rare": {"auc": math.nan}}, {"liked": {"auc": 0.6}, "taste": {"log_loss": 2.2}}])
    run = shop.fit(Toy(toy.store.model_copy(update={"tasks": tasks}), toy.data), validate=lambda network: next(figures), epochs=2)
    assert run.run().best_score == pytest.approx((3 * 0.2 - 0.1) / 4)  # a loss counts downwards, what is not known not at all


def test_history_holds_every_loss_weight_and_metric_as_json_lines(toy: Toy, tmp_path: Path) -> None:
    run = shop.fit(toy, tmp_path, log_every=1)
    run.run()
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    steps, epochs = [line for line in lines if "loss" in line], [line for line in lines if "valid" in line]
    assert [line["step"] for line in steps] == list(range(1, 28))
    assert [(line["epoch"], line["step"]) for line in epochs] == [(0, 9), (1, 18), (2, 27)]
    assert all(line["loss"].keys() == line["weight"].keys() and line["lr"] > 0 for line in steps)
    assert any(abs(line["weight"]["liked"] - 1) > 1e-4 for line in steps)  # gradnorm moves them
    assert {"liked", "rare", "taste"} == set(epochs[-1]["valid"])
    assert "auc" in epochs[-1]["valid"]["liked"]


def test_a_line_holds_the_mean_of_the_losses_since_the_line_before(toy: Toy) -> None:
    each, third = (shop.fit(toy, log_every=n, epochs=1) for n in (1, 3))
    each.run(), third.run()
    fine = [line["loss"] for line in each.history if "loss" in line]
    coarse = [line["loss"] for line in third.history if "loss" in line]
    for number, line in enumerate(coarse):
        for task, value in line.items():
            assert value == pytest.approx(np.mean([step[task] for step in fine[3 * number : 3 * number + 3] if task in step]))


def test_a_loss_that_is_none_names_task_and_step_and_leaves_the_checkpoint(toy: Toy, tmp_path: Path) -> None:
    run = shop.fit(toy, tmp_path, log_every=50)
    losses = run.network.losses

    def spoilt(step: Step, raw: Any) -> Any:
        found, present = losses(step, raw)
        return (found * torch.where(torch.tensor(present) == 2, math.nan, 1.0), present) if run.record.steps == 7 else (found, present)

    run.network.losses = spoilt  # type: ignore[method-assign]
    with pytest.raises(BanyanError, match=r"loss of taste is nan at step 8\..*last checkpoint in"):
        run.run()
    found = checkpoint.newest(tmp_path)
    assert found
    assert 1 <= found[1]["record"]["steps"] <= 7
    assert all(bool(t.isfinite().all()) for t in found[0].values() if t.is_floating_point())
    again, whole = shop.fit(toy, tmp_path, log_every=50), shop.fit(toy, log_every=50)
    again.run(), whole.run()
    assert same(weights(again), weights(whole))


def test_a_gradient_that_is_none_moves_nothing(toy: Toy) -> None:
    run = shop.fit(toy, None, "fixed")
    next(run.network.trunks.parameters()).register_hook(lambda gradient: gradient * math.inf)
    before = weights(run)
    with pytest.raises(BanyanError, match=r"gradient of .*liked.* at step 1\. .*Nothing was kept"):
        run.run()
    assert same(before, weights(run))


def test_a_limit_of_seconds_validates_keeps_the_best_and_can_be_raised(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = shop.fit(toy, tmp_path, validate=scored(0.5, 0.4), epochs=3, seconds=60.0)
    monkeypatch.setattr(Fit, "_late", lambda self: self.record.steps == 13)
    record = run.run()
    assert record.stopped == "after 60 seconds"
    assert [(each["epoch"], each["step"]) for each in record.epochs] == [(0, 9), (1, 13)]
    assert (record.best_epoch, record.steps) == (0, 13)
    monkeypatch.undo()
    monkeypatch.setattr(loop.Fit, "_clock", lambda self: (61.0, 61.0))
    assert shop.fit(toy, tmp_path, validate=scored(), epochs=3, seconds=0.001).run().steps == 13  # its time is still up
    monkeypatch.undo()
    more = shop.fit(toy, tmp_path, validate=scored(0.7, 0.8), epochs=3, seconds=6000.0).run()
    assert (more.steps, more.best_epoch, more.stopped) == (27, 2, "after 3 epochs")


def test_the_limit_of_seconds_is_one_of_wall_time(toy: Toy) -> None:
    record = shop.fit(toy, epochs=1000, steps=1000, seconds=0.3).run()
    assert record.stopped == "after 0.3 seconds"
    assert len(record.epochs) == 1
    assert 0.3 < record.seconds < 20


def test_a_limit_of_cpu_seconds_does_not_count_the_time_that_others_took(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = shop.fit(toy, epochs=1000, steps=1000, seconds=0.2, clock="cpu")
    monkeypatch.setattr(Fit, "_clock", lambda self: (1e6, 0.1 * self.record.steps))
    assert fit.run().stopped == "after 0.2 CPU seconds"
    assert fit.record.steps == 3


def test_an_epoch_that_ends_as_time_is_up_is_validated_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fit, "_late", lambda self: self.record.steps == 9)
    record = shop.fit(toy, validate=scored(0.5), seconds=1.0).run()
    assert [(each["epoch"], each["step"]) for each in record.epochs] == [(0, 9)]


def test_bf16_gives_finite_losses_near_those_of_fp32(toy: Toy) -> None:
    half, full = (shop.fit(toy, None, "fixed", bf16=bf16, epochs=1, log_every=9) for bf16 in (True, False))
    assert (half.gradients.bf16, full.gradients.bf16) == (True, False)
    half.run(), full.run()
    for task, value in full.history[0]["loss"].items():
        assert half.history[0]["loss"][task] == pytest.approx(value, abs=0.03)
    assert all(t.dtype != torch.bfloat16 for t in half.network.state_dict().values())
    assert half.history[0]["loss"] != full.history[0]["loss"]


@pytest.mark.parametrize("native", [True, False])
def test_bf16_follows_the_processor_unless_told(toy: Toy, monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
    assert has_bf16(torch.device("cpu")) is native
    assert shop.fit(toy, bf16=None).gradients.bf16 is native


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    inside = (
        value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else vars(value).values() if hasattr(value, "__dict__") else ()
    )
    return [t for each in inside for t in tensors(each)]


def test_a_step_moves_whole_to_a_device(toy: Toy) -> None:
    run = shop.fit(toy)
    step = run.feeder.step(run.picker.deal(), np.random.default_rng(0), list(run.tasks))
    moved = step.to("meta")
    assert len(tensors(moved)) == len(tensors(step)) > 15
    assert {t.device.type for t in tensors(moved)} == {"meta"}
    assert moved.lengths == step.lengths
    labels = [(a, b) for old, new in zip(step.batches, moved.batches, strict=True) for a, b in zip(old.labels.values(), new.labels.values(), strict=True)]
    assert all(old.present == new.present and isinstance(new.present, tuple) for old, new in labels)
    assert {t.device.type for t in tensors(step)} == {"cpu"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("part", ["fixed", "gradnorm", "famo", "uncertainty"])
def test_a_run_on_a_gpu_resumes_and_agrees_with_the_cpu(toy: Toy, tmp_path: Path, part: str) -> None:
    run = shop.fit(toy, tmp_path, part, device="cuda", epochs=1)
    run.run()
    assert {t.device.type for t in (*run.table.state().values(), run.table.weight) if t.ndim} == {"cuda"}
    again = shop.fit(toy, tmp_path, part, device="cuda", epochs=1)
    assert again.run().steps == run.record.steps
    assert same(weights(run), weights(again))
    cpu = shop.fit(toy, None, part, epochs=1)
    cpu.run()
    for there, here in zip(run.history, cpu.history, strict=True):
        for task, value in here.get("loss", {}).items():
            assert there["loss"][task] == pytest.approx(value, abs=0.1)  # dropout draws other numbers there

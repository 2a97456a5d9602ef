"""What a model is worth on worlds whose right answers are known: it learns, sharing helps where it was planted, and nothing is found where nothing is."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from banyan.evaluation.evaluate import judged
from banyan.evaluation.questions import ask, judges
from banyan.features.build import build
from banyan.features.data import Data
from banyan.features.texts import Texts
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.world import World, make
from banyan.types import TEST
from benchmarks import _gaps, _trial, _truths
from benchmarks import world as benchmark

FEW = ["training.epochs=2", "training.steps=40", "training.batch=1024"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    world, folder = make(users=400, items=200), tmp_path_factory.mktemp("world")
    world.write(folder)
    return world, folder


@pytest.fixture(scope="module")
def opened(written: tuple[World, Path]) -> tuple[Store, Data]:
    shop = open_store(load(written[1] / "store.yaml"))
    return shop.store, build(shop, Texts())


def test_the_oracles_answer_the_very_rows_that_a_model_is_asked(written: tuple[World, Path], opened: tuple[Store, Data]) -> None:
    (world, _), (store, data) = written, opened
    questions = ask(data, store.tasks, TEST)
    levels = [judged(data, store.tasks, questions, _truths.answers(world, store, data, questions, level), TEST).figures for level in ("popularity", "full")]
    for task, part in judges(data, store.tasks).items():
        low, high = (each[task][part.best] for each in levels)
        assert (high > low) == part.rising, f"{task}: {part.best} of popularity {low}, of the truth {high}"


def test_a_shifted_oracle_is_refused(written: tuple[World, Path], opened: tuple[Store, Data]) -> None:
    (world, _), (store, data) = written, opened
    questions = ask(data, {"vip": store.tasks["vip"]}, TEST)
    shorter = make(users=300, items=200)
    with pytest.raises(ValueError, match=r"samples\.club has .* rows"):
        _truths.answers(shorter, store, data, questions, "full")
    assert _truths.answers(world, store, data, questions, "full")["vip"].shape == (len(questions["vip"]), 1)


@pytest.mark.slow
def test_a_few_steps_beat_popularity(written: tuple[World, Path], tmp_path: Path) -> None:
    found = tried(written, tmp_path, ["bought", "loyal", "interests", "spend"], [], FEW)
    closed = {f"{task} {metric}": row["closed"] for task, metrics in found["figures"].items() for metric, row in metrics.items()}
    assert len(closed) == 5
    assert all(share > 0.15 for share in closed.values()), closed


@pytest.mark.slow
def test_where_nothing_is_shared_no_gain_is_found(tmp_path: Path) -> None:
    null = make(users=400, items=200, null=True)
    null.write(tmp_path)
    tasks, sets = ["loyal", "lifestage", "interests", "vip"], ["training.epochs=20", "training.patience=10", "training.batch=64"]
    found = tried((null, tmp_path), tmp_path, tasks, ["loyal", "vip"], sets)
    assert found["figures"]["loyal"]["auc"]["closed"] > 0.5, "it should read the cues of its own rows"
    verdicts = [gain["verdict"] for gain in found["gains"].values()]
    assert verdicts.count("better") <= 1, found["gains"]  # one in forty by chance alone


def tried(written: tuple[World, Path], folder: Path, tasks: list[str], alone: list[str], sets: list[str]) -> dict[str, Any]:
    world, store = written
    (folder / "runs").mkdir()
    return _trial.run(world, store, sets, alone=alone, tell=lambda text: None, tasks=tasks, runs=folder / "runs")


def test_the_summary_holds_means_and_the_wider_of_two_errors() -> None:
    def seed(model: float, gain: float, verdict: str) -> dict[str, Any]:
        row = {"model": model, "popularity": 0.5, "bayes": 0.9, "closed": (model - 0.5) / 0.4}
        gained = {"metric": "auc", "joint": model, "alone": model - gain, "gain": gain, "low": gain - 0.03, "high": gain + 0.03, "verdict": verdict}
        return {"figures": {"vip": {"auc": row}}, "gains": {"vip": gained}, "cpu_seconds": 1.0}

    found = _gaps.summary([seed(0.7, 0.03, "no difference"), seed(0.9, 0.0301, "better")])
    assert found["figures"]["vip auc"]["closed_each"] == pytest.approx([0.5, 1.0])
    assert found["least_closed"] == pytest.approx(0.75)
    gain = found["gains"]["vip"]
    assert gain["high"] - gain["gain"] == pytest.approx(math.sqrt(2) * 0.03 / 2)
    assert gain["verdict"] == "better"
    assert gain["each"] == ["no difference", "better"]
    apart = _gaps.summary([seed(0.7, 0.02, "no difference"), seed(0.9, 0.06, "better")])["gains"]["vip"]
    assert apart["high"] - apart["gain"] == pytest.approx(12.706 * 0.02, rel=1e-3)  # what two worlds 0.04 apart say of their mean
    assert apart["verdict"] == "no difference"
    assert "below 85%: " not in "".join(_gaps.said({**found, "seeds": 2, "size": "default", "null": True}))


@pytest.mark.slow
def test_the_benchmark_closes_most_of_the_gap_and_says_where_sharing_helps(tmp_path: Path) -> None:
    given = ["--seeds", "1", "--small", "--folder", str(tmp_path), "--results", str(tmp_path / "R.md"), "--set", "training.epochs=8", "training.batch=1024"]
    found = benchmark.main(given)
    closed = [row["closed"] for row in found["figures"].values()]
    assert np.median(closed) > 0.7, found["figures"]
    assert min(closed) > 0.4, found["figures"]
    assert found["gains"]["vip"]["verdict"] == "better"
    assert benchmark.main(given)["figures"] == found["figures"]  # read from the folder: nothing is trained twice

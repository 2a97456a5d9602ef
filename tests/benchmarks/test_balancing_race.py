"""The benchmark of balancers, on a tiny world and a small shop: who goes on, what is compared, and that a finished run is not made again."""

import json
from pathlib import Path

import pytest

from benchmarks import _balancers, balancing
from examples.own_csv_files import STORE, write_files

SMALL = ["training.epochs=1", "training.steps=3", "training.batch=128", "model.width=4", "model.sharing=bottom"]


@pytest.mark.slow
def test_the_best_of_the_world_meet_tuned_weights_on_a_real_store(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancing, "WORLD", {"users": 120, "items": 50})
    shop = tmp_path / "corner"
    shop.mkdir()
    write_files(shop, users=60, items=30, views=1500)
    (shop / "store.yaml").write_text(STORE)
    arguments = ["--folder", str(tmp_path / "runs"), "--results", str(tmp_path / "R.md"), "--households", "0", "--store", str(shop / "store.yaml")]
    arguments += ["--balancers", "uncertainty", "UPGrad", "--seeds", "2", "--seeds-real", "2", "--best", "1", "--trials", "2", "--share", "1"]
    arguments += ["--steps-cost", "1", "--set", *SMALL, "--set-world", *SMALL]
    found = balancing.main(arguments)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    assert set(found["world"]) == {"fixed", "uncertainty", "UPGrad"}
    assert found["world"]["fixed"]["gain"] == 0
    assert found["world"]["UPGrad"]["cost"] > 1
    assert set(found["stores"]["corner"]["balancers"]) == {"fixed", "tuned weights", found["best"][0]}
    assert set(found["stores"]["corner"]["weights"]) == {"bought", "next", "age"}
    assert "| tuned weights |" in (tmp_path / "R.md").read_text()
    lines = (tmp_path / "runs" / "corner" / "runs.jsonl").read_text()
    assert balancing.main(arguments) == found
    assert (tmp_path / "runs" / "corner" / "runs.jsonl").read_text() == lines


def test_gains_are_relative_to_the_plain_sum_and_their_interval_is_that_of_few_seeds() -> None:
    plain = {"test": {"a": 0.5, "b": -2.0}, "valid": {}}
    better = {"test": {"a": 0.55, "b": -1.0}, "valid": {}}
    assert _balancers.gains_of(better, plain, "test") == pytest.approx({"a": 0.1, "b": 0.5})
    mean, low, high = _balancers.spread([0.1, 0.2, 0.3])
    assert (mean, high - low) == pytest.approx((0.2, 2 * 4.302653 * 0.1 / 3**0.5))
    assert {"fixed", "uncertainty", "UPGrad", "PCGrad", "MGDA"} <= set(_balancers.specs())

"""The examples run as they stand, and what they print is what they promise."""

import os
from pathlib import Path

import pytest

from banyan import parts
from banyan.balancing import Balancer
from examples import add_a_balancer, census_income, own_csv_files


def test_own_csv_files_become_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = own_csv_files.main(tmp_path, users=60, views=1500, settings=["training.epochs=1", "training.steps=5"])
    said = capsys.readouterr().out
    assert all(word in said for word in ("corner shop", "bought", "next", "age", "gain by sharing", "bought.cart", "bought.buy"))
    assert run.report.exists()


@pytest.mark.slow
def test_own_csv_files_learn_what_was_planted(tmp_path: Path) -> None:
    run = own_csv_files.main(tmp_path)
    found = {row.task: row for row in run.rows}
    assert run.evaluation.figures["bought"]["auc/cart"] > 0.6  # the young like one half of the brands
    assert found["bought"].over_best_verdict != "worse"


@pytest.mark.slow
def test_a_balancer_of_your_own_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_a_balancer.main(tmp_path)
    assert "corner shop" in capsys.readouterr().out


def test_the_balancer_of_the_example_is_a_part() -> None:
    name, options = parts.check("balancing", {"part": "examples.add_a_balancer:Geometric", "floor": 0.01})
    assert issubclass(parts.find("balancing", name), Balancer)
    assert options == {"floor": 0.01}


@pytest.mark.slow
def test_census_income_is_no_worse_than_published_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "BANYAN_DATA" not in os.environ:
        pytest.skip("BANYAN_DATA names no folder with census_income/train.parquet")
    run = census_income.main(Path(os.environ["BANYAN_DATA"]) / "census_income", tmp_path)
    found = {row.task: row for row in run.rows}
    assert found["income"].rows == 19_953
    assert found["income"].joint > 0.945
    assert found["married"].joint > 0.993
    assert "income.income" in capsys.readouterr().out

"""A run that starts from a bundle: it says what moved, goes on only from the same one, and repeats itself."""

from pathlib import Path

import polars as pl
import pytest
import torch
from typer.testing import CliRunner

import banyan
from banyan.cli import app
from banyan.errors import ConfigError
from banyan.run import Run
from tests.graft.shops import DESCRIPTION, turned, written

QUIET = {"alone": False, "simple": False, "draws": 0, "most": 50}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("first")
    return banyan.train(written(folder, DESCRIPTION), folder / "run", **QUIET)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("second"), turned(DESCRIPTION) | {"store": "second"}, seed=4)


@pytest.fixture(scope="module")
def second(first: Run, page: Path) -> Run:
    return banyan.train(page, page.parent / "run", start_from=first.folder / "bundle", freeze=["trunk"], share={"user.id": False}, **QUIET)


def test_the_card_and_the_facts_say_what_moved(second: Run) -> None:
    facts = second.bundle.facts["start_from"]
    assert (facts["store"], facts["freeze"], facts["share"]) == ("first", ["trunk"], {"user.id": False})
    assert {"feature": "user.id", "there": "user.id", "found": "left apart as asked"} in facts["features"]
    card = (second.folder / "bundle" / "README.md").read_text()
    assert "## What it started from" in card
    assert "From the bundle of first" in card
    assert "head of kept" in card
    assert any("started from a bundle of 'first'" in note for note in second.notes)


def test_a_run_that_started_otherwise_is_not_gone_on_with(first: Run, second: Run, page: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run with another start"):
        banyan.train(page, second.folder, **QUIET)


def test_the_same_start_and_seed_give_the_same_model(first: Run, second: Run, page: Path) -> None:
    again = banyan.train(page, page.parent / "again", start_from=first.folder / "bundle", freeze=["trunk"], share={"user.id": False}, **QUIET)
    mine = second.network.state_dict()
    assert all(torch.equal(value, mine[key]) for key, value in again.network.state_dict().items())


def test_several_stores_train_one_model_and_each_has_its_figures(first: Run, page: Path, tmp_path: Path) -> None:
    run = banyan.train(
        [first.folder.parent / "store.yaml", page], tmp_path, **(QUIET | {"most": None})
    )  # 30 rows of a scenario at least have figures of their own
    assert run.store.store == "first + second"
    assert set(run.evaluation.by_scenario["kept"]) >= {"first", "second"}
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "an id that is not shared is `store:id`" in card
    assert run.bundle.facts["stores"]["names"] == ["first", "second"]
    row = {"id of user": ["first:u1", "second:u1"], "id of item": ["first:i1", "second:i1"], "store": ["first", "second"], "page": ["home", "home"]}
    asked = pl.DataFrame({**row, "time of row": ["2024-02-01"] * 2, "place": [1.0, 1.0], "device": ["desk", "desk"]})
    assert run.bundle.predict("shown", asked)["kept.kept"].is_finite().all()
    rows = banyan.evaluate(tmp_path / "joined" / "store.yaml", tmp_path / "bundle", draws=0, most=20)
    assert [row.task for row in rows] == list(run.store.tasks)


def test_options_of_a_start_need_one(page: Path) -> None:
    said = CliRunner().invoke(app, ["train", str(page), "--freeze", "trunk", "--out", str(page.parent / "none")])
    assert said.exit_code == 2
    assert "name it with --start-from" in " ".join(said.stderr.split())

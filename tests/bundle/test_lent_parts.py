"""A bundle from elsewhere names no code that is run: parts from outside are refused unless lent, and those that no answer needs are dropped unread."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from banyan.bundle.loading import _store
from banyan.bundle.saving import described
from banyan.errors import BundleError
from banyan.store.load import load
from tests.training.scarce import scarce

EVIL = "run_from_a_bundle:Part"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return described(load(scarce(tmp_path_factory.mktemp("scarce"))))


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run_from_a_bundle.py").write_text("raise SystemExit('code of a bundle was run')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))


def read(page: dict[str, Any], tmp_path: Path, *steps: str, value: Any = EVIL) -> Any:
    changed = copy.deepcopy(page)
    here = changed
    for step in steps[:-1]:
        here = here[step]
    here[steps[-1]] = value
    (tmp_path / "store.json").write_text(json.dumps(changed), encoding="utf-8")
    return _store(tmp_path / "store.json", False)


PLACES = [("model", "sharing"), ("model", "history"), ("model", "cross"), ("model", "encoders", "number"), ("model", "signals", "mine")]
PLACES += [("tasks", "liked", "kind"), ("tasks", "liked", "delayed"), ("tasks", "liked", "calibration")]


@pytest.mark.parametrize("steps", PLACES, ids=".".join)
def test_a_part_that_answers_need_is_refused_before_it_is_imported(page: dict[str, Any], tmp_path: Path, steps: tuple[str, ...]) -> None:
    with pytest.raises(BundleError, match="from outside of banyan"):
        read(page, tmp_path, *steps)
    assert "run_from_a_bundle" not in sys.modules


@pytest.mark.parametrize("steps", [("model", "balancing"), ("auxiliary", "masked", "kind")], ids=".".join)
def test_a_part_that_only_training_needs_is_dropped_unread(page: dict[str, Any], tmp_path: Path, steps: tuple[str, ...]) -> None:
    store = read(page, tmp_path, *steps)
    assert EVIL not in store.model_dump_json()
    assert "run_from_a_bundle" not in sys.modules


def test_a_bundle_of_an_older_version_without_these_keys_is_read(page: dict[str, Any], tmp_path: Path) -> None:
    older = {key: value for key, value in page.items() if key != "auxiliary"}
    older["training"] = {key: value for key, value in page["training"].items() if key != "pretrain"}
    older["tasks"] = {name: {key: value for key, value in task.items() if key != "pseudo_labels"} for name, task in page["tasks"].items()}
    assert read(older, tmp_path, "store", value="older").auxiliary == {}

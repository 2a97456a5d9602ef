"""Promises of the audit on a store whose truth is planted: it sees who helps whom, goes on after a stop, and what it writes can be used."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from banyan.errors import ConfigError
from banyan.evaluation import audit_report
from banyan.evaluation.arms import Arm
from banyan.evaluation.audit import Audit, audit
from banyan.evaluation.grouping import Proposal
from banyan.evaluation.race import RUNGS
from banyan.evaluation.trial import Bench
from banyan.store.load import load
from banyan.store.schema import Store
from tests.training.planted import planted

OPTIONS: dict[str, Any] = {"seeds": 2, "arms": 3, "draws": 20}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def found(store: Store) -> Audit:
    return audit(store, store.folder / "audit", **OPTIONS)


def test_tasks_that_follow_the_same_help_and_one_that_does_not_fights(found: Audit) -> None:
    tasks, ahead, cosine = found.affinities.tasks, found.affinities.ahead, found.affinities.cosine
    same, like, other = (tasks.index(name) for name in ("same", "like", "other"))
    assert ahead[same, like] > found.affinities.ahead_error[same, like]
    assert cosine[same, like] > 0.5
    assert ahead[same, other] < 0
    assert cosine[same, other] < 0


def test_every_task_is_compared_with_itself_alone_on_test_rows(found: Audit) -> None:
    family = found.gains["together over alone"]
    assert [each.task for each in family] == ["same", "like", "other"]
    every = [each for each in found.gains.values() for each in each]
    assert {each.verdict for each in every} <= {"better", "worse", "no difference", "undefined"}
    assert all(each.adjusted >= each.p or math.isnan(each.p) for each in every)
    assert {each.scenario for each in found.by_scenario["together over alone"]} == {"home", "search"}


def test_a_race_halves_its_arms_and_only_trials_of_one_budget_meet(found: Audit) -> None:
    counts = [sum(heat.share == rung for heat in found.heats) for rung in RUNGS]
    assert counts[0] == 3
    assert 1 <= counts[1] <= 3
    assert found.chosen == found.best or found.chosen.variant.changes() == 0


def test_the_same_call_trains_nothing_again_and_says_the_same(store: Store, found: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "fit", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(Bench, "alone", lambda *_, **__: pytest.fail("trained again"))
    again = audit(store, store.folder / "audit", **OPTIONS)
    assert audit_report.sentences(again) == audit_report.sentences(found)
    assert again.gains == found.gains


def test_other_settings_do_not_go_on_in_the_same_folder(store: Store, found: Audit) -> None:
    with pytest.raises(ConfigError, match="another seeds"):
        audit(store, found.folder, **{**OPTIONS, "seeds": 3})


def test_what_is_recommended_is_a_store_that_trains(found: Audit) -> None:
    page = audit_report.write(found)
    text = page.read_text(encoding="utf-8")
    assert "heatmap" in text
    assert "Recommendation" in text
    whole = load(found.folder / audit_report.WHOLE)
    assert whole.model == found.recommended.model
    said = yaml.safe_load((found.folder / audit_report.FRAGMENT).read_text(encoding="utf-8")) or {}
    assert set(said) <= {"model", "tasks"}
    for key, value in said.get("model", {}).items():
        assert getattr(whole.model, key) == value
    figures = json.loads((found.folder / audit_report.FIGURES).read_text(encoding="utf-8"))
    assert figures["said"] == audit_report.sentences(found)
    assert len(list(audit_report.tables(found))) >= 4


def test_an_audit_that_parts_and_stops_writes_it_down(found: Audit) -> None:
    assert yaml.safe_load(audit_report.fragment(replace(found, chosen=found.best, best=found.best))) is None or found.best.variant.changes()
    arm = Arm(Proposal((("same", "like"), ("other",)), ("like",)), "ple", "uncertainty")
    told = yaml.safe_load(audit_report.fragment(replace(found, chosen=arm, best=arm)))
    assert told["model"] == {"groups": [["same", "like"], ["other"]], "between": "nothing", "sharing": "ple", "balancing": "uncertainty"}
    assert told["tasks"] == {"like": {"stop_gradient": True}}
    assert arm.variant.of(found.store).tasks["like"].stop_gradient


def test_too_little_time_and_a_single_task_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too little to say anything; give at least"):
        audit(store, tmp_path / "short", minutes=1e-5, **OPTIONS)
    single = store.model_copy(update={"tasks": {"same": store.tasks["same"]}})
    with pytest.raises(ConfigError, match="has one task"):
        audit(single, tmp_path / "single")

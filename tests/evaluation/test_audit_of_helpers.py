"""The audit of a store with auxiliary tasks and pseudo-labels: what is left out is left out, and what it gave is said task by task."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from banyan.errors import ConfigError
from banyan.evaluation import audit_report
from banyan.evaluation.audit import Audit, audit
from banyan.evaluation.trial import Bench, Variant, switches
from banyan.store.load import load
from banyan.store.schema import Store
from tests.training.scarce import scarce


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    page = scarce(tmp_path_factory.mktemp("scarce"))
    fewer = [f"training.{key}=2" for key in ("epochs", "steps", "pretrain")]
    found = load(page, [*fewer, "auxiliary={masked: {kind: masked_events, histories: 16}}", "tasks.taste.pseudo_labels=false"])
    return Store.model_validate(found.model_dump(exclude_defaults=True)).model_copy(update={"folder": found.folder})


@pytest.fixture(scope="module")
def found(store: Store) -> Audit:
    return audit(store, store.folder / "audit", seeds=2, arms=1, draws=10)


def test_what_is_left_out_is_left_out(store: Store) -> None:
    assert switches(store) == ["masked", "liked"]
    whole, less = Variant(), Variant(without=("masked",))
    assert less.of(store).auxiliary == {}
    assert less.of(store).training.pretrain == 0
    assert less.of(store).tasks["liked"].pseudo_labels == store.tasks["liked"].pseudo_labels
    unlabelled = Variant(without=("liked",)).of(store)
    assert unlabelled.tasks["liked"].pseudo_labels is None
    assert unlabelled.auxiliary == store.auxiliary
    assert whole.of(store).auxiliary == store.auxiliary
    assert len({each.key for each in (whole, less, Variant(without=("liked",)))}) == 3
    assert less.changes() == 1


def test_a_store_as_described_keeps_its_groups_and_stopped_gradients(store: Store) -> None:
    first, *rest = store.tasks
    parted = store.model_copy(update={"model": store.model.model_copy(update={"groups": [[first], rest]})})
    assert Variant.described(parted).of(parted).model.groups == [[first], rest]
    tasks = {name: each.model_copy(update={"stop_gradient": name == first}) for name, each in store.tasks.items()}
    stopped = store.model_copy(update={"tasks": tasks})
    again = Variant.described(stopped).of(stopped)
    assert [name for name, each in again.tasks.items() if each.stop_gradient] == [first]
    assert Variant.described(store) == Variant()


@pytest.mark.slow
def test_every_one_is_raced_and_said_task_by_task(found: Audit) -> None:
    first = [heat.arm.without for heat in found.heats if heat.share == found.heats[0].share]
    assert set(first) == {(), ("masked",), ("liked",), ("masked", "liked")}
    assert [(each.name, each.task) for each in found.helps] == [(name, task) for name in ("masked", "liked", "masked and liked") for task in ("liked", "taste")]
    assert all(each.low <= each.gain <= each.high for each in found.helps)
    said = " ".join(audit_report.sentences(found))
    assert all(f"{name}: " in said for name in ("masked", "liked", "masked and liked"))


def test_the_same_call_goes_on_where_it_stopped(store: Store, found: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "fit", lambda *_, **__: pytest.fail("trained again"))
    assert audit(store, store.folder / "audit", seeds=2, arms=1, draws=10).helps == found.helps


def test_pages_show_it_and_a_fragment_takes_it_out(found: Audit) -> None:
    text = audit_report.write(found).read_text(encoding="utf-8")
    assert "Auxiliary tasks and pseudo-labels" in text
    assert len(json.loads((found.folder / audit_report.FIGURES).read_text(encoding="utf-8"))["helps"]) == 6
    arm = next(heat.arm for heat in found.heats if heat.arm.without == ("masked", "liked"))
    less = replace(found, chosen=arm, best=arm)
    told = audit_report.fragment(less)
    assert "# Take out of `auxiliary`: masked." in told
    assert yaml.safe_load(told)["tasks"] == {"liked": {"pseudo_labels": False}}
    audit_report.write(less)
    again = load(found.folder / audit_report.WHOLE)
    assert again.auxiliary == {}
    assert again.tasks["liked"].pseudo_labels is None


def test_a_store_of_one_task_is_refused_with_them_too(store: Store, tmp_path: Path) -> None:
    single = store.model_copy(update={"tasks": {"liked": store.tasks["liked"]}})
    with pytest.raises(ConfigError, match="has one task"):
        audit(single, tmp_path)

"""Auxiliary tasks and labels that the model gives: they move what they may, a stopped run goes on alike, and nothing of validation or test is used."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from banyan import parts
from banyan.bundle import Bundle, save
from banyan.errors import BanyanError, ConfigError
from banyan.evaluation import space
from banyan.evaluation.evaluate import validator
from banyan.features.build import build
from banyan.features.data import Data
from banyan.features.given import Given
from banyan.features.labels import Labels
from banyan.inference import predict
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.doctor import check
from banyan.store.load import dump, load
from banyan.store.open import open_store
from banyan.store.schema import PseudoSpec, Store
from banyan.training.loop import Fit
from banyan.training.pseudo import told
from banyan.types import TEST, TRAIN, VALID
from tests.training.scarce import PAGE, scarce
from tests.training.test_resume import Stop, assert_same, breaking


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scarce")
    scarce(place)
    return place


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return load(folder / "store.yaml")


@pytest.fixture(scope="module")
def data(store: Store) -> Data:
    return build(open_store(store))


def fit(store: Store, data: Data, folder: Path | None = None, balancing: Any = "fixed", **options: Any) -> Fit:
    feeder = feeder_of(data, store)
    torch.manual_seed(0)
    network = Network(data.plan, store.model, store.tasks, store.auxiliary)
    evaluate = validator(feeder, store.tasks)
    return Fit(network, feeder, store.tasks, store.training, balancing, evaluate=evaluate, folder=folder, checkpoint_seconds=0.0, log_every=2, **options)


@pytest.mark.parametrize(("balancing", "depth"), [("gradnorm", 2), pytest.param("famo", 0, marks=pytest.mark.slow)])
def test_a_run_that_fails_at_random_steps_goes_on_to_the_same_result(store: Store, data: Data, tmp_path: Path, balancing: str, depth: int) -> None:
    for at, when in ((3, "between"), (5, "after"), (4, "before")):
        run = fit(store, data, tmp_path / "broken", balancing, depth=depth)
        breaking(run, at, when)
        with pytest.raises(Stop):
            run.run()
    resumed, whole = fit(store, data, tmp_path / "broken", balancing, depth=depth), fit(store, data, tmp_path / "whole", balancing, depth=2 - depth)
    shown = resumed.run(), whole.run()
    assert shown[0].steps == 4 + 4 * 3
    assert shown[0].pseudo_labels == shown[1].pseudo_labels
    assert resumed.history == whole.history
    assert_same(tmp_path / "broken", tmp_path / "whole")


def test_another_description_of_auxiliary_tasks_is_another_run(store: Store, data: Data, tmp_path: Path) -> None:
    fit(store.model_copy(update={"training": store.training.model_copy(update={"epochs": 1})}), data, tmp_path).run()
    changed = {name: each.model_copy(update={"weight": 0.9}) for name, each in store.auxiliary.items()}
    with pytest.raises(Exception, match=r"auxiliary\.masked\.weight"):
        fit(store.model_copy(update={"auxiliary": changed}), data, tmp_path).run()


def test_without_them_everything_begins_and_draws_as_ever(store: Store, data: Data) -> None:
    plain = Store.model_validate({**store.model_dump(exclude_defaults=True, exclude={"auxiliary"}), "training": {**store.training.model_dump(), "pretrain": 0}})
    ours, theirs = fit(store, data), fit(plain, data)
    mine = ours.network.state_dict()
    for key, value in theirs.network.state_dict().items():
        assert torch.equal(value, mine[key]), key
    picks = {"rated": data.tables["rated"].rows(TRAIN)[:9]}
    helped = ours.feeder.step(picks, np.random.default_rng(5), auxiliary=ours.network.drawers)
    alone = theirs.feeder.step(picks, np.random.default_rng(5))
    assert set(helped.stretches) == set(store.auxiliary)
    assert torch.equal(helped.batches[0].labels["liked"].value, alone.batches[0].labels["liked"].value)
    assert not alone.stretches
    kept = alone.entities["user"].rows
    assert torch.equal(helped.entities["user"].numbers[:kept], alone.entities["user"].numbers)


@pytest.mark.parametrize("balancing", ["fixed", "uncertainty", "gradnorm"])
def test_an_auxiliary_gradient_goes_past_the_balancer_at_its_own_weight(store: Store, data: Data, balancing: str) -> None:
    """What reaches the weights with the auxiliary tasks is what reaches them without, and weight times each one's own gradient."""
    found = {}
    for weight in (0.0, 1.0, 3.0):
        run = fit(store, data, None, balancing, depth=0)
        run.before = 0
        run.network.auxiliary_specs = {name: each.model_copy(update={"weight": weight}) for name, each in store.auxiliary.items()}
        step = run._make({"rated": data.tables["rated"].rows(TRAIN)[:20], "people": data.tables["people"].rows(TRAIN)[:9]}, np.random.default_rng(0))
        run.network.eval()
        losses = run.gradients.losses(step)
        run.gradients.leave(losses, run._task_weights(losses.present, 0))
        found[weight] = [losses.leaf.grad, *(p.grad for p in run.dense)]
    moved = 0
    for none, one, three in zip(*found.values(), strict=True):
        if one is None or not one.any():
            continue
        base = torch.zeros_like(one) if none is None else none
        torch.testing.assert_close(three - base, 3 * (one - base), atol=1e-5, rtol=1e-3)
        moved += bool((one - base).abs().max() > 1e-6)
    assert moved > 10


@pytest.mark.parametrize("sharing", ["bottom", "stem", "transformer"])
@pytest.mark.parametrize("between", ["", "nothing", "embeddings"])
def test_every_trunk_is_asked_whatever_it_is_made_of(store: Store, data: Data, sharing: str, between: str) -> None:
    groups = {"groups": [["liked"], ["taste"]], "between": between} if between else {}
    model = store.model.model_copy(update={"sharing": sharing, "history": "transformer", **groups})
    run = fit(store.model_copy(update={"model": model}), data, depth=0)
    run._step(next(run._dealt()))
    for trunk in run.network.trunks:
        assert trunk.summary.weight.grad.any()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in trunk.history.parameters() if p is not trunk.history.empty)
    moved = [name for name, p in run.network.named_parameters() if p.grad is not None and p.grad.any()]
    assert not [name for name in moved if name.startswith(("tasks", "trunks.0.sharing", "trunks.1.sharing"))]


@pytest.mark.parametrize("balancing", [name for name in parts.names("balancing") if name != "jacobian"] + [pytest.param("jacobian", marks=pytest.mark.slow)])
def test_every_balancer_goes_on_beside_them(store: Store, data: Data, balancing: str) -> None:
    run = fit(store.model_copy(update={"training": store.training.model_copy(update={"pretrain": 1})}), data, None, balancing, depth=0)
    steps = run._dealt()
    for _ in range(3):
        run._step(next(steps))
    steps.close()
    assert all(p.isfinite().all() for p in run.network.parameters())
    assert set(run.history[-1]["loss"]) == {*store.tasks, *(f"{name} (auxiliary)" for name in store.auxiliary)}


def test_before_the_first_epoch_auxiliary_tasks_train_alone(store: Store, data: Data) -> None:
    run = fit(store, data, depth=0)
    head = {key: value.clone() for key, value in run.network.task("liked").state_dict().items()}
    before = run.network.embeddings.weight.clone()
    steps = run._dealt()
    for _ in range(store.training.pretrain):
        dealt = next(steps)
        assert not dealt.step.batches
        run._step(dealt)
    steps.close()
    assert all(torch.equal(value, head[key]) for key, value in run.network.task("liked").state_dict().items())
    assert not torch.equal(before, run.network.embeddings.weight)
    assert [set(entry["loss"]) for entry in run.history] == [{f"{name} (auxiliary)" for name in store.auxiliary}] * 2


def test_training_events_are_those_before_the_cut(store: Store, data: Data) -> None:
    shop = open_store(store)
    assert shop.cut is not None
    assert data.stretches is not None
    assert 0 < len(data.stretches) < len(data.stretches.log.item)
    assert (data.stretches.log.time[data.stretches.events] < shop.cut[0]).all()


def test_labels_are_given_to_training_rows_without_one_and_to_no_other(store: Store, data: Data) -> None:
    run = fit(store, data)
    record = run.run()
    for task, given in run.pseudo.given.items():
        table = data.tables[store.tasks[task].samples]
        lacking = np.flatnonzero((table.part == TRAIN) & ~table.labels[task].seen[:, 0])
        assert np.array_equal(given.rows, lacking)  # with a confidence of 0, all of them
        assert record.pseudo_labels[task]["labelled"] == len(lacking) > 0
        assert not np.isin(given.rows, np.concatenate([table.rows(VALID), table.rows(TEST)])).any()
    assert "got one from the model at a mean confidence of" in " ".join(told(record.pseudo_labels))
    assert [sorted(entry.get("pseudo_labels", ())) for entry in run.history if "epoch" in entry] == [["liked"], ["liked", "taste"], ["liked", "taste"], []]
    step = run._make({"rated": data.tables["rated"].rows(TRAIN)[:0], "people": data.tables["people"].rows(TRAIN)[:5]}, np.random.default_rng(0))
    assert step.batches[1].rows > 5  # of the rows without any label, some come along


def test_a_true_label_wins(store: Store, data: Data) -> None:
    table = data.tables["rated"]
    rows = table.rows(TRAIN)
    labels = table.labels["liked"]
    seen = labels.seen[rows]
    given = Given(rows, np.full((len(rows), 1), 0.25, np.float32), np.ones(len(rows), np.float32), 0.5)
    batch = feeder_of(data, store).step({"rated": rows}, np.random.default_rng(0), given={"liked": given}).batches[0].labels["liked"]
    assert batch.seen.all()
    assert np.array_equal(batch.value.numpy()[seen], labels.value[rows][seen])
    assert (batch.value.numpy()[~seen] == 0.25).all()
    assert np.allclose(batch.weight.numpy(), table.weight[rows] * np.where(seen[:, 0], 1.0, 0.5))
    assert not labels.seen[rows].all()  # the table itself is as it was


def test_soft_labels_of_classes_are_shares_and_hard_ones_codes(store: Store, data: Data) -> None:
    run = fit(store, data)
    run.pseudo.label(2)
    soft = run.pseudo.given["taste"]
    assert soft.value.shape == (len(soft), 2)
    assert np.allclose(soft.value.sum(1), 1, atol=1e-5)
    step = run.feeder.step({"people": data.tables["people"].rows(TRAIN)}, np.random.default_rng(0), given={"taste": soft})
    label = step.batches[0].labels["taste"]
    own = data.tables["people"].labels["taste"].seen[step.batches[0].row][:, 0]
    assert set(np.unique(label.value.numpy()[own])) <= {0.0, 1.0}
    loss = run.network.losses(step, run.network(step))[0]
    assert loss.isfinite().all()
    run.pseudo.specs["taste"] = run.pseudo.specs["taste"].model_copy(update={"soft": False, "confidence": 0.5, "most": 3})
    said = run.pseudo.label(2)["taste"]
    assert run.pseudo.given["taste"].value.dtype == np.int64
    assert said["asked"] == 3 < said["unlabelled"]


def test_shares_of_classes_cost_what_codes_cost_where_they_are_sure(store: Store, data: Data) -> None:
    part = fit(store, data).network.task("taste")
    raw, code, weight = torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0]), torch.rand(6)
    seen = torch.tensor([[True]] * 5 + [[False]])
    shares = torch.nn.functional.one_hot(code, 2).float()
    torch.testing.assert_close(part.loss(raw, shares, seen, weight), part.loss(raw, code, seen, weight))


def test_a_bundle_holds_nothing_of_auxiliary_tasks_and_answers_alike(store: Store, data: Data, tmp_path: Path) -> None:
    run = fit(store, data)
    save(tmp_path / "bundle", run.network, data, store)
    assert not [key for key in load_file(tmp_path / "bundle" / "weights.safetensors") if key.startswith("auxiliary")]
    kept, rows = Bundle.load(tmp_path / "bundle"), data.tables["rated"].rows(TEST)
    feeder = feeder_of(data, store)
    ours, theirs = (predict(network, feeder, "rated", rows, ["liked"])["liked"] for network in (run.network, kept.network))
    assert np.array_equal(ours, theirs)


def test_a_description_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    dump(store, tmp_path / "store.yaml")
    again = load(tmp_path / "store.yaml")
    assert again.auxiliary == store.auxiliary
    assert again.tasks == store.tasks
    (tmp_path / "on.yaml").write_text(PAGE.replace("pseudo_labels: {confidence: 0.0, ratio: 2}", "pseudo_labels: true"), encoding="utf-8")
    assert load(tmp_path / "on.yaml").tasks["liked"].pseudo_labels is not None


WRONG = {
    "masked_events, histories: 16": ("masked_event, histories: 16", r"line 13: auxiliary\.masked.*Did you mean 'masked_events'"),
    "histories: 16}, views": ("histroies: 16}, views", r"auxiliary\.masked.*Did you mean 'histories'"),
    "user_id, item: item_id, time: ts": ("user_id, item: item_id", r"auxiliary\.upcoming: next_event needs events with a time or an order"),
    "model: {width: 4": ("model: {history: null, width: 4", r"auxiliary\.masked: masked_events asks about histories, and model\.history is null"),
    "upcoming: {kind": ("liked: {kind", r"auxiliary\.liked: a task has this name"),
    "{kind: binary, samples: rated, p": ("{kind: amount, samples: rated, p", r"tasks\.liked.*pseudo_labels.*no one probability to be sure of"),
    "confidence: 0.0, ratio: 2": ("confidence: 2.0", r"confidence is 2\.0"),
    "auxiliary: {masked": ("tasks2: {masked", "tasks2"),
}


@pytest.mark.parametrize("was", WRONG)
def test_a_mistake_is_told_where_it_stands(was: str, tmp_path: Path) -> None:
    now, said = WRONG[was]
    assert was in PAGE
    (tmp_path / "store.yaml").write_text(PAGE.replace(was, now), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load(tmp_path / "store.yaml")


def test_steps_of_auxiliary_tasks_alone_need_some(tmp_path: Path) -> None:
    (tmp_path / "store.yaml").write_text("\n".join(line for line in PAGE.splitlines() if not line.startswith("auxiliary")), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"training\.pretrain is for auxiliary tasks"):
        load(tmp_path / "store.yaml")


def test_events_that_are_not_there_are_missed_at_once(store: Store, data: Data) -> None:
    with pytest.raises(BanyanError, match="no event lies before the end of training"):
        fit(store, replace(data, stretches=None))


def test_check_says_how_many_rows_may_get_a_label(store: Store) -> None:
    said = {(each.severity, each.where): each.found for each in check(open_store(store)) if "label" in each.found and each.where.startswith("tasks")}
    assert "training rows have no liked: the model may label them" in said["info", "tasks.liked"]
    assert ("info", "tasks.taste") in said


def test_weights_of_auxiliary_tasks_and_their_steps_alone_can_be_searched(store: Store, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("auxiliary.masked.weight: {low: 0.01, high: 1.0, log: true}\ntraining.pretrain: {low: 0, high: 8}", encoding="utf-8")
    found = space.read(tmp_path / "space.yaml", store)
    assert found.here(store) == {"auxiliary.masked.weight": 0.1, "training.pretrain": 4}
    changed = found.of(store, {"auxiliary.masked.weight": 0.5, "training.pretrain": 2})
    assert (changed.auxiliary["masked"].weight, changed.auxiliary["upcoming"].weight, changed.training.pretrain) == (0.5, 0.3, 2)
    plain = store.model_copy(update={"auxiliary": {}})
    with pytest.raises(ConfigError, match="cannot be searched"):
        space.read(tmp_path / "space.yaml", plain)


@pytest.mark.parametrize("sure", [False, True])
def test_where_no_row_gets_a_label_training_goes_as_without(store: Store, data: Data, sure: bool) -> None:
    """Since nobody lacks one, or since the model is never sure enough."""
    spec = PseudoSpec(confidence=1.0)
    tasks = {name: each.model_copy(update={"pseudo_labels": spec}) for name, each in store.tasks.items()}
    if not sure:
        tables = dict(data.tables)
        for name, table in data.tables.items():
            labels = {task: Labels(each.value, np.ones_like(each.seen)) for task, each in table.labels.items()}
            tables[name] = replace(table, labels=labels)
        data = replace(data, tables=tables)
    plain = {name: each.model_copy(update={"pseudo_labels": None}) for name, each in store.tasks.items()}
    ours, theirs = (fit(store.model_copy(update={"tasks": each}), data) for each in (tasks, plain))
    record, _ = ours.run(), theirs.run()
    assert all(each["labelled"] == 0 for each in record.pseudo_labels.values())
    assert ours.pseudo.given == {}
    for key, value in theirs.network.state_dict().items():
        assert torch.equal(value, ours.network.state_dict()[key]), key

"""A catalogue without a log whose photo vectors and titles are brought together: from training things alone, resumable, past the bundle."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from banyan.bundle import save
from banyan.errors import BanyanError, ConfigError
from banyan.evaluation.evaluate import validator
from banyan.evaluation.trial import Variant, switches
from banyan.features.build import build
from banyan.features.data import Data
from banyan.model import Network
from banyan.run import feeder_of
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.training.loop import Fit
from banyan.types import TRAIN
from tests.training.test_resume import Stop, assert_same, breaking

THINGS = 60
PAGE = """
store: catalogue
entities:
  item:
    table: items.parquet
    id: item_id
    features: {photo: {kind: vector, absent: 0.2}, title: text, shade: tags, price: number, sort: category}
samples:
  things: {recipe: attributes, of: item, labels: {sort: sort}, split: {by: random, valid: 0.2, test: 0.2}}
tasks:
  sort: {kind: classes, samples: things}
auxiliary:
  alike: {kind: alignment, entity: item, features: [photo, title, shade], items: 16, weight: 0.5}
model: {width: 4, sharing: {part: bottom, layers: [8], dropout: 0.2}}
training: {batch: 16, epochs: 3, steps: 3, threads: 1, bf16: false, lr: 0.01, patience: 9, pretrain: 3}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    place, rng = tmp_path_factory.mktemp("catalogue"), np.random.default_rng(0)
    sort = rng.integers(0, 3, THINGS)
    seen = (np.eye(3)[sort] + 0.1 * rng.standard_normal((THINGS, 3))).tolist()
    photo = pl.Series([None if i % 7 == 0 else each for i, each in enumerate(seen)], dtype=pl.List(pl.Float32))
    words = np.array(["tea pot", "garden hose", "wool coat"])[sort]
    frame = {"item_id": np.arange(THINGS), "photo": photo, "title": [f"{word} {i % 9}" for i, word in enumerate(words)], "price": rng.random(THINGS)}
    pl.DataFrame({**frame, "shade": rng.choice(["red|blue", "blue"], THINGS), "sort": sort.astype(str)}).write_parquet(place / "items.parquet")
    (place / "store.yaml").write_text(PAGE, encoding="utf-8")
    return load(place / "store.yaml")


@pytest.fixture(scope="module")
def data(store: Store) -> Data:
    return build(open_store(store))


def fit(store: Store, data: Data, folder: Path | None = None, **options: Any) -> Fit:
    torch.manual_seed(0)
    network = Network(data.plan, store.model, store.tasks, store.auxiliary)
    feeder = feeder_of(data, store)
    chosen = {"folder": folder, "checkpoint_seconds": 0.0, "log_every": 1, "evaluate": validator(feeder, store.tasks), **options}
    return Fit(network, feeder, store.tasks, store.training, "fixed", **chosen)


def test_it_asks_about_things_that_training_names_and_no_others(store: Store, data: Data) -> None:
    table = data.tables["things"]
    named = np.unique(table.entities["item"][table.part == TRAIN])
    run = fit(store, data)
    whole = run.feeder.things.pairs("item", ("photo", "title", "shade"))
    assert np.array_equal(whole, named)  # each has a title and a shade, and one in seven no photo
    assert 0 < len(run.feeder.things.pairs("item", ("photo", "title"))) < len(named) < THINGS
    asked = run.feeder.step({}, np.random.default_rng(0), [], auxiliary=run.network.drawers).things["alike"]
    assert asked.places.shape == (16,)
    assert asked.told.shape == (16, 3)


def test_a_stopped_run_goes_on_alike_without_any_event(store: Store, data: Data, tmp_path: Path) -> None:
    assert store.events is None
    for at, when in ((2, "between"), (5, "after")):
        run = fit(store, data, tmp_path / "broken")
        breaking(run, at, when)
        with pytest.raises(Stop):
            run.run()
    resumed, whole = fit(store, data, tmp_path / "broken"), fit(store, data, tmp_path / "whole", depth=0)
    assert resumed.run().steps == whole.run().steps == 3 + 3 * 3
    assert resumed.history == whole.history
    assert_same(tmp_path / "broken", tmp_path / "whole")
    assert [set(entry["loss"]) for entry in whole.history[:3]] == [{"alike (auxiliary)"}] * 3


def test_tokens_of_one_thing_come_together(store: Store, data: Data) -> None:
    training = store.training.model_copy(update={"pretrain": 60, "epochs": 1})
    run = fit(store.model_copy(update={"training": training}), data, depth=0)
    losses = list[float]()
    for dealt in run._dealt():
        if dealt.number == training.pretrain:
            break
        run._step(dealt)
        losses.append(run.history[-1]["loss"]["alike (auxiliary)"])
    assert np.mean(losses[-10:]) < np.mean(losses[:5]) - 0.2


@pytest.mark.parametrize("between", ["nothing", "embeddings"])
def test_every_trunk_is_asked(store: Store, data: Data, between: str) -> None:
    tasks = {"sort": store.tasks["sort"], "again": store.tasks["sort"]}
    plan = replace(data.plan, targets=dict.fromkeys(tasks, data.plan.targets["sort"]))
    model = store.model.model_copy(update={"groups": [["sort"], ["again"]], "between": between})
    network = Network(plan, model, tasks, store.auxiliary)
    step = feeder_of(data, store).step({}, np.random.default_rng(0), [], auxiliary=network.drawers)
    asked = network.asked(step, network.encode(step, network.embeddings.leaf(step.distinct)))
    asked["alike"].backward()  # type: ignore[no-untyped-call]
    for name, each in network.named_parameters():
        if name.endswith(("dense.photo.project.weight", "alike.0.project.0.weight", "alike.1.project.2.weight")):
            assert each.grad is not None, name
    moved = [name for name, each in network.named_parameters() if each.grad is not None and each.grad.any()]
    assert {name.split(".")[1] for name in moved if name.startswith("trunks")} == {"0", "1"}


def test_what_a_thing_goes_without_in_a_step_is_no_pair(store: Store, data: Data) -> None:
    run = fit(store, data)
    step = run.feeder.step({}, np.random.default_rng(0), [], auxiliary=run.network.drawers)
    run.network.train()
    trunk, leaf = run.network.trunk(0), run.network.embeddings.leaf(step.distinct)
    trunk.sources["item"].absent = {"photo": 1.0}
    (part,) = run.network._askers("alike")
    heard = list[torch.Tensor]()
    part.register_forward_pre_hook(lambda _, given: heard.append(given[1]))
    run.network.asked(step, run.network.encode(step, leaf))
    assert not heard[0][:, 0].any()
    assert torch.equal(heard[0][:, 1:], step.things["alike"].told[:, 1:])
    trunk.sources["item"].absent = {"photo": 0.2}


def test_a_bundle_holds_nothing_of_it_and_the_audit_leaves_it_out_in_turn(store: Store, data: Data, tmp_path: Path) -> None:
    save(tmp_path / "bundle", fit(store, data).network, data, store)
    assert not [key for key in load_file(tmp_path / "bundle" / "weights.safetensors") if key.startswith("auxiliary")]
    assert switches(store) == ["alike"]
    alone = Variant(without=("alike",)).of(store)
    assert not alone.auxiliary
    assert alone.training.pretrain == 0


WRONG = {
    "[photo, title, shade]": {
        "[photo, titel]": r"auxiliary\.alike: the entity item has no feature 'titel'; its features: photo, title, shade, price, sort",
        "[photo, price]": r"auxiliary\.alike: item\.price is a number: all numbers of an entity share one token",
        "[photo]": r"auxiliary\.alike.*option 'features'.*at least 2",
        "[photo, photo]": r"auxiliary\.alike: features names one twice",
    },
    "entity: item": {"entity: thing": r"auxiliary\.alike: there is no entity 'thing'; entities: item", "entitty: item": r"Did you mean 'entity'"},
    "items: 16": {"items: 1": r"option 'items' is 1", "temperature: 0": r"option 'temperature' is 0"},
}


@pytest.mark.parametrize(("was", "now"), [(was, now) for was, each in WRONG.items() for now in each])
def test_a_mistake_is_told(was: str, now: str, tmp_path: Path) -> None:
    (tmp_path / "store.yaml").write_text(PAGE.replace(was, now), encoding="utf-8")
    with pytest.raises(ConfigError, match=WRONG[was][now]):
        load(tmp_path / "store.yaml")


def test_a_feature_that_a_task_predicts_has_no_token(store: Store, data: Data) -> None:
    spec = type(store.auxiliary["alike"])(kind="alignment", entity="item", features=["photo", "sort"])
    with pytest.raises(ConfigError, match=r"auxiliary\.alike: item\.sort has no token: no model reads it"):
        Network(data.plan, store.model, store.tasks, {"alike": spec})


def test_things_that_have_one_feature_at_most_are_told_at_once(store: Store, data: Data) -> None:
    with pytest.raises(BanyanError, match=r"auxiliary\.alike: 0 of the 0 item rows that training may see have two of photo, title, shade"):
        fit(store, replace(data, seen={"item": np.zeros(0, np.int64)}))

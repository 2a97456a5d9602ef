"""Promises of the network: every kind of task through every history, cross and encoder option; finite, repeatable, saved and loaded exactly."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from banyan import inference, parts
from banyan.errors import ConfigError
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.plan import TablePlan, readers
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.schema import ModelSpec
from banyan.store.shop import Shop
from banyan.types import Step

Opened, Tables = Callable[..., Shop], Callable[..., dict[str, pl.DataFrame]]
CHOICES: list[Mapping[str, Any]] = [
    *({"history": part} for part in (*parts.names("history"), None)),
    *({"cross": part} for part in parts.names("cross")),
    {"sharing": "stem", "cross": "fm"},
    {"compress": {"item": 2, "history": 2, "context": 1}, "cross": "dcn"},
    {"encoders": {"number": {"part": "numeric", "hidden": 4}, "text": {"part": "text", "hidden": 0}, "vector": {"part": "vector", "hidden": 3}}},
    {"encoders": {"category": {"part": "categorical", "dropout": 0.3}, "tags": {"part": "tags", "dropout": 0.3}, "time": {"part": "time", "hidden": 0}}},
]


@pytest.fixture(scope="module")
def data(shop: Shop) -> Data:
    return build(shop)


@pytest.fixture(scope="module")
def feeder(data: Data, shop: Shop) -> Feeder:
    return Feeder(data, {task: task_options(shop.store, task) for task in shop.store.tasks}, 0.1)


@pytest.fixture(scope="module")
def everything(data: Data, feeder: Feeder) -> Step:
    """A training step over rows of every table."""
    return feeder.step({name: table.rows(0)[:24] for name, table in data.tables.items()}, np.random.default_rng(0))


def made(shop: Shop, data: Data, seed: int = 0, **model: Any) -> Network:
    torch.manual_seed(seed)
    return Network(data.plan, ModelSpec(**{**shop.store.model.model_dump(exclude_defaults=True), **model}), shop.store.tasks)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_kind_of_task_learns_through_every_part(choice: Mapping[str, Any], shop: Shop, data: Data, everything: Step) -> None:
    network = made(shop, data, **choice)
    leaf = network.embeddings.leaf(everything.distinct)
    raw = network(everything, leaf)
    losses, present = network.losses(everything, raw)
    assert set(raw) == set(shop.store.tasks)
    assert len(present) == len(set(present)) == sum(len(views) for views in network.views.values())
    assert torch.isfinite(losses).all()
    assert (losses >= 0).all()
    losses.sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.abs().sum() > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("history", [*parts.names("history"), None])
def test_rows_that_name_nothing_get_finite_answers(history: str | None, shop: Shop, data: Data, feeder: Feeder) -> None:
    """Some rows of `shown` have no user, some no item, some items no features; row 0 of each entity stands for them."""
    network = made(shop, data, history=history).eval()
    table = data.tables["shown"]
    rows = np.flatnonzero((table.entities["user"] == 0) | (table.entities["item"] == 0) | (table.entities["item"] == 1))
    assert len(rows) >= 3
    with torch.no_grad():
        for task, answer in network(feeder.step({"shown": rows})).items():
            assert torch.isfinite(network.task(task).predict(answer)).all()


def test_an_own_copy_of_the_embeddings_is_moved_by_its_view_alone(shop: Shop, data: Data, everything: Step) -> None:
    """STEM: the shared copy hears every view, a view's own copy that view and no other; and each has something to hear."""
    network = made(shop, data, sharing="stem")
    views, width = network.sizes.views, network.width
    assert network.sizes.copies == views + 1
    assert network.embeddings.weight.shape == (data.plan.rows, network.sizes.copies * width)
    leaf = network.embeddings.leaf(everything.distinct)
    losses, present = network.losses(everything, network(everything, leaf))
    funnel = {view for names in network.views.values() if len(names) > 1 for view in names}
    for place, view in enumerate(present):
        (gradient,) = torch.autograd.grad(losses[place], leaf, retain_graph=True)
        moved = gradient.view(len(leaf), network.sizes.copies, width).abs().sum((0, 2)) > 0
        own = {view} if view not in funnel else {v for v in funnel if v <= view}  # a product's later stage speaks of the earlier ones too
        assert {c for c in range(network.sizes.copies) if moved[c]} == {0, *(v + 1 for v in own)}


def test_the_copies_are_saved_loaded_and_answered_exactly(shop: Shop, data: Data, feeder: Feeder, tmp_path: Path) -> None:
    one, two = made(shop, data, sharing="stem"), made(shop, data, seed=1, sharing="stem")
    save_file(one.state_dict(), tmp_path / "weights.safetensors")
    two.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    table = next(name for name, each in data.plan.tables.items() if not each.ranking)
    rows, tasks = np.arange(20), data.plan.tables[table].tasks
    whole, alone = inference.predict(one, feeder, table, rows, tasks), inference.predict(two, feeder, table, rows[7:8], tasks)
    for task in tasks:
        np.testing.assert_allclose(alone[task][0], whole[task][7], rtol=1e-5, atol=1e-6)


def test_the_same_seed_makes_the_same_network(shop: Shop, data: Data, everything: Step) -> None:
    one, two, other = (made(shop, data, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.embeddings.weight, other.embeddings.weight)
    answers = [network.eval()(everything) for network in (one, two)]
    assert all(torch.equal(answers[0][task], answers[1][task]) for task in answers[0])


def test_a_network_is_saved_and_loaded_exactly(shop: Shop, data: Data, everything: Step, tmp_path: Path) -> None:
    one, other = made(shop, data, 0).eval(), made(shop, data, 1).eval()
    save_file(one.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    with torch.no_grad():
        before, after = one(everything), other(everything)
    assert all(torch.equal(before[task], after[task]) for task in before)


def test_the_embedding_table_is_no_parameter(shop: Shop, data: Data) -> None:
    network = made(shop, data)
    assert "embeddings.weight" in network.state_dict()
    assert not any(len(p) == data.plan.rows for _, p in network.named_parameters())


def test_a_task_alone_has_its_own_views_only(shop: Shop, data: Data, feeder: Feeder) -> None:
    torch.manual_seed(0)
    network = Network(data.plan, shop.store.model, {"bought": shop.store.tasks["bought"]})
    assert network.views == {"bought": [0, 1]}
    assert network.sizes.parents == (None, 0)
    step = feeder.step({"viewed": data.tables["viewed"].rows(0)[:10]}, tasks=["bought"])
    losses, present = network.losses(step, network(step))
    assert present == [0, 1]
    assert torch.isfinite(losses).all()


def test_a_table_that_says_little_of_an_id_reads_it_and_does_not_move_it() -> None:
    """`trials` names users seldom beside `views`; `stores` seldom too, but each store often; `people` by itself moves what it names."""

    def table(named: dict[str, int], distinct: dict[str, int], strangers: tuple[str, ...] = ()) -> TablePlan:
        return TablePlan(list(named), [], [], strangers=list(strangers), named=named, distinct=distinct)

    views = table({"user": 10_000, "item": 10_000, "store": 9_500}, {"user": 100, "item": 500, "store": 5})
    trials = table({"user": 900, "item": 2_000, "store": 500}, {"user": 100, "item": 400, "store": 5})
    people = table({"user": 100}, {"user": 100}, ("user",))
    assert readers({"views": views, "trials": trials, "people": people}, 16) == {"views": set(), "trials": {"user"}, "people": {"user"}}
    money = table({"user": 900}, {"user": 100})
    money.tells = 4.0  # nine amounts a user are worth 36 answers
    assert readers({"views": views, "money": money}, 16)["money"] == set()
    assert readers({"trials": trials}, 16) == {"trials": set()}
    assert readers({"views": views, "trials": trials}, 2) == {"views": set(), "trials": set()}  # 9 rows an id teach 2 numbers


@pytest.mark.parametrize("reads", [True, False])
def test_an_id_that_is_only_read_gets_no_gradient_from_the_table(reads: bool, shop: Shop, data: Data, feeder: Feeder) -> None:
    network = made(shop, data, history=None)
    network.trunks[0].reads["shown"] = {"item"} if reads else set()
    step = feeder.step({"shown": data.tables["shown"].rows(0)[:24]})
    leaf = network.embeddings.leaf(step.distinct)
    network.losses(step, network(step, leaf))[0].sum().backward()
    assert leaf.grad is not None
    book = data.plan.books["item.id"]
    mine = ((step.distinct >= book.offset) & (step.distinct < book.offset + len(book))).numpy()
    assert mine.any()
    assert bool(leaf.grad[mine].abs().sum() == 0) == reads
    assert leaf.grad[~mine].abs().sum() > 0


def test_products_reach_each_task_by_the_linear_path(shop: Shop, data: Data, feeder: Feeder) -> None:
    network = made(shop, data).eval()
    trunk = network.trunks[0]
    assert trunk.wide is not None
    assert trunk.meets is not None
    step = feeder.step({"shown": data.tables["shown"].rows(0)[:24]})
    encoded = network.encode(step, network.embeddings.leaf(step.distinct))
    batch, products = step.batches[0], trunk._slots(step.batches[0], encoded[0])["products"]
    trunk.wide.met.data[:] = 1.0
    found = trunk.wide(batch, [0], products)
    assert isinstance(found, torch.Tensor)
    assert torch.allclose(found[0], products.flatten(1).sum(1, keepdim=True).expand_as(found[0]), atol=1e-5)
    assert products.abs().sum() > 0


def test_ids_that_no_table_moves_are_not_read(shop: Shop, data: Data, feeder: Feeder) -> None:
    network = made(shop, data, history=None, cross=None).eval()
    step = feeder.step({"shown": data.tables["shown"].rows(0)[:24]})
    answers = []
    for reads in ({"item"}, set()):
        trunk = network.trunks[0]
        trunk.reads = dict.fromkeys(trunk.reads, reads)
        encoded = network.encode(step, network.embeddings.leaf(step.distinct))
        answers.append(trunk.tokens(step.batches[0], encoded[0])[:, network.sizes.slots["item"]][:, 0])
    assert not answers[0].any()
    assert answers[1].any()


def test_a_slot_that_is_not_there_cannot_be_compressed(shop: Shop, data: Data) -> None:
    with pytest.raises(ConfigError, match="no slot 'itm'"):
        made(shop, data, compress={"itm": 1})


def test_an_encoder_that_does_not_fit_its_feature_is_refused(shop: Shop, data: Data, everything: Step) -> None:
    with pytest.raises(ConfigError, match=r"model\.encoders"):
        made(shop, data, encoders={"category": "numeric"})(everything)


def test_names_may_be_words_of_the_house(opened: Opened, described: Callable[[], dict[str, Any]], tables: Tables) -> None:
    """A tags feature called `items` and a task called `type` stand in the toy; an entity called `keys` and dots here."""
    page = described()
    page["entities"]["keys"] = {"id": "term"}
    page["samples"]["judged"]["keys"] = "term"
    page["samples"]["judged"]["features"]["a.b"] = {"kind": "tags", "column": "device"}
    page["samples"]["shown"]["labels"] = {"liked": "liked"}
    page["tasks"] = {"forward": page["tasks"]["grade"], "a.b": page["tasks"]["liked"]}
    shop = opened(tables(), page)
    data = build(shop)
    network = made(shop, data, compress={"keys": 1})
    feeder = Feeder(data)
    raw = network(feeder.step({"judged": np.arange(10), "shown": np.arange(10)}))
    assert set(raw) == {"forward", "a.b"}


def test_pairs_reach_the_answer(shop: Shop, data: Data, feeder: Feeder) -> None:
    network = made(shop, data).eval()
    step = feeder.step({"judged": np.arange(20)})
    batch = step.batches[0]
    with torch.no_grad():
        before = network(step)["grade"]
        batch.pair = torch.zeros_like(batch.pair)
        after = network(step)["grade"]
    changed = (before != after).reshape(20, -1).any(1).numpy()
    assert data.tables["judged"].pair is not None
    assert np.array_equal(changed, data.tables["judged"].pair[:20].any(1))


def test_a_store_without_a_feature_is_refused(opened: Opened, described: Callable[[], dict[str, Any]], tables: Tables) -> None:
    page = described()
    page["entities"] = {"query": {"id": "term", "embed_id": False}}
    judged = {key: value for key, value in page["samples"]["judged"].items() if key not in ("features", "item", "time")}
    page["samples"], page["tasks"], page["split"] = {"judged": judged}, {"grade": page["tasks"]["grade"]}, {"by": "user", "of": "query"}
    del page["events"]
    shop = opened(tables(), page)
    with pytest.raises(ConfigError, match="nothing that a model could read"):
        made(shop, build(shop))

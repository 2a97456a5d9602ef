"""Promises of groups and of `stop_gradient`, for every sharing architecture: what is parted is not moved, what is stopped moves only its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from torch import Tensor

from banyan import parts
from banyan.errors import ConfigError
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.load import load
from banyan.store.schema import ModelSpec, TaskSpec
from banyan.store.shop import Shop
from banyan.training.reach import shared_tensors
from banyan.types import Step

every_part = pytest.mark.parametrize("sharing", parts.names("sharing"))
GROUPS = [["bought", "next", "grade"], ["liked", "type", "demand"], ["spent", "moods"]]
LEAF = "leaf"
WIDE = ("trunks.0.wide.numbers", "trunks.0.wide.past", "trunks.0.wide.met")


@pytest.fixture(scope="module")
def data(shop: Shop) -> Data:
    return build(shop)


@pytest.fixture(scope="module")
def everything(shop: Shop, data: Data) -> Step:
    feeder = Feeder(data, {task: task_options(shop.store, task) for task in shop.store.tasks}, 0.1)
    return feeder.step({name: table.rows(0)[:12] for name, table in data.tables.items()}, np.random.default_rng(0))


def made(shop: Shop, data: Data, stopped: tuple[str, ...] = (), **model: Any) -> Network:
    torch.manual_seed(0)
    tasks = {name: each.model_copy(update={"stop_gradient": name in stopped}) for name, each in shop.store.tasks.items()}
    return Network(data.plan, ModelSpec(**{**shop.store.model.model_dump(exclude_defaults=True), **model}), tasks)


def gradients(network: Network, step: Step, tasks: list[str]) -> dict[str, Tensor]:
    """Name -> gradient of the sum of the tasks' losses, of all that they move; the embeddings' under `leaf`."""
    network.zero_grad(set_to_none=True)
    leaf = network.embeddings.leaf(step.distinct)
    losses, present = network.losses(step, network(step, leaf))
    wanted = {view for task in tasks for view in network.views[task]}
    sum(loss for loss, view in zip(losses, present, strict=True) if view in wanted).backward()  # type: ignore[union-attr]
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {name: g for name, g in {**found, LEAF: leaf.grad}.items() if g is not None and g.any()}


def head(name: str, network: Network, task: str) -> bool:
    return any(each is dict(network.named_parameters())[name] for each in network.task(task).parameters())


@every_part
def test_a_stopped_task_moves_what_it_owns_and_nothing_else(sharing: str, shop: Shop, data: Data, everything: Step) -> None:
    network = made(shop, data, ("liked", "bought"), sharing=sharing)
    trunk = network.trunks[0]
    for task in ("liked", "bought"):
        found, views = gradients(network, everything, [task]), network.views[task]
        own = {id(p) for view in views for p in trunk.sharing.owned(view)}
        named = dict(network.named_parameters())
        assert LEAF not in found, task
        for name, gradient in found.items():
            others = [v for v in range(network.sizes.views) if v not in views]
            ours = id(named[name]) in own or head(name, network, task) or (name in WIDE and not gradient[others].any())
            assert ours, f"{task} moves {name}"
        assert any(head(name, network, task) for name in found)
        assert {id(named[name]) for name in found} >= own, "what it owns does learn"
    assert LEAF in gradients(network, everything, ["spent"])


@pytest.mark.parametrize("sharing", ["hierarchy", "mmoe"])
def test_a_stop_changes_no_answer_and_nobody_elses_gradient(sharing: str, shop: Shop, data: Data, everything: Step) -> None:
    plain, stopping = made(shop, data, sharing=sharing).eval(), made(shop, data, ("liked", "next"), sharing=sharing).eval()
    with torch.no_grad():
        before, after = plain(everything), stopping(everything)
    raw = stopping(everything)
    for task, answer in before.items():
        torch.testing.assert_close(after[task], answer)
        torch.testing.assert_close(raw[task].detach(), answer)
    one, two = (gradients(network, everything, ["spent", "demand"]) for network in (plain, stopping))
    assert set(one) == set(two)
    for name in one:
        torch.testing.assert_close(two[name], one[name])


def test_a_stopped_ranking_leaves_the_items_alone(shop: Shop, data: Data, everything: Step) -> None:
    found = gradients(made(shop, data, ("next",)), everything, ["next"])
    assert LEAF not in found
    assert "item_vector.weight" in found, "the only ranking owns the vectors of the items"


@pytest.mark.parametrize(("between", "sharing"), [("nothing", "ple"), ("embeddings", "ple"), ("nothing", "transformer")])
def test_groups_share_nothing_or_the_embeddings_alone(between: str, sharing: str, shop: Shop, data: Data, everything: Step) -> None:
    network = made(shop, data, sharing=sharing, groups=GROUPS, between=between)
    width = shop.store.model.width
    reached = [gradients(network, everything, group) for group in GROUPS]
    for number, found in enumerate(reached):
        inside = {name for name in found if name.startswith("trunks.")}
        assert inside
        assert all(name.startswith(f"trunks.{number}.") for name in inside)
        columns = found[LEAF].any(0).unflatten(0, (-1, width)).any(1)
        assert columns.tolist() == ([i == number for i in range(len(GROUPS))] if between == "nothing" else [True])
    assert not set(reached[0]) & set(reached[1]) - {LEAF}


def test_a_balancer_is_shown_no_parameter_of_another_group(shop: Shop, data: Data, everything: Step) -> None:
    network = made(shop, data, groups=[[*GROUPS[0], *GROUPS[1], "moods"], ["spent"]])
    losses, _ = network.losses(everything, network(everything, network.embeddings.leaf(everything.distinct)))
    named = {id(p): name for name, p in network.named_parameters()}
    shared = {named[id(p)] for p in shared_tensors(losses, list(network.parameters()))}
    assert shared
    assert not any(name.startswith("trunks.1.") for name in shared)


def test_a_group_answers_as_a_network_of_its_own_of_the_same_weights(shop: Shop, data: Data, everything: Step) -> None:
    network = made(shop, data, groups=GROUPS).eval()
    alone = Network(data.plan, shop.store.model, {name: shop.store.tasks[name] for name in GROUPS[1]}).eval()
    state, width = network.state_dict(), shop.store.model.width
    alone.load_state_dict({
        name: state["embeddings.weight"][:, width : 2 * width] if name == "embeddings.weight" else state[name.replace("trunks.0.", "trunks.1.")]
        for name in alone.state_dict()
    })  # fmt: skip
    with torch.no_grad():
        together = network(everything)
        for task, raw in _answers(alone, everything).items():
            torch.testing.assert_close(together[task], raw)


def _answers(network: Network, step: Step) -> Mapping[str, Tensor]:
    for batch in step.batches:
        batch.labels = {task: label for task, label in batch.labels.items() if task in network.views}
    return network(step)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"groups": [["liked"], ["boght"]]}, "'boght' is no task"),
        ({"groups": [["liked", "bought"]]}, "every task stands in one group; 'next' is named 0 times"),
        ({"groups": [[*GROUPS[0], "liked"], *GROUPS[1:]]}, "'liked' is named 2 times"),
        ({"groups": [*GROUPS, []]}, "a group is empty"),
        ({"groups": GROUPS, "between": "everything"}, "nothing"),
    ],
)
def test_groups_that_cannot_be_right_are_refused(change: dict[str, Any], said: str, described: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    page = described()
    page["model"] |= change
    with pytest.raises((ConfigError, ValidationError), match=said):
        _loaded(page, tmp_path)


def test_rankings_stay_together_and_a_trunk_has_somebody_who_moves_it(described: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    page = described()
    page["tasks"]["other"] = page["tasks"]["next"]
    page["model"]["groups"] = [*GROUPS, ["other"]]
    with pytest.raises(ConfigError, match="rank with the same item vectors; put them into one group"):
        _loaded(page, tmp_path)
    page = described()
    page["model"]["groups"] = GROUPS
    for task in GROUPS[2]:
        page["tasks"][task] = {**page["tasks"][task], "stop_gradient": True}
    with pytest.raises(ConfigError, match=r"line \d+: tasks.spent: stop_gradient of every task of a group"):
        _loaded(page, tmp_path)


def _loaded(page: dict[str, Any], folder: Path) -> Any:
    (folder / "store.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    return load(folder / "store.yaml")


def test_a_task_that_is_trained_by_itself_has_a_trunk_that_moves(shop: Shop, data: Data, everything: Step) -> None:
    spec: dict[str, TaskSpec] = {"liked": shop.store.tasks["liked"]}
    network = Network(data.plan, shop.store.model.model_copy(update={"groups": GROUPS}), spec)
    assert len(network.trunks) == 1
    assert network.views == {"liked": [0]}

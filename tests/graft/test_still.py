"""Frozen parts stay bit for bit where they are; what is new learns, and what is thawed does, too."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from banyan.errors import ConfigError
from banyan.graft.carry import EMBEDDINGS
from banyan.graft.still import PARTS_FROZEN, kind
from banyan.store.shop import Shop
from banyan.training.loop import Fit
from tests.graft.shops import Side, drawn


def a_new_feature(description: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(description)
    found["entities"]["user"]["features"]["trade"] = {"kind": "category", "column": "city"}
    return found


def trained(
    first: Side, shop: Shop, freeze: Sequence[str], thaw: int | None = None, pull: float = 0.0
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """(Weights before, weights after four steps of two epochs, which of them began as the bundle's)."""
    origin = first.origin(freeze=freeze, thaw=thaw, pull=pull)
    side = drawn(shop, origin, seed=1)
    before = {key: value.clone() for key, value in side.network.state_dict().items()}
    options = shop.store.training.model_copy(update={"epochs": 2, "weight_decay": 0.1, "lr": 0.01})
    Fit(side.network, side.feeder, shop.store.tasks, options, "fixed", depth=0, held=lambda budget: origin.still(side.network, budget.steps, 1.0)).run()
    return before, side.network.state_dict(), origin.carried.masks


@pytest.mark.parametrize("part", PARTS_FROZEN)
def test_what_is_frozen_does_not_move_and_the_rest_does(first: Side, opened: Callable[..., Shop], part: str) -> None:
    before, after, masks = trained(first, opened("trade", a_new_feature), [part])
    moved: dict[str, int] = {}
    for key, value in after.items():
        held = masks[key] & (part in (kind(key), "all-but-new"))
        assert torch.equal(value[held], before[key][held]), key
        name = kind(key) + (" new" if part == "all-but-new" else "")
        moved[name] = moved.get(name, 0) + int((value != before[key])[~held].sum())
    assert all(count for name, count in moved.items() if name != part and not (part == "all-but-new" and name == "heads new"))
    assert (after[EMBEDDINGS] != before[EMBEDDINGS])[~masks[EMBEDDINGS]].any()  # the new feature's values learn whatever is frozen


def test_frozen_parts_learn_after_they_are_thawed(first: Side, opened: Callable[..., Shop]) -> None:
    before, after, masks = trained(first, opened("trade", a_new_feature), ["trunk"], thaw=1)
    held = {key: mask for key, mask in masks.items() if kind(key) == "trunk"}
    assert any((after[key] != before[key])[mask].any() for key, mask in held.items())


def test_the_pull_keeps_what_moved_near_its_start_and_leaves_the_new_alone(first: Side, opened: Callable[..., Shop]) -> None:
    away, new = [], []
    for pull in (0.0, 60.0, 1e9):
        before, after, masks = trained(first, opened("trade", a_new_feature), [], pull=pull)
        far = {key: (after[key] - before[key]).abs() for key in masks if before[key].is_floating_point()}
        away.append(sum(float(each[masks[key]].sum()) for key, each in far.items()))
        new.append(float(far[EMBEDDINGS][~masks[EMBEDDINGS]].sum()))
    assert away[0] > 1.2 * away[1]
    assert away[2] < 1e-3 * away[0]
    assert min(new) > 0.3 * max(new)


def test_the_start_is_kept_where_no_epoch_is_better(first: Side, opened: Callable[..., Shop]) -> None:
    side = drawn(opened("first"), first.origin())
    before = {key: value.clone() for key, value in side.network.state_dict().items()}
    worse = iter([0.9, 0.8])
    options = opened("first").store.training.model_copy(update={"epochs": 1})
    judged: dict[str, Any] = {"held": lambda budget: None, "evaluate": lambda network: {"kept": {"auc": next(worse)}}}
    record = Fit(side.network, side.feeder, side.store.tasks, options, "fixed", depth=0, **judged).run()
    assert record.best_epoch == -1
    assert all(torch.equal(value, before[key]) for key, value in side.network.state_dict().items())


def test_a_part_that_is_none_is_refused_and_so_is_a_thaw_of_nothing(first: Side) -> None:
    with pytest.raises(ConfigError, match="--freeze encoder: parts that can be frozen are encoders, trunk, heads, all-but-new"):
        first.origin(freeze=["encoder"])
    with pytest.raises(ConfigError, match=r"--pull -1\.0"):
        first.origin(pull=-1.0)
    with pytest.raises(ConfigError, match=r"--thaw 2: .* beside --freeze"):
        first.origin(thaw=2)

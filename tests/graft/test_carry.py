"""What moves from one store's network to another's means there what it meant before."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from banyan import inference, parts
from banyan.errors import ConfigError
from banyan.features.vocabulary import FIRST
from banyan.store.shop import Shop
from tests.graft.shops import Side, drawn, turned

Opened = Callable[..., Shop]
OWN_WAY = {"home", "pepnet", "ple", "star", "stem"}  # some of their weights run over features, tasks or scenarios in one fixed order


def with_model(shop: Shop, **changed: Any) -> Shop:
    """The same shop with another model."""
    return replace(shop, store=shop.store.model_copy(update={"model": shop.store.model.model_copy(update=changed)}))


def answers(side: Side, task: str, rows: int = 40) -> Any:
    return inference.predict(side.network, side.feeder, "shown", np.arange(rows), [task])[task]


def line(side: Any, part: str) -> Any:
    return next(move for move in side.carried.moves if move.part == part)


@pytest.mark.parametrize("part", parts.names("sharing"))
def test_the_same_store_begins_as_the_bundle_is(opened: Opened, part: str) -> None:
    before = drawn(with_model(opened("first"), sharing=part))
    origin = before.origin()
    after = drawn(with_model(opened("first"), sharing=part), origin, seed=1)
    assert [move.row() for move in origin.carried.moves if move.new or move.why] == []
    theirs = before.network.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in after.network.state_dict().items())


@pytest.mark.parametrize("part", [name for name in parts.names("sharing") if name not in OWN_WAY | {"hierarchy"}])
def test_a_store_that_is_written_in_another_order_answers_the_same(opened: Opened, part: str) -> None:
    before = drawn(with_model(opened("first"), sharing=part))
    origin = before.origin()
    after = drawn(with_model(opened("turned", turned), sharing=part), origin, seed=1)
    assert [move.row() for move in origin.carried.moves if move.new] == []
    for task in ("kept", "bought", "group"):
        np.testing.assert_allclose(answers(after, task), answers(before, task), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", sorted(OWN_WAY))
def test_what_is_read_in_a_way_of_its_own_starts_anew_and_says_so(opened: Opened, part: str) -> None:
    origin = drawn(with_model(opened("first"), sharing=part)).origin()
    drawn(with_model(opened("turned", turned), sharing=part), origin, seed=1)
    found = line(origin, "sharing")
    assert 0 < found.new < found.moved or part == "star"
    assert "stands otherwise there" in found.why


def other_features(description: dict[str, Any]) -> dict[str, Any]:
    """A shop without looks and moods, that knows its customers' trade, and asks one thing more."""
    found = copy.deepcopy(description)
    del found["entities"]["item"]["features"]["look"], found["entities"]["user"]["features"]["moods"]
    found["entities"]["user"]["features"]["trade"] = {"kind": "category", "column": "city"}
    found["tasks"]["again"] = {"kind": "binary", "samples": "shown", "label": "cart"}
    found["tasks"]["kept"] = {"kind": "amount", "samples": "shown", "label": "kept"}
    return found


def test_shared_columns_of_a_layer_move_and_new_ones_begin_anew(opened: Opened) -> None:
    before = drawn(opened("first"))
    origin = before.origin()
    after = drawn(opened("other", other_features), origin, seed=1)
    mine, theirs = after.network.state_dict(), before.network.state_dict()
    key, width = "trunks.0.summary.weight", after.network.width
    names = [list(side.data.plan.entities["item"].tokens) for side in (after, before)]
    for place, token in enumerate(names[0]):
        there = names[1].index(token)
        here, other = (weight[:, at * width : (at + 1) * width] for weight, at in ((mine[key], place), (theirs[key], there)))
        assert torch.equal(here, other)
    meets = "trunks.0.meets.project.user.weight"
    trade = list(after.data.plan.entities["user"].tokens).index("trade")
    mask = origin.carried.masks[meets]
    assert not mask[:, trade * width : (trade + 1) * width].any()
    assert mask.sum() == mask.numel() - len(mask) * width
    assert line(origin, "head of again").why == "no such task there"
    assert line(origin, "head of kept").why == "amount here, binary there"
    assert (line(origin, "head of group").new, line(origin, "head of group").moved > 0) == (0, True)
    assert ("user.trade", "", "new: the bundle knows no such feature") in origin.alike.said()


def test_values_move_by_what_they_are_and_a_new_one_begins_at_the_never_seen(opened: Opened, first: Side) -> None:
    origin = first.origin()
    after = drawn(opened("other", other_features), origin, seed=1)
    mine, theirs = after.data.plan.books["item.brand"], first.data.plan.books["item.brand"]
    weight, other = after.network.embeddings.weight, first.network.embeddings.weight
    for value in mine.values:
        here, there = mine.offset + FIRST + mine.values.index(value), theirs.offset + FIRST + theirs.values.index(value)
        assert torch.equal(weight[here], other[there])
    gone = first.data.plan.books["user.moods"]
    assert gone.name not in after.data.plan.books


def test_two_widths_are_refused_with_what_to_do(opened: Opened, first: Side) -> None:
    with pytest.raises(ConfigError, match=r"model\.width is 8 and the bundle's is 4.*--set model\.width=4"):
        drawn(with_model(opened("first"), width=8), first.origin())


def test_another_architecture_is_left_behind_with_the_reason(opened: Opened, first: Side) -> None:
    origin = first.origin()
    drawn(with_model(opened("first"), sharing="bottom", cross=None), origin)
    assert line(origin, "sharing").why == "sharing bottom here, mmoe there"
    assert line(origin, "cross").why == "left behind: this store's model has no such part"
    assert line(origin, "encoders of item").new == 0


def test_another_size_of_hidden_layers_is_left_behind_with_the_reason(opened: Opened, first: Side) -> None:
    origin = first.origin()
    drawn(with_model(opened("first"), sharing={"part": "mmoe", "layers": [6]}), origin)
    assert "here" in line(origin, "sharing").why
    assert line(origin, "sharing").new > 0

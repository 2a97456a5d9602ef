"""Rows that train by whole sequences: one reading of a user's events says at each position what a row alone would read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from banyan import parts
from banyan.errors import ConfigError
from banyan.features import pasts
from banyan.features.build import build, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.model import Network
from banyan.store.shop import Shop
from banyan.training.picks import Picker
from banyan.training.schedule import TableMix
from banyan.types import TRAIN, Array, Step, Windows

CAUSAL = [name for name in parts.names("history") if parts.find("history", name).causal]


@pytest.fixture(scope="module")
def shop(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]]) -> Shop:
    page = described()
    page["samples"]["next"]["sequences"] = True
    return opened(None, page, history="transformer", length=400)


@pytest.fixture(scope="module")
def data(shop: Shop) -> Data:
    return build(shop)


def feeder_of(data: Data, shop: Shop) -> Feeder:
    return Feeder(data, {"next": task_options(shop.store, "next")})


def tokens(network: Network, step: Step) -> torch.Tensor:
    """(B, S, D) of the step's one batch."""
    with torch.no_grad():
        (batch,) = step.batches
        return network.trunks[0].tokens(batch, network.encode(step, network.embeddings.leaf(step.distinct))[0])


def rows_of(data: Data, count: int = 40) -> Array:
    return np.random.default_rng(0).permutation(data.tables["next"].rows(TRAIN))[:count]


@pytest.mark.parametrize("history", CAUSAL)
def test_a_shared_reading_says_what_each_row_would_read_alone(shop: Shop, data: Data, history: str) -> None:
    store = shop.store.model_copy(update={"model": shop.store.model.model_copy(update={"history": history})})
    torch.manual_seed(0)
    network = Network(data.plan, store.model, store.tasks).eval()
    feeder, rows = feeder_of(data, shop), rows_of(data)
    together = feeder.step({"next": rows}, np.random.default_rng(1), ["next"])
    alone = feeder.step({"next": rows}, None, ["next"])
    assert isinstance(together.batches[0].past, Windows)
    assert not isinstance(alone.batches[0].past, Windows)
    assert torch.allclose(tokens(network, together), tokens(network, alone), atol=1e-5)


def test_each_event_is_read_once_for_all_rows_of_a_user(shop: Shop, data: Data) -> None:
    moment = data.tables["next"].moment
    assert moment is not None
    rows = data.tables["next"].rows(TRAIN)
    past = feeder_of(data, shop).step({"next": rows}, np.random.default_rng(1), ["next"]).batches[0].past
    assert isinstance(past, Windows)
    newest: dict[int, int] = {}
    for user, end in zip(moment.user[rows].tolist(), moment.end[rows].tolist(), strict=True):
        newest[user] = max(newest.get(user, 0), end - int(data.stock.narrowed.start[user]))  # type: ignore[union-attr]
    assert sum(int(part.mask.sum()) for part in past.parts) == sum(newest.values())


def test_a_long_past_is_read_in_windows_of_the_length_asked_for(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]]) -> None:
    page = described()
    page["samples"]["next"]["sequences"] = True
    shop = opened(None, page, history="transformer", length=4)
    data = build(shop)
    rows = data.tables["next"].rows(TRAIN)
    moment = data.tables["next"].moment
    assert moment is not None
    assert data.stock.narrowed is not None
    drawn = pasts.windows(data.stock, moment.take(rows))
    before = moment.end[rows] - data.stock.narrowed.start[moment.user[rows]]
    lengths = np.concatenate([mask.sum(1) for _, mask in drawn.parts])
    assert lengths.max() == 4
    assert before.max() > 6  # so that there are users of several windows
    flat, place = np.concatenate([np.where(mask, events, -1).ravel() for events, mask in drawn.parts]), drawn.at
    assert np.array_equal(flat[place[place >= 0]], (moment.end[rows] - 1)[place >= 0])  # a row stands at its newest event
    seen = np.concatenate([(np.cumsum(mask, 1) * mask).ravel() for _, mask in drawn.parts])[place]
    assert (seen[before >= 4] >= 3).all()  # and reads more than half of what it may
    assert np.array_equal(seen[before < 4], before[before < 4])


def test_users_are_dealt_whole() -> None:
    user = np.repeat(np.arange(20), 3)
    rows = np.random.default_rng(0).permutation(60)
    picker = Picker({"next": rows}, TableMix({"next": 60}, 12), 0, {"next": user[rows]})
    passes = [np.concatenate([picker.deal()["next"] for _ in range(5)]) for _ in range(2)]
    for dealt in passes:
        assert np.array_equal(np.sort(dealt), np.arange(60))
        assert np.count_nonzero(np.diff(user[dealt])) == 19  # each user's rows stand together
    assert not np.array_equal(*passes)


def test_a_history_that_has_no_positions_is_refused(data: Data, shop: Shop) -> None:
    with pytest.raises(ConfigError, match=r"samples.next: `sequences` needs a history that is read event by event"):
        Network(data.plan, shop.store.model.model_copy(update={"history": "mean"}), shop.store.tasks)


def test_events_without_an_order_are_refused(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]]) -> None:
    page = described()
    del page["events"]["time"]
    page["samples"] = {"next": {"recipe": "next_item", "sequences": True}}
    page["tasks"], page["split"] = {"next": page["tasks"]["next"]}, {"by": "leave_one_out"}
    with pytest.raises(ConfigError, match="`sequences` reads a user's events in their order"):
        opened(None, page)

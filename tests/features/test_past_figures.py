"""What pasts say of items: by hand, of many items at once, and in pieces."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from banyan.features import past_figures
from banyan.features.build import build
from banyan.features.data import Data
from banyan.store.shop import Shop

Tables = Callable[..., dict[str, pl.DataFrame]]


@pytest.fixture(scope="module")
def data(shop: Shop) -> Data:
    return build(shop)


def test_pairs_are_those_by_hand(shop: Shop, data: Data) -> None:
    log, raw, names = shop.log, shop.samples["viewed"], data.plan.pair
    assert log is not None
    assert raw.time is not None
    pair = data.tables["viewed"].pair
    assert pair is not None
    for row in range(0, len(raw), 3):
        user, item, time = raw.entities["user"][row], raw.entities["item"][row], raw.time[row]
        past = np.flatnonzero((log.user == user) & (log.time < time))[-12:]
        for b, behaviour in enumerate(log.behaviours):
            mine = past[(log.item[past] == item) & (log.behaviour[past] == b)]
            days = (time - log.time[mine]).min() / 86_400e6 if len(mine) else np.inf
            assert pair[row, names.index(f"id:{behaviour}:count")] == pytest.approx(np.log1p(len(mine)))
            assert pair[row, names.index(f"id:{behaviour}:recency")] == pytest.approx(1 / (1 + days), rel=1e-5)


@pytest.mark.parametrize("clock", ["time", "order", "none"])
def test_the_side_of_many_items_is_the_pair_of_each(clock: str, opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Tables) -> None:
    page = described()
    page["samples"] = {"next": page["samples"]["next"]}
    page["tasks"] = {"next": page["tasks"]["next"]}
    if clock != "time":
        page["events"].pop("time")
        page["split"] = {"by": "leave_one_out"}
    frames = tables()
    if clock == "order":
        page["events"]["order"] = "number"
        frames["events"] = frames["events"].sort("ts").with_row_index("number")
    data = build(opened(frames, page))
    table, stock = data.tables["next"], data.stock
    assert table.moment is not None
    items = np.array([0, 3, 1, 19, 7])
    moment = table.moment.take(np.arange(0, len(table), 4))
    side = past_figures.side(stock, moment, items).whole().numpy()
    shared = [data.plan.pair.index(name) for name in data.plan.side]
    for k, item in enumerate(items.tolist()):
        assert np.array_equal(side[:, k], past_figures.pair(stock, moment, np.full(len(moment.user), item))[:, shared])
    everything = np.arange(1, 21)
    assert np.array_equal(
        past_figures.side(stock, moment, everything).whole().numpy()[:, [0, 2, 6, 18]],
        past_figures.side(stock, moment, everything[[0, 2, 6, 18]]).whole().numpy(),
    )


def test_pairs_in_pieces_are_pairs_at_once(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    table = data.tables["viewed"]
    assert table.moment is not None
    monkeypatch.setattr("banyan.features.past_figures.CHUNK", 7)
    again = past_figures.pair(data.stock, table.moment, table.entities["item"])
    assert np.array_equal(again[:, :-3], table.pair[:, :-3])

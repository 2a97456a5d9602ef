"""Signals over a log: nothing of a row's own label, nothing of what comes after it, the same in a step, in ranks and in pairs."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from banyan.features import past_figures
from banyan.features.build import build, stocked
from banyan.features.data import Data
from banyan.features.pairs import spans
from banyan.features.stock import Moment
from banyan.features.texts import Texts
from banyan.store.shop import Shop
from banyan.types import TEST, TRAIN

Opened = Callable[..., Shop]
SIGNALS = {
    "near": "neighbours",
    "taste": {"part": "ease", "l2": 5.0},
    "far": {"part": "graph", "rank": 4},
    "like": "alike",
    "bought": {"part": "rate", "of": "buy", "per": "view"},
}


@pytest.fixture(scope="module")
def timed(opened: Opened, described: Callable[[], dict[str, Any]]) -> Data:
    return build(opened(None, described(), signals=SIGNALS))


@pytest.fixture(scope="module")
def untimed(opened: Opened, described: Callable[[], dict[str, Any]]) -> Data:
    page = described()
    del page["events"]["time"]
    page["samples"] = {"next": page["samples"]["next"]}
    page["tasks"], page["split"] = {"next": page["tasks"]["next"]}, {"by": "leave_one_out"}
    return build(opened(None, page, signals=SIGNALS))


def moment_of(data: Data, table: str, part: int) -> Moment:
    found = data.tables[table].moment
    assert found is not None
    return found.take(data.tables[table].rows(part)[:50])


@pytest.mark.parametrize("which", ["timed", "untimed"])
@pytest.mark.parametrize("part", [TRAIN, TEST])
def test_a_step_and_a_ranking_read_the_same(which: str, part: int, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(which)
    moment, items = moment_of(data, "next", part), np.arange(1, len(data.stock.entities["item"]))
    weights = np.random.default_rng(0).normal(size=len(data.plan.side)).astype(np.float32)
    whole = past_figures.side(data.stock, moment, items).whole().numpy()
    signals = [i for i, name in enumerate(data.plan.side) if name.startswith("signal:")]
    assert len(signals) == len(SIGNALS)
    assert all(np.abs(whole[..., i]).max() > 0 for i in signals)
    assert np.allclose(past_figures.weighed(data.stock, moment, items, weights), whole @ weights, atol=1e-4)
    some = items[[3, 1, 8]]
    assert np.allclose(past_figures.side(data.stock, moment, some).whole().numpy(), whole[:, some - 1], atol=1e-6)


def test_products_are_the_signal_where_the_past_holds_the_item(opened: Opened, described: Callable[[], dict[str, Any]]) -> None:
    data = build(opened(None, described(), signals=SIGNALS, signal_products=True, pair_last=1000))
    moment, items = moment_of(data, "next", TRAIN), np.arange(1, len(data.stock.entities["item"]))
    whole, side = past_figures.side(data.stock, moment, items).whole().numpy(), data.plan.side
    for behaviour in data.plan.behaviours:
        held = np.zeros(whole.shape[:2], bool)
        by, item = data.stock.had(moment, [behaviour])
        held[by, item - 1] = True
        for name in SIGNALS:
            alone, met = (whole[..., side.index(f"signal:{key}")] for key in (name, f"{name}:{behaviour}"))
            assert np.allclose(met, np.where(held, alone, 0))
    weights = np.random.default_rng(0).normal(size=len(side)).astype(np.float32)
    assert np.allclose(past_figures.weighed(data.stock, moment, items, weights), whole @ weights, atol=1e-4)


def test_a_pair_reads_what_a_ranking_reads_of_its_item(timed: Data) -> None:
    moment = moment_of(timed, "viewed", TRAIN)
    item = timed.tables["viewed"].entities["item"][timed.tables["viewed"].rows(TRAIN)[:50]]
    every = past_figures.side(timed.stock, moment, np.arange(1, len(timed.stock.entities["item"]))).whole().numpy()
    pair = past_figures.pair(timed.stock, moment, item)
    for name in (f"signal:{key}" for key in SIGNALS):
        asked = every[np.arange(len(item)), item - 1, timed.plan.side.index(name)]
        assert np.allclose(pair[:, timed.plan.pair.index(name)], asked, atol=1e-6)


def test_a_training_row_without_a_clock_does_not_see_its_own_user(untimed: Data) -> None:
    """Events of a row's own user count for nothing: moving them elsewhere in the fit changes no score of hers."""
    moment, items = moment_of(untimed, "next", TRAIN), np.arange(1, len(untimed.stock.entities["item"]))
    fitted = untimed.stock.signals
    assert fitted is not None
    with_own = past_figures.side(untimed.stock, Moment(moment.user, moment.end, moment.time, moment.exclude, np.zeros(len(moment.user), bool)), items)
    without = past_figures.side(untimed.stock, moment, items)
    first = len(untimed.plan.side) - len(SIGNALS)
    assert not np.allclose(with_own.whole()[..., first:], without.whole()[..., first:], atol=1e-4)
    held = untimed.tables["next"]
    assert held.moment is not None
    log = untimed.stock.log
    assert log is not None
    at, owner = spans(log.start[held.moment.user], held.moment.end)
    assert held.targets is not None
    wanted = held.targets[1][held.targets[0][:-1]]
    stands = np.isin(np.arange(len(held)) * 10_000 + wanted, (owner * 10_000 + log.item[at])[np.isin(at, np.flatnonzero(fitted.usable))])
    assert not stands[held.part == TEST].all()  # what the test asks for was set aside before anything was fitted


def test_later_events_change_no_signal_of_an_earlier_row(opened: Opened, described: Callable[[], dict[str, Any]]) -> None:
    shop = opened(None, described(), signals=SIGNALS)
    data = build(shop)
    table = data.tables["next"]
    assert table.moment is not None
    rows = table.rows(TRAIN)
    assert shop.log is not None
    assert data.stock.signals is not None
    middle = data.stock.signals.since[1]
    early = rows[table.moment.time[rows] < middle]
    assert (table.moment.time[early] >= data.stock.signals.since[0]).any()
    later = copy.copy(shop)
    item = shop.log.item.copy()
    after = shop.log.time >= middle
    item[after] = np.random.default_rng(0).permutation(item[after])
    later.log = copy.copy(shop.log)
    later.log.item = item
    again = stocked(data.plan, later, Texts())
    items = np.arange(1, len(data.stock.entities["item"]))
    first = len(data.plan.side) - len(SIGNALS)
    was, now = (past_figures.side(stock, table.moment.take(early), items).whole()[..., first:].numpy() for stock in (data.stock, again))
    assert np.abs(was).max() > 0
    assert np.allclose(was, now, atol=1e-6)


def test_a_signal_with_a_wrong_option_is_named_by_its_line(opened: Opened, described: Callable[[], dict[str, Any]]) -> None:
    with pytest.raises(Exception, match=r"signals.*'neighbours' has no option 'windw'. Did you mean 'window'\?"):
        opened(None, described(), signals={"near": {"part": "neighbours", "windw": 3}})


def test_a_behaviour_that_no_event_has_is_named(opened: Opened, described: Callable[[], dict[str, Any]]) -> None:
    with pytest.raises(Exception, match="no event has the behaviour 'purchase'"):
        build(opened(None, described(), signals={"taste": {"part": "ease", "behaviours": {"purchase": 1}}}))


def test_an_item_that_passes_for_new_loses_what_is_asked_for_and_nothing_else(timed: Data) -> None:
    moment, items = moment_of(timed, "next", TRAIN), np.arange(1, len(timed.stock.entities["item"]))
    side = past_figures.side(timed.stock, moment, items)
    fresh = torch.zeros(len(items), dtype=torch.bool)
    fresh[[2, 5]] = True
    figures = [0, len(timed.plan.side) - 1, len(timed.plan.side) - 3]
    wanted = side.whole()
    wanted[:, fresh.nonzero(), torch.tensor(figures)] = 0
    assert torch.equal(side.without(fresh, figures).whole(), wanted)
    assert torch.equal(side.without(fresh, []).whole(), side.whole())

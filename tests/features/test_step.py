"""Promises of steps: point-in-time, the same row alone and in company, work that grows with the rows and with nothing else."""

import copy
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.features import past_figures
from banyan.features.build import build, stocked, tabled, task_options
from banyan.features.data import Data
from banyan.features.step import Feeder
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.store.shop import EventLog, Shop
from banyan.types import TEST, Array, Batch, Step

Tables = Callable[..., dict[str, pl.DataFrame]]


@pytest.fixture(scope="module")
def data(shop: Shop) -> Data:
    return build(shop)


@pytest.fixture(scope="module")
def feeder(data: Data, shop: Shop) -> Feeder:
    return Feeder(data, {task: task_options(shop.store, task) for task in shop.store.tasks}, 0.5)


def ids_of(step: Step, start: int, shape: tuple[int, ...]) -> Array:
    """The rows of the fused table that lie from `start` on."""
    return step.distinct[step.inverse[start : start + int(np.prod(shape))].long()].numpy().reshape(shape)


def item_ids(step: Step, feeder: Feeder) -> Array:
    """(n, C) ids of the step's items."""
    block = step.entities["item"]
    return ids_of(step, block.start, (block.rows, len(feeder.plan.entities["item"].categories)))


def pasts(step: Step, batch: Batch, feeder: Feeder) -> list[list[tuple[int, int, float]]]:
    """Each row's history as (id, behaviour, gap)."""
    past = batch.past
    assert past is not None
    shape = tuple(past.items.shape)
    item, behaviour = item_ids(step, feeder)[past.items.numpy()][..., 0], ids_of(step, past.behaviours, shape)
    keep, gaps = past.mask.numpy(), past.gaps.numpy()
    return [list(zip(item[i][keep[i]].tolist(), behaviour[i][keep[i]].tolist(), gaps[i][keep[i]].tolist(), strict=True)) for i in range(shape[0])]


def with_events(log: EventLog, more: list[tuple[int, int, int, int]]) -> EventLog:
    """The log with more (user, item, behaviour, time)."""
    extra = np.array(more, np.int64).reshape(-1, 4)
    user = np.concatenate([log.user, extra[:, 0]])
    columns = {key: np.concatenate([getattr(log, key), extra[:, i].astype(getattr(log, key).dtype)]) for key, i in (("item", 1), ("behaviour", 2), ("time", 3))}
    for key in ("scenario", "value"):
        columns[key] = np.concatenate([getattr(log, key), np.ones(len(extra), getattr(log, key).dtype)])
    order = np.lexsort((columns["time"], user))
    start = np.zeros(len(log.start), np.int64)
    np.cumsum(np.bincount(user, minlength=len(log.start) - 1), out=start[1:])
    return EventLog(start, **{key: each[order] for key, each in columns.items()}, behaviours=log.behaviours, scenarios=log.scenarios, clock=log.clock)


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_later_events_change_no_earlier_row(shop: Shop, data: Data, feeder: Feeder, draw: st.DataObject) -> None:
    """Events at the very time of a row, and after it, of any user: history, pairs and statistics stay as they were."""
    raw, log = shop.samples["shown"], shop.log
    assert log is not None
    assert raw.time is not None
    moment = int(raw.time[draw.draw(st.integers(0, len(raw) - 1))])
    event = st.tuples(st.integers(1, 20), st.integers(1, 15), st.integers(0, 2), st.integers(0, 10**12).map(lambda t: moment + t))
    later = copy.copy(shop)
    later.log = with_events(log, [*draw.draw(st.lists(event, max_size=30)), *((u, 1, 0, moment) for u in range(1, 20))])
    rows = np.flatnonzero(raw.time <= moment)
    table = copy.copy(raw)
    table.end = np.where(raw.end < 0, -1, later.log.before(raw.entities["user"], raw.time))
    stock = stocked(data.plan, later, Texts())
    other = Feeder(Data(data.plan, stock, {"shown": tabled(data.plan, stock, shop.store, table, Texts())}))
    one, two = feeder.step({"shown": rows}), other.step({"shown": rows})
    assert pasts(one, one.batches[0], feeder) == pasts(two, two.batches[0], other)
    assert torch.equal(one.batches[0].pair, two.batches[0].pair)


def test_a_history_is_the_newest_events_strictly_before(shop: Shop, data: Data, feeder: Feeder) -> None:
    log, raw = shop.log, shop.samples["viewed"]
    assert log is not None
    assert raw.time is not None
    step = feeder.step({"viewed": np.arange(len(raw))})
    found = pasts(step, step.batches[0], feeder)
    first = data.plan.books["behaviour"].offset + 2
    for row in range(len(raw)):
        user, time = raw.entities["user"][row], raw.time[row]
        before = np.flatnonzero((log.user == user) & (log.time < time))[-5:]
        wanted = data.stock.entities["item"].ids[log.item[before], 0].tolist(), (log.behaviour[before] + first).tolist()
        assert ([e[0] for e in found[row]], [e[1] for e in found[row]]) == wanted
        assert np.allclose([e[2] for e in found[row]], np.log1p((time - log.time[before]) / 86_400e6), atol=1e-5)
    assert any((log.time[log.user == raw.entities["user"][row]] == raw.time[row]).any() for row in range(len(raw)))  # a row's own time has events


@pytest.mark.parametrize("behaviours", [None, ["cart"], ["view", "buy"]])
def test_without_a_clock_the_labelled_event_is_nowhere(
    behaviours: list[str] | None, opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Tables
) -> None:
    page = described()
    page["events"].pop("time")
    page["samples"] = {"next": page["samples"]["next"]}
    page["tasks"] = {"next": page["tasks"]["next"]}
    page["split"] = {"by": "user"}
    page["model"]["behaviours"], page["model"]["length"] = behaviours, 100
    frames = tables()
    frames["events"] = frames["events"].unique(["user_id", "item_id"], maintain_order=True)  # so that the event is the only trace of its item
    shop = opened(frames, page)
    data = build(shop)
    feeder = Feeder(data)
    table, log = data.tables["next"], data.stock.log
    assert table.moment is not None
    assert log is not None
    step = feeder.step({"next": np.arange(len(table))}, choose=False)
    found, moment = pasts(step, step.batches[0], feeder), table.moment
    kept = [log.behaviours.index(b) for b in behaviours or log.behaviours]
    for row in range(len(table)):
        mine = [at for at in np.flatnonzero(log.user == moment.user[row]) if at != moment.exclude[row] and log.behaviour[at] in kept]
        assert [e[0] for e in found[row]] == data.stock.entities["item"].ids[log.item[mine], 0].tolist()
    target = log.item[moment.exclude]
    pair = past_figures.pair(data.stock, moment, target)
    own = [i for i, name in enumerate(data.plan.pair) if name.startswith("id:")]
    assert not pair[:, own].any()


def test_things_are_encoded_once_a_step_the_missing_one_first(feeder: Feeder, data: Data) -> None:
    picks = {name: table.rows(0)[:20] for name, table in data.tables.items()}
    step = feeder.step(picks)
    items = item_ids(step, feeder)
    assert items[0].tolist() == data.stock.entities["item"].ids[0].tolist()
    assert len(np.unique(items[:, 0])) == len(items)
    assert len(np.unique(step.distinct.numpy())) == len(step.distinct)
    assert sum(step.lengths) == len(step.inverse)
    for batch in step.batches:
        for name, place in batch.entities.items():
            wanted = data.stock.entities[name].numbers[data.tables[batch.table].entities[name][batch.row]]
            assert np.array_equal(step.entities[name].numbers[place].numpy(), wanted)


@pytest.fixture(scope="module")
def network(data: Data, shop: Shop) -> Network:
    torch.manual_seed(0)
    return Network(data.plan, shop.store.model, shop.store.tasks).eval()


def test_a_rows_answers_do_not_depend_on_its_company(data: Data, feeder: Feeder, network: Network) -> None:
    """Alone, among others, or beside other tables: the same within 1e-6."""
    for name, table in data.tables.items():
        if data.plan.tables[name].ranking:
            continue
        rows = table.rows(TEST)[:6] if len(table.rows(TEST)) else np.arange(2)
        crowd = {other: np.arange(min(len(each), 15)) for other, each in data.tables.items() if other != name}
        with torch.no_grad():
            together, company = network(feeder.step({name: rows})), network(feeder.step({**crowd, name: rows}))
            alone = [network(feeder.step({name: rows[i : i + 1]})) for i in range(len(rows))]
        assert name == "weekly" or together
        for task in together:
            single = torch.cat([each[task] for each in alone if task in each])
            assert torch.allclose(together[task], company[task], atol=1e-6)
            if len(single) == len(rows):
                assert torch.allclose(together[task], single, atol=1e-6)


def test_ids_drop_out_in_training_alone_and_ids_alone(data: Data, feeder: Feeder) -> None:
    rows = data.tables["shown"].rows(0)
    calm, drawn = feeder.step({"shown": rows}), feeder.step({"shown": rows}, np.random.default_rng(0))
    before, after = item_ids(calm, feeder), item_ids(drawn, feeder)
    unseen = data.plan.books["item.id"].unseen
    hidden = after[:, 0] == unseen
    assert np.array_equal(before[~hidden], after[~hidden])
    assert np.array_equal(before[:, 1:], after[:, 1:])
    assert 0.2 < hidden[1:].mean() < 0.8
    assert not hidden[0]
    assert (before[1:, 0] != unseen).all()
    again = feeder.step({"shown": rows}, np.random.default_rng(0))
    assert torch.equal(again.distinct, drawn.distinct)
    assert np.array_equal(data.stock.entities["item"].ids[:, 0], build_ids(data))


def test_some_of_the_items_without_id_pass_for_new(data: Data, feeder: Feeder) -> None:
    """Nobody has touched them: no counts with the user, no popularity; what their features say stays."""
    rows = data.tables["viewed"].rows(0)
    calm, drawn = feeder.step({"viewed": rows}), feeder.step({"viewed": rows}, np.random.default_rng(1))
    before, after = calm.batches[0].pair, drawn.batches[0].pair
    assert before is not None
    assert after is not None
    hidden = (item_ids(drawn, feeder)[:, 0] == data.plan.books["item.id"].unseen)[drawn.batches[0].entities["item"].numpy()]
    told = np.array([name.startswith(("item:", "id:")) for name in data.plan.pair])
    changed = (before != after).any(1).numpy()
    assert 0 < changed.sum() < hidden.sum()
    assert not changed[~hidden].any()
    assert not after[changed][:, told].any()
    assert torch.equal(before[:, ~told], after[:, ~told])
    assert np.array_equal(data.tables["viewed"].pair[rows], before.numpy())  # what is stored stays as it was


def build_ids(data: Data) -> Array:
    """The items' ids as they were before any step: dropping out must not write into the stock."""
    return data.plan.books["item.id"].rows(pl.concat([pl.Series([None], dtype=pl.String), pl.Series(data.stock.ids["item"], dtype=pl.String)]))


def test_what_is_known_in_training_only_reads_its_stated_value(data: Data, feeder: Feeder, shop: Shop) -> None:
    rows = np.arange(len(data.tables["shown"]))
    number = next(n for n in data.plan.context.numbers if n.name == "place")
    column = [n.name for n in data.plan.context.numbers].index("place")
    true, _ = number.standard(shop.samples["shown"].context["place"].to_numpy())
    stated, stated_bin = number.standard(np.array([1.0]))
    training, answer = feeder.step({"shown": rows}, np.random.default_rng(0)).batches[0].context, feeder.step({"shown": rows})
    assert np.allclose(training.numbers[:, column], true)
    block = answer.batches[0].context
    assert np.allclose(block.numbers[:, column], stated[0])
    bins = ids_of(answer, block.bags["numbers"].start, tuple(block.bags["numbers"].mask.shape))
    binned = [n.name for n in data.plan.context.numbers if n.edges].index("place")
    assert (bins[:, binned] == stated_bin[0]).all()


def test_features_land_in_their_own_columns(data: Data, feeder: Feeder, shop: Shop) -> None:
    """Tables with different features: each block has the columns of all, its own filled, the others missing."""
    plan = data.plan
    for name in ("shown", "judged", "people"):
        raw = shop.samples[name]
        step = feeder.step({name: np.arange(len(raw))}, np.random.default_rng(0))
        block = step.batches[0].context
        ids = ids_of(step, block.start, (len(raw), len(plan.context.categories)))
        for i, (key, book) in enumerate(plan.context.categories.items()):
            if key in raw.context.columns:
                assert ids[:, i].tolist() == plan.books[book].rows(raw.context[key]).tolist()
            elif key != "scenario":
                assert (ids[:, i] == plan.books[book].missing).all()
        for i, number in enumerate(plan.context.numbers):
            assert block.known[:, i].all() == (number.name in raw.context.columns)
            if number.name in raw.context.columns:
                assert np.allclose(block.numbers[:, i], number.standard(raw.context[number.name].to_numpy())[0])


def peak(feeder: Feeder, picks: dict[str, Array]) -> int:
    """Most bytes that a step holds at once, of what numpy asks for."""
    feeder.step(picks, np.random.default_rng(0))
    tracemalloc.start()
    feeder.step(picks, np.random.default_rng(0))
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_work_does_not_grow_with_the_number_of_ids(shop: Shop, opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Tables) -> None:
    page = described()
    page["entities"]["item"]["features"]["title"]["buckets"] = 3_000_000
    frames = tables()
    names = [f"j{i}" for i in range(30_000)]
    more = pl.DataFrame({"item_id": names}).with_columns(pl.lit("p").alias("kind"), pl.lit(2.0).alias("price"))
    frames["items"] = pl.concat([frames["items"], more], how="diagonal")
    peaks, rows = [], []
    for each in (shop, opened(frames, page)):
        data = build(each)
        feeder = Feeder(data, {task: task_options(each.store, task) for task in each.store.tasks}, 0.5)
        rows.append(data.plan.rows)
        peaks.append(peak(feeder, {name: table.rows(0)[:10] for name, table in data.tables.items()}))
    assert rows[1] > 1000 * rows[0]
    assert peaks[1] < 1.2 * peaks[0] + 20_000, peaks


def test_versions_of_an_item_are_one_item(opened: Callable[..., Shop], described: Callable[[], dict[str, Any]], tables: Tables) -> None:
    """With a second row for every item, whose features alone differ, the counts with the item itself and its popularity stay."""
    page = described()
    for name in ("people", "weekly"):
        del page["samples"][name]
    page["tasks"] = {task: page["tasks"][task] for task in ("liked", "spent", "moods")}
    plain = build(opened(tables(), page))
    page["entities"]["item"]["valid_from"] = "from"
    frames = tables()
    begin = pl.from_epoch(pl.Series([1_600_000_000] * 20), time_unit="s")
    later = pl.from_epoch(pl.Series([1_700_000_000 + 20 * 86_400] * 20), time_unit="s")
    frames["items"] = pl.concat([frames["items"].with_columns(begin.alias("from")), frames["items"].with_columns(later.alias("from"), price=pl.lit(9.0))])
    versions = build(opened(frames, page))
    assert len(np.unique(versions.tables["shown"].entities["item"])) > 20
    same = [i for i, name in enumerate(plain.plan.pair) if not name.startswith("kind:")]
    assert np.array_equal(plain.tables["shown"].pair[:, same], versions.tables["shown"].pair[:, same])

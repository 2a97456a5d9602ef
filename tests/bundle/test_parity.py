"""What the run answers in batches, the bundle answers from raw rows: features equal, answers within 1e-6 + 1e-5 |b|."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from banyan import inference
from banyan.bundle import Bundle
from banyan.bundle.rows import part
from banyan.features import past_figures
from banyan.store.shop import SampleTable
from banyan.types import TEST, Array

TABLES = ("viewed", "people", "weekly", "shown")


def close(a: Array, b: Array) -> None:
    assert a.shape == b.shape
    assert np.isfinite(a).all()
    assert (np.abs(a - b) <= 1e-6 + 1e-5 * np.abs(b)).all(), np.abs(a - b).max()


def raw_rows(run, table: str, rows: Array) -> tuple[pl.DataFrame, int | None]:
    """The rows as the shop would write them, ids and times and words, and as of when untimed rows are asked."""
    found: SampleTable = run.shop.samples[table]
    spec = run.shop.store.samples[table]
    columns: dict[str, pl.Series] = {}
    for entity, numbers in found.entities.items():
        ids = np.concatenate([[None], run.shop.entities[entity].ids])
        columns[spec.entities.get(entity, run.shop.store.entities[entity].id)] = pl.Series(ids[numbers[rows]].tolist(), dtype=pl.String)
    if found.time is not None:
        columns[spec.time or "ts"] = pl.Series(found.time[rows]).cast(pl.Datetime("us"))
    columns["page"] = pl.Series([run.shop.scenarios[code] or None for code in found.scenario[rows]], dtype=pl.String)
    for key in found.context.columns:
        columns[key] = found.context[key][rows]
    return pl.DataFrame(columns), None if found.time is not None else run.shop.cut[0]


def offline(run, table: str, rows: Array) -> dict[str, Array]:
    tasks = run.data.plan.tables[table].tasks
    return inference.predict(run.network, run.feeder, table, rows, tasks)


def answers(bundle: Bundle, table: str, frame: pl.DataFrame, as_of: int | None) -> dict[str, Array]:
    found = bundle.predict(table, frame, as_of=as_of)
    tasks = bundle.plan.tables[table].tasks
    return {task: found.select(f"{task}.{c}" for c in bundle.network.task(task).columns()).to_numpy() for task in tasks}


@pytest.mark.parametrize("table", TABLES)
def test_raw_rows_get_the_answers_of_the_run(run, bundle: Bundle, table: str) -> None:
    rows = run.data.tables[table].rows(TEST)
    assert len(rows)
    frame, as_of = raw_rows(run, table, rows)
    found, wanted = answers(bundle, table, frame, as_of), offline(run, table, rows)
    for task, each in wanted.items():
        close(found[task], each)


@pytest.mark.parametrize("table", TABLES)
def test_one_row_at_a_time_gets_the_same_answers(run, bundle: Bundle, table: str) -> None:
    rows = run.data.tables[table].rows(TEST)[:5]
    frame, as_of = raw_rows(run, table, rows)
    wanted = offline(run, table, rows)
    single = [answers(bundle, table, frame[i : i + 1], as_of) for i in range(len(rows))]
    for task, each in wanted.items():
        close(np.concatenate([one[task] for one in single]), each)


def test_features_of_raw_rows_are_equal(run, bundle: Bundle) -> None:
    rows = run.data.tables["viewed"].rows(TEST)
    frame, as_of = raw_rows(run, "viewed", rows)
    read = bundle._reader.rows("viewed", frame, bundle._moment(as_of), "rows")
    feeder = bundle._feeder(part(read, 0, len(read)), bundle.now)
    mine, wanted = feeder.data.tables["viewed"], run.data.tables["viewed"]
    assert np.array_equal(mine.pair, wanted.pair[rows])
    assert np.array_equal(mine.context.ids, wanted.context.ids[rows])
    a = feeder.step({"viewed": np.arange(len(rows))}, choose=False).batches[0].past
    b = run.feeder.step({"viewed": rows}, choose=False).batches[0].past
    assert np.array_equal(a.gaps.numpy(), b.gaps.numpy())
    assert np.array_equal(a.mask.numpy(), b.mask.numpy())


def test_the_log_is_cut_and_still_answers(run, bundle: Bundle) -> None:
    assert len(bundle.stock.log.item) < len(run.shop.log.item)


def test_state_rebuilt_from_raw_events_answers_the_same(run, bundle: Bundle, tmp_path) -> None:
    """A bundle that lost its newest events and heard of them again is the bundle that never lost them."""
    moment = bundle.facts["since"]
    late = pl.col("ts").dt.epoch("us") >= moment
    events = run.frames["e"]
    older = cut_before(bundle, moment)
    for table in ("viewed", "shown"):
        rows = run.data.tables[table].rows(TEST)
        frame, as_of = raw_rows(run, table, rows)
        rebuilt = older.with_events(events.filter(late).sample(fraction=1.0, shuffle=True, seed=1))
        assert rebuilt.now == bundle.now
        for task, each in offline(run, table, rows).items():
            close(answers(rebuilt, table, frame, as_of)[task], each)
    changed = answers(older, "viewed", *raw_rows(run, "viewed", run.data.tables["viewed"].rows(TEST)))
    assert not np.allclose(changed["carted"], offline(run, "viewed", run.data.tables["viewed"].rows(TEST))["carted"], atol=1e-6), "the events should matter"


def cut_before(bundle: Bundle, moment: int) -> Bundle:
    """The bundle as it was at a moment: no later event in its log or its statistics."""
    from dataclasses import replace

    from banyan.bundle import arrays, counts, grow

    log = bundle.stock.log
    keep = log.time < moment
    start = np.concatenate([[0], np.cumsum(keep)])[log.start]
    snapshots, late = bundle.stock.snapshots, ~keep
    gone = (log.user[late], log.item[late], log.behaviour[late], log.time[late] // snapshots.span)

    def less(found, key):
        code, number, often = counts.tally(found)
        fresh = key.astype(np.int64) * found.behaviours + gone[2]
        both = [np.concatenate(pair) for pair in ((code, fresh), (number, gone[3]), (often, -np.ones(len(fresh), np.int64)))]
        return counts.of_tally((both[0], both[1], both[2]), found.behaviours)

    small = snapshots.__class__.of(log, snapshots.span, less(snapshots.items, gone[1]), less(snapshots.users, gone[0]), None, snapshots.wide)
    stock = replace(bundle.stock)
    cut = replace(log, start=start, **{key: getattr(log, key)[keep] for key in arrays.LOG})
    grow._placed(stock, cut, small, bundle.store.model.behaviours)
    return replace(bundle, stock=stock)


def test_recommendations_are_the_top_of_the_full_ranking(run, bundle: Bundle) -> None:
    """Item vectors from the bundle's file, users from their ids: the same items, scores and ranks as the run's own."""
    rows = run.data.tables["next"].rows(TEST)
    table = run.shop.samples["next"]
    distinct = np.unique(table.entities["user"][rows], return_index=True)[1]
    for row in rows[distinct][:12]:
        ids, scores = inference.top(run.network, run.feeder, "next", "next", np.array([row]), 7)
        user = run.shop.entities["user"].ids[table.entities["user"][row] - 1]
        found = bundle.recommend([user], 7, as_of=int(table.time[row]), scenario=run.shop.scenarios[table.scenario[row]])
        assert found["item"].to_list() == run.shop.entities["item"].ids[ids[0] - 1].tolist()
        close(found["score"].to_numpy(), scores[0])


def test_a_block_of_users_gets_what_each_alone_gets(bundle: Bundle) -> None:
    whole = bundle.recommend("all", 5)
    assert whole.height == 5 * len(bundle.stock.ids["user"])
    for user in whole["user"].unique(maintain_order=True).to_list()[:6]:
        alone, mine = bundle.recommend([user], 5), whole.filter(pl.col("user") == user)
        assert alone["item"].to_list() == mine["item"].to_list()
        close(alone["score"].to_numpy(), mine["score"].to_numpy())


def ordered(description: dict) -> None:
    description["events"]["order"] = "ts"
    without_time(description)


def unordered(description: dict) -> None:
    without_time(description)
    description["split"] = {"by": "leave_one_out"}


def without_time(description: dict) -> None:
    del description["events"]["time"]
    for name in ("weekly", "shown", "viewed"):
        del description["samples"][name]
    description["tasks"] = {key: t for key, t in description["tasks"].items() if t["samples"] in description["samples"]}
    description["split"] = {"by": "time", "valid": 0.1, "test": 0.1}
    description["samples"]["people"]["split"] = {"by": "user"}


def test_a_store_with_an_order_and_no_clock_agrees_too(train: Callable, tmp_path) -> None:
    run = train(tmp_path, ordered)
    bundle = Bundle.load(run.path, device="cpu")
    assert len(bundle.stock.log.item) < len(run.shop.log.item)
    rows = run.data.tables["next"].rows(TEST)[:15]
    table = run.shop.samples["next"]
    for row in rows:
        ids, scores = inference.top(run.network, run.feeder, "next", "next", np.array([row]), 7)
        user = run.shop.entities["user"].ids[table.entities["user"][row] - 1]
        found = bundle.recommend([user], 7, as_of=int(table.time[row]), scenario=run.shop.scenarios[table.scenario[row]])
        assert found["item"].to_list() == run.shop.entities["item"].ids[ids[0] - 1].tolist()
        close(found["score"].to_numpy(), scores[0])


def test_a_store_of_events_that_are_a_set_agrees_too(train: Callable, tmp_path) -> None:
    run = train(tmp_path, unordered)
    bundle = Bundle.load(run.path, device="cpu")
    table = run.shop.samples["next"]
    for row in run.data.tables["next"].rows(TEST)[:15]:
        ids, scores = inference.top(run.network, run.feeder, "next", "next", np.array([row]), 7)
        user = run.shop.entities["user"].ids[table.entities["user"][row] - 1]
        found = bundle.recommend([user], 7, scenario=run.shop.scenarios[table.scenario[row]])
        assert found["item"].to_list() == run.shop.entities["item"].ids[ids[0] - 1].tolist()
        close(found["score"].to_numpy(), scores[0])


def versioned(description: dict) -> None:
    description["entities"]["item"] |= {"table": "versions.parquet", "valid_from": "since"}


def test_rows_that_held_at_the_time_are_found_again(train: Callable, tmp_path) -> None:
    """Items whose price changed: the row of the moment, and one offer an item."""
    run = train(tmp_path, versioned)
    bundle = Bundle.load(run.path, device="cpu")
    for table in ("viewed", "shown"):
        rows = run.data.tables[table].rows(TEST)
        frame, as_of = raw_rows(run, table, rows)
        for task, each in offline(run, table, rows).items():
            close(answers(bundle, table, frame, as_of)[task], each)
    found = bundle.recommend(["u1"], 100)
    assert found["item"].n_unique() == found.height


def test_scores_by_weights_alone_are_those_of_all_figures(run) -> None:
    """The short way to linear side scores, against the long one."""
    data = run.data.tables["next"]
    moment, items = data.moment.take(data.rows(TEST)[:20]), np.arange(1, len(run.data.stock.ids["item"]) + 1)
    weights = np.random.default_rng(0).normal(size=len(run.data.plan.side)).astype(np.float32)
    stock = run.data.stock
    assert np.allclose(past_figures.weighed(stock, moment, items, weights), past_figures.side(stock, moment, items).whole().numpy() @ weights, atol=1e-4)

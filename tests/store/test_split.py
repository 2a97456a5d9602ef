"""Nothing after the cut reaches training; a user, an item or a row stands in one part; what is dropped is counted."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from banyan.errors import ConfigError, DataError
from banyan.store.samples.raw import Raw
from banyan.store.schema import Samples, Split, Store
from banyan.store.shop import EntityFrame, EventLog
from banyan.store.split import cut, draws, parts_of_ids, split
from banyan.types import DROPPED, TEST, TRAIN, VALID, Array

DAY = 86_400_000_000
T0 = 1_700_000_000_000_000


def users(n: int) -> dict[str, EntityFrame]:
    ids = np.array([f"u{i}" for i in range(n)], object)
    return {"user": EntityFrame("user", pl.DataFrame({"id": ids.tolist()}), ids)}


def log_at(times: Array, clock: str = "time") -> EventLog:
    n, none = len(times), np.zeros(len(times), np.int32)
    return EventLog(np.array([0, 0, n]), none, none.astype(np.int16), np.sort(times), none, none.astype(np.float32), ("v",), ("",), clock)


def store(split_: Split, **own: Split) -> Store:
    tables = {name: Samples(table="t.csv", labels={"y": "y"}, split=each, user="u") for name, each in own.items()}  # type: ignore[call-arg,arg-type]
    return Store(entities={"user": {"id": "u"}}, samples=tables, tasks={}, split=split_)  # type: ignore[dict-item]


def rows(time: Array | None, user: Array | None = None, window: int = 0, **rest: Any) -> Raw:
    n = len(time) if time is not None else len(user) if user is not None else 0
    return Raw(entities={"user": np.ones(n, np.int32) if user is None else user}, time=time, window=window, **rest).filled()


spans = st.one_of(st.sampled_from(["3d", "10d", "2w"]), st.floats(0.0, 0.4))


@settings(max_examples=60, deadline=None)
@given(days=st.lists(st.integers(0, 99), min_size=20, max_size=80), valid=spans, test=spans, window=st.integers(0, 5), by=st.sampled_from(["time", "user"]))
def test_nothing_after_the_cut_reaches_training(days: list[int], valid: Any, test: Any, window: int, by: Any) -> None:
    time = T0 + np.array([0, 99, *days]) * DAY
    whole = Split(by="time", valid=valid, test=test)
    try:
        where = cut(store(whole, t=None), log_at(time), {"t": rows(time)})  # type: ignore[arg-type]
        assert where is not None
        own = whole if by == "time" else Split(by="user", valid=0.2, test=0.2)
        raw = rows(time, np.arange(1, len(time) + 1, dtype=np.int32), window * DAY)
        part, dropped = split("t", raw, own, where, users(len(time)))
    except (ConfigError, DataError):
        return  # refused rather than leaked
    assert where[0] <= where[1]
    assert (time[part == TRAIN] < where[0]).all()
    assert (time[part == TRAIN] + window * DAY <= where[0]).all()
    assert (time[part == VALID] + window * DAY <= where[1]).all()
    assert sum(dropped.values()) == (part == DROPPED).sum()
    if by == "time":
        assert (time[part == VALID] >= where[0]).all()
        assert (time[part == TEST] >= where[1]).all()
        assert ((part == TEST) == (time >= where[1])).all()


def test_spans_count_back_from_the_last_event() -> None:
    time = T0 + np.arange(100) * DAY
    where = cut(store(Split(valid="10d", test="20d"), t=None), log_at(time), {"t": rows(time)})  # type: ignore[arg-type]
    assert where is not None
    part, _ = split("t", rows(time), Split(), where, users(1))
    assert [(part == code).sum() for code in (TRAIN, VALID, TEST)] == [70, 10, 20]


def test_shares_are_shares_of_the_events_where_times_differ() -> None:
    time = T0 + np.arange(100) ** 2 * DAY
    where = cut(store(Split(valid=0.1, test=0.2), t=None), log_at(time), {"t": rows(time)})  # type: ignore[arg-type]
    part, _ = split("t", rows(time), Split(), where, users(1))
    assert [(part == code).sum() for code in (TRAIN, VALID, TEST)] == [70, 10, 20]


def test_a_cut_is_one_for_the_store() -> None:
    time = T0 + np.arange(100) * DAY
    raws = {"a": rows(time), "b": rows(time)}
    with pytest.raises(
        ConfigError, match=r"samples\.b: its split by time says valid 0\.1 and test 0\.3, that of the store 0\.1 and 0\.2.*one for the whole store"
    ):
        cut(store(Split(), a=Split(), b=Split(test=0.3)), log_at(time), raws)
    assert cut(store(Split(by="user"), a=Split(by="user"), b=Split(by="user")), log_at(time), raws) is None
    assert cut(store(Split(by="user"), a=Split(by="user"), b=Split(valid="10d", test="10d")), log_at(time), raws) is not None


def test_a_split_that_leaves_nothing_is_refused() -> None:
    time = T0 + np.arange(10) * DAY
    with pytest.raises(ConfigError, match="test 14d and valid 14d leave nothing to train on; the data reach from 2023-11-14"):
        cut(store(Split(valid="14d", test="14d"), t=None), log_at(time), {"t": rows(time)})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the events have an order; use shares"):
        cut(store(Split(valid="14d", test="14d"), t=None), log_at(np.arange(10), "order"), {"t": rows(time)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"samples\.t: none of 10 rows is left to train on \(9 rows: time and label window"):
        split("t", rows(time, window=30 * DAY), Split(), (int(time[8]) + 30, int(time[9]) + 60 * DAY), users(1))


def test_rows_without_a_time_are_not_split_by_time() -> None:
    with pytest.raises(ConfigError, match=r"samples\.people: its rows have no time.*split: \{by: user\}"):
        split("people", rows(None, np.ones(3, np.int32)), Split(), (0, 1), users(1))


def test_a_user_stands_in_the_same_part_of_every_table() -> None:
    rng, entities, how = np.random.default_rng(0), users(1000), Split(by="user", valid=0.2, test=0.3)
    parts: dict[int, set[int]] = {}
    for name in ("a", "b"):
        user = rng.integers(0, 1001, 3000).astype(np.int32)
        part, dropped = split(name, rows(None, user), how, None, entities)
        assert (part[user == 0] == DROPPED).all()
        assert dropped == {"no user": int((user == 0).sum())}
        for u, p in zip(user.tolist(), part.tolist(), strict=True):
            parts.setdefault(u, set()).add(p)
    assert all(len(each) == 1 for each in parts.values())
    shares = [np.mean([p == {code} for u, p in parts.items() if u]) for code in (TRAIN, VALID, TEST)]
    assert np.allclose(shares, [0.5, 0.2, 0.3], atol=0.05)


def test_an_id_keeps_its_part_when_others_come_and_all_states_share_it() -> None:
    how = Split(by="user", seed=3)
    few = parts_of_ids(users(50)["user"], how)
    assert (parts_of_ids(users(500)["user"], how)[:51] == few).all()
    assert not (parts_of_ids(users(500)["user"], Split(by="user", seed=4))[:51] == few).all()
    ids = np.array(["a", "a", "a", "é值"], object)
    assert len(set(draws(ids, 0)[:3])) == 1
    many = draws(np.array([str(i) for i in range(20_000)], object), 0)
    assert len(np.unique(many)) == 20_000
    assert np.abs(np.histogram(many, 10, (0, 1))[0] / 2000 - 1).max() < 0.1


def test_a_split_by_an_entity_that_rows_do_not_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"samples\.t: a split by cold_item draws item ids, and its rows name none \(they name user\)"):
        split("t", rows(None, np.ones(3, np.int32)), Split(by="cold_item"), None, users(1))


def test_leave_one_out_sets_the_last_rows_of_each_user_aside() -> None:
    user = np.array([1, 1, 1, 2, 2, 3, 0], np.int32)
    time = np.array([30, 10, 20, 2, 1, 5, 5])
    part, dropped = split("t", rows(time, user), Split(by="leave_one_out"), None, users(3))
    assert part.tolist() == [TEST, TRAIN, VALID, TEST, TRAIN, TRAIN, DROPPED]
    assert dropped == {"no user": 1}
    part, dropped = split("t", rows(time, user, window=11), Split(by="leave_one_out"), None, users(3))
    assert part.tolist() == [TEST, DROPPED, VALID, TEST, DROPPED, TRAIN, DROPPED]
    assert dropped == {"no user": 1, "label window reaches the row set aside": 2}


def test_a_given_split_is_taken_and_still_bound_by_the_cut() -> None:
    given_ = np.array([TRAIN, TRAIN, TEST], np.int8)
    raw = rows(np.array([1, 9, 2]), given=given_)
    part, dropped = split("t", raw, Split(by="given", column="part"), (5, 7), users(1))
    assert part.tolist() == [TRAIN, DROPPED, TEST]
    assert sum(dropped.values()) == 1
    with pytest.raises(ConfigError, match="a recipe has none"):
        split("t", rows(np.array([1, 9, 2])), Split(by="given", column="part"), None, users(1))


def test_a_random_split_draws_each_row_by_what_it_holds() -> None:
    rng, how = np.random.default_rng(0), Split(by="random", valid=0.2, test=0.3, seed=5)
    labels, context = pl.DataFrame({"y": rng.integers(0, 2, 5000)}), pl.DataFrame({"x": rng.normal(size=5000), "tags": [["a"], ["b", "c"]] * 2500})

    def parts(order: Array, how: Split = how) -> Array:
        raw = Raw(entities={}, labels=labels[order], context=context[order], file_row=np.arange(len(order))).filled()
        return split("t", raw, how, None, {})[0]

    whole = parts(np.arange(5000))
    assert np.allclose([(whole == code).mean() for code in (TRAIN, VALID, TEST)], [0.5, 0.2, 0.3], atol=0.03)
    mixed = rng.permutation(5000)[:1000]
    assert (parts(mixed) == whole[mixed]).all()  # whatever rows stand beside it
    twice = parts(np.concatenate([np.arange(5000)] * 2))
    assert (twice[:5000] == twice[5000:]).all()  # equal rows stay together
    assert not (parts(np.arange(5000), how.model_copy(update={"seed": 6})) == whole).all()


def test_a_random_split_tells_rows_apart_by_their_ids_and_is_bound_by_the_cut() -> None:
    user = np.arange(1, 1001, dtype=np.int32)
    part, _ = split("t", rows(None, user), Split(by="random"), None, users(1000))
    assert np.allclose([(part == code).mean() for code in (TRAIN, VALID, TEST)], [0.7, 0.1, 0.2], atol=0.05)
    time = np.arange(1000)
    part, dropped = split("t", rows(time, user), Split(by="random"), (500, 700), users(1000))
    assert (time[part == TRAIN] < 500).all()
    assert sum(dropped.values()) == (part == DROPPED).sum() > 0


@pytest.mark.parametrize(
    "given_, said",
    [
        ({"by": "given"}, "needs either `column`"),
        ({"by": "given", "column": "part", "files": {"test": "t.csv"}}, "needs either `column`"),
        ({"by": "user", "files": {"test": "t.csv"}}, "`files` belong to a split that is given; this one is by user"),
        ({"by": "random", "test": "7d"}, "a split by random takes shares"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Split.model_validate(given_)


def test_files_are_parts_of_one_table() -> None:
    with pytest.raises(ValueError, match="write them in the `split` of those samples"):
        store(Split(by="given", files={"test": "t.csv"}))  # type: ignore[dict-item]

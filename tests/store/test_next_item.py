"""`next_item`: the next basket's distinct items, for users with a past."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from banyan.store.samples import next_item

EVENTS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.sampled_from(["view", "cart", "purchase"]), st.integers(0, 6)), min_size=1, max_size=30)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(log_of, store_of, events, clock="time", **options):
    store = store_of(recipe="next_item", **options)
    log, entities = log_of(events, clock)
    raw = next_item.make("rows", store.samples["rows"], store, entities, log)
    offsets, items = raw.targets
    return raw, log, [items[a:b].tolist() for a, b in itertools.pairwise(offsets)]


@QUIET
@given(events=EVENTS, most=st.none() | st.integers(1, 3))
def test_a_basket_is_all_of_one_user_at_one_time(log_of, store_of, events, most):
    raw, _, targets = rows(log_of, store_of, events, behaviours=["purchase"], most=most)
    baskets = sorted({(u, t) for u, _, b, t in events if b == "purchase" and any(e[0] == u and e[3] < t for e in events)})
    if most:
        baskets = [(u, t) for u, t in baskets if sum(v == u and s > t for v, s in baskets) < most]
    assert list(zip(raw.entities["user"].tolist(), raw.time.tolist(), strict=True)) == baskets
    assert targets == [sorted({i for v, i, b, s in events if (v, b, s) == (u, "purchase", t)}) for u, t in baskets]
    assert set(raw.entities) == {"user"}


def test_with_an_order_every_event_is_its_own_basket(log_of, store_of):
    raw, _, targets = rows(log_of, store_of, [(1, 3, "view", 1), (1, 4, "view", 2), (1, 5, "view", 3), (2, 1, "view", 1)], clock="order")
    assert raw.time.tolist() == [2, 3]
    assert targets == [[4], [5]]


def test_without_a_clock_each_event_is_left_out_in_turn(log_of, store_of):
    events = [(1, 3, "view", 0), (1, 4, "purchase", 0), (1, 5, "purchase", 0), (2, 1, "purchase", 0)]
    raw, log, targets = rows(log_of, store_of, events, clock="none", behaviours="purchase")
    assert raw.time is None
    assert targets == [[4], [5]]  # user 2 has nothing to be predicted from
    assert log.item[raw.exclude].tolist() == [4, 5]


@pytest.mark.parametrize("most", [1, 2])
def test_most_keeps_the_newest(log_of, store_of, most):
    raw, _, _ = rows(log_of, store_of, [(1, 1, "view", t) for t in range(5)], most=most)
    assert raw.time.tolist() == list(range(5 - most, 5))

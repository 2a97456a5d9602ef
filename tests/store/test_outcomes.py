"""`outcomes`: labels against a count by hand, no look ahead, and rates that estimate the whole population."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from banyan.errors import ConfigError, DataError
from banyan.store.samples import outcomes

DAY = 86_400_000_000
EVENTS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.sampled_from(["view", "cart", "purchase"]), st.integers(0, 12)), min_size=1, max_size=40)
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def in_days(events):
    return [(u, i, b, t * DAY) for u, i, b, t in events]


def make(log_of, store_of, events, clock="time", **options):
    options = {"recipe": "outcomes", "after": ["view"], "within": "3d", "labels": {"cart": "cart", "buy": "purchase"}, **options}
    store = store_of(**options)
    log, entities = log_of(events, clock)
    return outcomes.make("rows", store.samples["rows"], store, entities, log), log


def triples(raw):
    return list(zip(raw.entities["user"].tolist(), raw.entities["item"].tolist(), raw.time.tolist(), strict=True))


def settled(labels, rows, events):
    """Labels whose window the log covers; None for the others."""
    end = max(e[3] for e in events) * DAY
    return [label if t + 3 * DAY <= end else None for label, (_, _, t) in zip(labels, rows, strict=True)]


@QUIET
@given(events=EVENTS)
def test_labels_are_what_a_count_by_hand_gives(log_of, store_of, events):
    raw, _ = make(log_of, store_of, in_days(events))
    rows = triples(raw)
    assert sorted(rows) == sorted({(u, i, t * DAY) for u, i, b, t in events if b == "view"})
    for label, behaviour in (("cart", "cart"), ("buy", "purchase")):
        expected = [float(any(e[:3] == (u, i, behaviour) and t <= e[3] * DAY <= t + 3 * DAY for e in events)) for u, i, t in rows]
        assert raw.labels[label].to_list() == settled(expected, rows, events)


@QUIET
@given(events=EVENTS)
def test_doing_the_same_again_needs_a_later_time(log_of, store_of, events):
    raw, _ = make(log_of, store_of, in_days(events), labels={"again": "view"})
    expected = [float(any(e[:3] == (u, i, "view") and t < e[3] * DAY <= t + 3 * DAY for e in events)) for u, i, t in triples(raw)]
    assert raw.labels["again"].to_list() == settled(expected, triples(raw), events)


def test_the_window_covers_all_that_a_label_reads(log_of, store_of):
    events = in_days([(1, 1, "view", 0), (1, 1, "purchase", 3), (1, 2, "view", 0), (1, 2, "purchase", 4)])
    raw, _ = make(log_of, store_of, events)
    assert raw.labels["buy"].to_list() == [1.0, 0.0]
    assert raw.window > 3 * DAY  # the purchase at t + within lies before t + window


def test_added_rows_are_untouched_at_their_time_and_repeatable(log_of, store_of):
    events = in_days([(u, 1 + (u * k) % 9, "view", k) for u in range(1, 8) for k in range(12)])
    first, _ = make(log_of, store_of, events, negatives=3)
    again, _ = make(log_of, store_of, events, negatives=3)
    assert triples(first) == triples(again)
    assert len(set(triples(first))) == len(first)
    added = first.rate < 1
    seen = {(u, i, t) for u, i, _, t in events}
    assert added.sum() > 50
    assert not seen & {row for row, new in zip(triples(first), added, strict=True) if new}
    assert all(first.rate[~added] == 1)


@pytest.mark.parametrize("plausible", [False, True])
def test_weights_of_one_over_rate_count_the_whole_population(log_of, store_of, plausible):
    generator = np.random.default_rng(1)
    users, items, days = 40, 30, 40
    events = [(int(u), int(1 + items * generator.random() ** 2), "view", int(d)) for u in range(1, users + 1) for d in generator.integers(0, days, 15)]
    store = store_of(recipe="outcomes", after=["view"], within="3d", labels={"buy": "purchase"}, negatives=2, plausible=plausible)
    log, entities = log_of(in_days(events))
    seen_before = {t: {i for _, i, _, d in events if d < t} for t in range(days)}
    expected = sum(len(seen_before[d] - {i for v, i, _, e in events if (v, e) == (u, d)}) for u, d in {(u, d) for u, _, _, d in events} if d > 7)
    estimates = []
    for seed in range(20):
        store.split.seed = seed
        raw = outcomes.make("rows", store.samples["rows"], store, entities, log)
        added = (raw.rate < 1) & (raw.time > 7 * DAY)
        estimates.append((1 / raw.rate[added]).sum())
    # `plausible` reaches here every item seen before, since 500 popular ones are more than there are, but some only from the last snapshots
    assert np.mean(estimates) == pytest.approx(expected, rel=0.06 if plausible else 0.03)


def test_without_a_clock_a_label_asks_for_the_event_anywhere(log_of, store_of):
    events = [(1, 1, "purchase", 0), (1, 1, "view", 0), (1, 2, "view", 0), (2, 1, "view", 0)]
    raw, log = make(log_of, store_of, events, clock="none")
    assert raw.time is None
    assert raw.window == 0
    assert raw.labels["buy"].to_list() == [1.0, 0.0, 0.0]
    assert raw.exclude[1:].tolist() == [-1, -1]
    assert log.behaviours[log.behaviour[raw.exclude[0]]] == "purchase"  # the answer is no part of the row's history
    assert raw.notes


@QUIET
@given(events=EVENTS, every=st.integers(1, 4))
def test_origins_hold_every_past_pair_and_the_label_of_what_followed(log_of, store_of, events, every):
    last = max(e[3] for e in events) * DAY + 1 - 3 * DAY
    if last <= min(e[3] for e in events) * DAY:
        with pytest.raises(DataError, match="no window is whole"):
            make(log_of, store_of, in_days(events), every=f"{every}d")
        return
    raw, _ = make(log_of, store_of, in_days(events), every=f"{every}d")
    origins = [o for k in range(20) if (o := last - k * every * DAY) > min(e[3] for e in events) * DAY]
    expected = {(u, i, o) for o in origins for u, i, b, t in events if b == "view" and t * DAY < o}
    assert sorted(triples(raw)) == sorted(expected)
    labels = [float(any(e[:3] == (u, i, "purchase") and o <= e[3] * DAY < o + 3 * DAY for e in events)) for u, i, o in triples(raw)]
    assert raw.labels["buy"].to_list() == labels


@pytest.mark.parametrize("plausible", [False, True])
def test_rates_at_origins_estimate_all_pairs_and_all_positives(log_of, store_of, plausible):
    generator = np.random.default_rng(2)
    events = [(int(u), int(1 + 60 * generator.random() ** 2), "purchase", int(d)) for u in range(1, 101) for d in generator.integers(0, 40, 20)]
    store = store_of(recipe="outcomes", after=["purchase"], within="5d", every="5d", labels={"buy": "purchase"}, negatives=2, plausible=plausible)
    log, entities = log_of(in_days(events))
    raw = outcomes.make("rows", store.samples["rows"], store, entities, log)
    assert len(set(triples(raw))) == len(raw)
    assert (raw.rate[raw.labels["buy"].to_numpy() == 1] == 1).all()
    for origin in np.unique(raw.time)[-3:]:
        here = raw.time == origin
        past = {(u, i) for u, i, _, d in events if d * DAY < origin}
        items = {i for _, i, _, d in events if d * DAY < origin and (not plausible or d * DAY >= origin - 20 * DAY)}
        population = {(u, i) for u in {u for u, _ in past} for i in items} | past
        positive = population & {(u, i) for u, i, _, d in events if origin <= d * DAY < origin + 5 * DAY}
        assert raw.labels["buy"].to_numpy()[here].sum() == len(positive)
        assert (1 / raw.rate[here]).sum() == pytest.approx(len(population), rel=0.12)
        assert here.sum() < 5 * len(positive)


def test_an_unknown_behaviour_and_an_order_are_refused(log_of, store_of):
    with pytest.raises(ConfigError, match=r"names the behaviour 'veiw'.*Did you mean 'view'"):
        make(log_of, store_of, [(1, 1, "view", 0)], after=["veiw"])
    with pytest.raises(ConfigError, match="the events have an order"):
        make(log_of, store_of, [(1, 1, "view", 0)], clock="order")

"""Promises of the statistics over many users: a row reads what was known at its boundary, and noise stays noise."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.features.statistics import WINDOWS, Snapshots
from banyan.metrics import auc
from banyan.store.shop import EventLog

Event = tuple[int, int, int, int]  # user, item, behaviour, time
LOG = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(-20, 40)), max_size=20)
SPAN = 7


def log_of(events: Sequence[Event], clock: str = "time", users: int = 3) -> EventLog:
    rows = sorted(events, key=lambda e: (e[0], e[3]))
    start = np.zeros(users + 2, np.int64)
    np.cumsum(np.bincount([r[0] for r in rows], minlength=users + 1), out=start[1:])
    user, item, behaviour, time = (np.array([r[i] for r in rows], np.int64) for i in range(4))
    ones = np.ones(len(rows), np.float32)
    return EventLog(start, item.astype(np.int32), behaviour.astype(np.int16), time, user.astype(np.int32) * 0, ones, ("a", "b"), ("",), clock)


@given(LOG, st.integers(-25, 60))
def test_a_row_reads_the_last_boundary_before_its_time(events: list[Event], time: int) -> None:
    snapshots = Snapshots(log_of(events), SPAN, np.ones(len(events), bool))
    boundary = (time // SPAN) * SPAN
    snapshot = snapshots.snapshot(np.full(4, time))
    for side, figures in ((1, snapshots.item(np.arange(4), snapshot)), (0, snapshots.user(np.arange(4), snapshot))):
        wanted = [
            [
                sum(e[side] == key and e[2] == b and boundary - span <= e[3] < boundary for e in events)
                for b in (0, 1)
                for span in (10**6, *(w * SPAN for w in WINDOWS))
            ]
            for key in range(4)
        ]
        assert np.allclose(figures, np.log1p(wanted), atol=1e-6)
    assert len(snapshots.names) == 2 * figures.shape[1]


@given(LOG, st.integers(1, 3))
def test_without_a_clock_the_rows_own_user_is_taken_out(events: list[Event], user: int) -> None:
    usable = np.array([i % 3 > 0 for i in range(len(events))], bool)
    log = log_of(events, "none")
    snapshots = Snapshots(log, SPAN, usable)
    kept = [(u, i, b) for u, i, b, keep in zip(log.user, log.item, log.behaviour, usable, strict=True) if keep]
    items = np.arange(6)  # some beyond those of the log
    found = snapshots.item(items, np.ones(6, np.int64), np.full(6, user))
    wanted = [[sum(u != user and i == item and b == behaviour for u, i, b in kept) for behaviour in (0, 1)] for item in items]
    assert np.allclose(found, np.log1p(wanted), atol=1e-6)
    assert not snapshots.user(np.full(6, user), np.ones(6, np.int64)).any()


def noisy(clock: str, users: int = 1000, items: int = 20, each: int = 6) -> tuple[EventLog, np.ndarray, np.ndarray, np.ndarray]:
    """A log of views, some followed by an event that is pure noise; and each view's (user, item, label)."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(1, users + 1), each)
    item = np.concatenate([rng.choice(np.arange(1, items + 1), each, replace=False) for _ in range(users)])
    label = rng.random(len(user)) < 0.5
    time = rng.integers(0, 100, len(user))
    views = np.stack([user, item, np.zeros_like(user), time], 1)
    events = np.concatenate([views, (views + [0, 0, 1, 1])[label]])
    return log_of([tuple(e) for e in events.tolist()], clock, users), np.stack([user, item, time]), label, rng.random(users + 1)[user] < 0.5


def gains(figures: np.ndarray, item: np.ndarray, label: np.ndarray, fit: np.ndarray) -> list[float]:
    """AUC, on the rows that are not fitted, of what two fits of the others say: a memory of equal rows, and a line for each item."""
    memory: dict[tuple[float, ...], list[float]] = {}
    rows = [(float(i), *row) for i, row in zip(item, figures.tolist(), strict=True)]
    for row, y in zip([r for r, f in zip(rows, fit, strict=True) if f], label[fit].tolist(), strict=True):
        memory.setdefault(row, []).append(y)
    remembered = np.array([np.mean(memory.get(row, [0.5])) for row in rows])
    named = np.eye(item.max() + 1)[item]
    matrix = np.concatenate([named, *(named * figures[:, [i]] for i in range(figures.shape[1]))], 1)
    fitted = matrix[fit].T @ matrix[fit] + 1e-6 * np.eye(matrix.shape[1])
    line = matrix @ np.linalg.solve(fitted, matrix[fit].T @ (label[fit] - 0.5))
    return [auc(score[~fit], label[~fit].astype(float)) for score in (remembered, line)]


@pytest.mark.parametrize("clock", ["time", "order", "none"])
@pytest.mark.parametrize("fitted", [True, False])
def test_a_label_of_pure_noise_gains_nothing(clock: str, fitted: bool) -> None:
    """Neither on training rows judged at other users, nor on held-out rows whose events nobody counts."""
    log, (user, item, time), label, fit = noisy(clock)
    usable = np.ones(len(log.item), bool) if fitted else fit[np.searchsorted(user, log.user)]
    snapshots = Snapshots(log, 10, usable)
    figures = snapshots.item(item, snapshots.snapshot(time), user, np.ones(len(item), bool) if fitted else fit)
    for found in gains(figures, item, label, fit):
        assert abs(found - 0.5) < 4 * 0.58 / np.sqrt((~fit).sum())  # about four standard errors of an AUC of noise


def test_the_test_of_noise_would_see_the_leak_of_totals_less_ones_own_part() -> None:
    log, (user, item, _), label, fit = noisy("none")
    figures = Snapshots(log, 10, np.ones(len(log.item), bool)).item(item, np.ones_like(item), user)
    assert max(gains(figures, item, label, fit)) > 0.9


def test_earlier_users_stand_for_all_of_them() -> None:
    log, (user, item, _), _, _ = noisy("none")
    snapshots = Snapshots(log, 10, np.ones(len(log.item), bool))
    assert snapshots.block is not None
    late = snapshots.block[user] > 8
    ordered, whole = (np.expm1(snapshots.item(item[late], np.ones(1), user[late], np.full(late.sum(), fitted))).mean(0) for fitted in (True, False))
    assert np.allclose(ordered / whole, 1, atol=0.1)


@given(LOG, st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1), st.integers(-20, 40)), max_size=6), st.integers(-3, 8))
def test_counts_looked_ahead_and_laid_over_each_other_are_counts(events: list[Event], later: list[tuple[int, int, int]], snapshot: int) -> None:
    snapshots = Snapshots(log_of(events), SPAN, np.ones(len(events), bool))
    both = Snapshots(log_of([*events, *((1, item, behaviour, time) for item, behaviour, time in later)]), SPAN, np.ones(len(events) + len(later), bool))
    more = Snapshots(log_of([(1, item, behaviour, time) for item, behaviour, time in later]), SPAN, np.ones(len(later), bool)).items
    keys, at = np.arange(4), np.full(4, snapshot)
    plain = replace(snapshots.items, more=more)
    ahead = replace(snapshots.items, ahead={})
    ahead.look_ahead(snapshot, 4)
    assert np.array_equal(ahead.figures(keys, at), snapshots.items.figures(keys, at))
    for counts in (plain, replace(ahead, more=more)):
        assert np.array_equal(counts.figures(keys, at), both.items.figures(keys, at))
    picked = plain.picked(np.array([1, 3]), 1, np.array([5, 9]))
    assert np.array_equal(picked.figures(np.array([5, 9, 7]), np.full(3, snapshot))[:2], both.items.figures(np.array([1, 3]), np.full(2, snapshot)))
    for other in range(8):
        ahead.look_ahead(other, 4)
    assert len(ahead.ahead) <= 2

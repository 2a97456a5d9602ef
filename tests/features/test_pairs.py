"""Promises of the pair features: they are what a count by hand says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.features import pairs
from banyan.features.pairs import Pasts, spans

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 1), st.floats(0, 100, width=32)), max_size=25)


def by_hand(events: list[tuple[int, int, int, float]], past: int, code: int, codes: np.ndarray) -> list[float]:
    found: list[float] = []
    for behaviour in (0, 1):
        ages = [age for p, item, b, age in events if p == past and b == behaviour and codes[item] == code]
        found += [np.log1p(len(ages)), 1 / (1 + min(ages)) if ages else 0.0, np.log1p(100 * sum((1 + age) ** -0.5 for age in ages))]
    return found


@given(EVENTS)
def test_counts_recency_and_activation_are_those_by_hand(events: list[tuple[int, int, int, float]]) -> None:
    events.sort(key=lambda e: e[0])
    flat = list(zip(*events, strict=True)) if events else [(), (), (), ()]
    pasts = Pasts(*(np.array(each, kind) for each, kind in zip(flat, (np.int64, np.int32, np.int16, np.float32), strict=True)))
    codes = [np.arange(5), np.array([0, 1, 1, 0, 2])]
    past, right = (each.ravel() for each in np.meshgrid(np.arange(4), np.arange(5), indexing="ij"))
    found = pairs.user_item(pasts, past, right, codes, [5, 3], 2)
    wanted = [[x for code in codes for x in by_hand(events, p, code[i], code)] for p, i in zip(past, right, strict=True)]
    assert found.dtype == np.float32
    assert np.allclose(found, np.array(wanted, np.float32).reshape(20, 12), rtol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_any_shape_of_rows_is_answered(shape: tuple[int, ...]) -> None:
    pasts = Pasts(np.array([0, 0, 3]), np.array([1, 1, 2], np.int32), np.array([0, 0, 1], np.int16), np.array([1, 3, 0], np.float32))
    past, right = np.broadcast_to(np.arange(4).reshape(-1, *[1] * (len(shape) - 1)), shape), np.ones(shape, np.int64)
    found = pairs.user_item(pasts, past, right, [np.arange(5)], [5], 2)
    assert found.shape == (*shape, 6)
    assert np.allclose(found[0], [np.log(3), 0.5, np.log1p(100 * (2**-0.5 + 0.5)), 0, 0, 0])
    assert not found[1:].any()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-3, 6)), max_size=12))
def test_spans_are_the_ranges_side_by_side(ranges: list[tuple[int, int]]) -> None:
    start, end = (np.array([r[0] for r in ranges], np.int64), np.array([r[0] + r[1] for r in ranges], np.int64))
    at, owner = spans(start, end)
    assert at.tolist() == [x for s, e in zip(start, end, strict=True) for x in range(s, e)]
    assert owner.tolist() == [i for i, (s, e) in enumerate(zip(start, end, strict=True)) for _ in range(s, e)]

"""The distinct among many ids, and what a step asks for."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from banyan.features.distinct import Asked, Scratch


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.booleans())
def test_the_distinct_are_each_once(ids: list[int], blank: bool) -> None:
    asked = np.array([0, *ids] if blank else ids, np.int64)
    scratch = Scratch(31)
    scratch.distinct(np.array([5, 5, 30, 0]))  # what was asked before leaves no trace
    unique, inverse = scratch.distinct(asked, 0 if blank else None)
    assert sorted(unique.tolist()) == np.unique(asked).tolist()
    assert np.array_equal(unique[inverse], asked)
    again = Scratch(31).distinct(asked, 0 if blank else None)
    assert np.array_equal(unique, again[0])
    assert not blank or unique[0] == 0


def test_distinct_ids_are_right_while_two_threads_ask() -> None:
    """A thread assembles training steps while the main one evaluates, on one feeder."""
    scratch, wrong = Scratch(50_000), list[str]()

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(40):
            ids = rng.integers(0, 50_000, 20_000)
            unique, inverse = scratch.distinct(ids)
            if not np.array_equal(unique.take(inverse, mode="clip"), ids) or len(np.unique(unique)) != len(unique):
                wrong.append("the places are another thread's")

    both = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert not wrong


def test_those_who_ask_find_their_rows_behind_the_missing_one() -> None:
    ask = Asked(["user", "item"])
    first, none, second = ask("item", np.array([[4, 7], [7, 1]])), ask("item", np.zeros(0, np.int64)), ask("item", np.array([9], np.int32))
    rows = np.concatenate(ask.rows["item"])
    assert rows[0] == 0
    assert rows[first].tolist() == [4, 7, 7, 1]
    assert rows[none].tolist() == []
    assert rows[second].tolist() == [9]
    assert np.concatenate(ask.rows["user"]).tolist() == [0]

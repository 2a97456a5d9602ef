"""Which rows each step reads, and the thread that assembles steps ahead."""

import json
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from banyan.training.picks import Picker, ahead
from banyan.training.schedule import TableMix
from banyan.types import Array, Step

SIZES = {"big": 301, "small": 17}


def picker(seed: int = 5, batch: int = 32) -> Picker:
    rows = {name: np.arange(size) * 2 + 1 for name, size in SIZES.items()}
    return Picker(rows, TableMix(SIZES, batch), seed)


def dealt(picks: Picker, steps: int) -> list[dict[str, list[int]]]:
    return [{name: rows.tolist() for name, rows in picks.deal().items()} for _ in range(steps)]


def test_every_row_comes_once_a_pass() -> None:
    steps = dealt(picker(), 60)
    for name, size in SIZES.items():
        flat = [row for step in steps for row in step.get(name, [])]
        passes = [flat[start : start + size] for start in range(0, len(flat) - size + 1, size)]
        assert len(passes) > 1
        for each in passes:
            assert sorted(each) == list(range(1, 2 * size, 2))
        assert passes[0] != passes[1]  # another order each time


def test_the_seed_alone_says_which_rows() -> None:
    assert dealt(picker(5), 20) == dealt(picker(5), 20)
    assert dealt(picker(5), 20) != dealt(picker(6), 20)


def test_the_state_goes_on() -> None:
    whole, first, second = picker(), picker(), picker()
    steps = dealt(whole, 50)
    assert dealt(first, 23) == steps[:23]
    second.load(json.loads(json.dumps(first.state())))
    assert dealt(second, 27) == steps[23:]


def made(picks: dict[str, Array], rng: np.random.Generator) -> Step:
    """A step that shows its rows and a number drawn for it."""
    shown = torch.from_numpy(np.concatenate([*picks.values(), rng.integers(0, 1000, 1)]))
    return Step([], {}, *[shown] * 4, [])


def rows(depth: int, first: int = 0, picks: Picker | None = None) -> Iterator[tuple[int, list[int], str]]:
    for each in ahead(picks or picker(), made, first, 30, depth):
        yield each.number, each.step.distinct.tolist(), json.dumps(each.state)


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_a_thread_gives_the_steps_that_no_thread_gives(depth: int) -> None:
    assert list(rows(depth)) == list(rows(0))


def test_steps_go_on_from_any_one_of_them() -> None:
    whole = list(rows(2))
    later = picker()
    later.load(json.loads(whole[11][2]))
    assert list(rows(2, 12, later)) == whole[12:]


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "banyan-steps"]


def test_the_thread_is_a_few_steps_ahead_and_no_more() -> None:
    calls: list[int] = []

    def noted(picks: dict[str, Array], rng: np.random.Generator) -> Step:
        calls.append(1)
        return made(picks, rng)

    steps = ahead(picker(), noted, 0, 30, 2)
    next(steps)
    time.sleep(0.2)
    assert 3 <= len(calls) <= 4  # the one in use, two waiting, one in hand
    steps.close()
    assert not threads()


def test_what_goes_wrong_in_the_thread_reaches_the_caller() -> None:
    def failing(picks: dict[str, Array], rng: np.random.Generator) -> Step:
        if rng.integers(0, 4) == 0:
            raise ValueError("row 7 has no item")
        return made(picks, rng)

    for depth in (0, 2):
        with pytest.raises(ValueError, match="row 7 has no item"):
            list(ahead(picker(), failing, 0, 30, depth))
    assert not threads()


def test_the_thread_ends_with_its_consumer() -> None:
    steps = ahead(picker(), made, 0, 1_000_000, 3)
    next(steps)
    assert threads()
    steps.close()
    assert not threads()

"""Memory that is free goes back to the system, also from between things that stay."""

import os
from pathlib import Path
from typing import Any

import pytest

from banyan.serving import memory

LARGE, COUNT = 100_000, 600  # bytes; below what the C library asks the system for by itself


def held() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(memory._TRIM is None, reason="another C library")
def test_pages_between_things_that_stay_are_given_back() -> None:
    memory.give_back()
    large: list[bytearray] = []
    small: list[bytearray] = []
    for _ in range(COUNT):
        large.append(bytearray(LARGE))
        small.append(bytearray(b"x" * 1000))
    large.clear()
    before = held()
    assert memory.give_back()
    assert before - held() > LARGE * COUNT / 1e6 / 2
    assert len(small) == COUNT


def test_a_service_gives_back_after_questions_and_not_without(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("banyan.serving.service.give_back", lambda: given.append(house.service.answering.taken))
    house.service._flushed = 0.0
    house.service._tidy()
    assert given == []
    house.post("/v1/recommend", {"user": "u1"})
    house.service._tidy()
    house.service._tidy()
    assert len(given) == 1

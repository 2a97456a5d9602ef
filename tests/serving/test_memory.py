"""Memory that is free goes back to the system, also from between things that stay."""

import subprocess
import sys
from typing import Any

import pytest

from banyan.serving import memory

# in a process of its own, whose memory nothing else has been through
TRIED = """
import os, runpy, sys
from pathlib import Path
give_back = runpy.run_path(sys.argv[1])["give_back"]
held = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
large, small = [], []
for _ in range(600):
    large.append(bytearray(100_000))  # less than what the C library asks the system for by itself
    small.append(bytearray(b"x" * 1000))
large.clear()
before = held()
given = give_back()
print(given, round(before - held()), len(small))
"""


@pytest.mark.skipif(memory._TRIM is None, reason="another C library")
def test_pages_between_things_that_stay_are_given_back() -> None:
    given, megabytes, kept = subprocess.check_output([sys.executable, "-c", TRIED, memory.__file__], text=True).split()
    assert (given, kept) == ("True", "600")
    assert int(megabytes) > 40, "of 60 that were freed"


def test_a_service_gives_back_after_questions_and_not_without(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("banyan.serving.service.give_back", lambda: given.append(house.service.answering.taken))
    house.service._tidy()
    assert given == []
    house.post("/v1/recommend", {"user": "u1"})
    house.service._tidy()
    house.service._tidy()
    assert len(given) == 1

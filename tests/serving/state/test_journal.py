"""What is acknowledged is on disk, once, in order; what breaks a rule is refused as a whole."""

from collections.abc import Callable

import pytest

from banyan.errors import DataError
from banyan.serving.state import Event, Journal, Receipt, journal_at
from banyan.serving.state import events as limits

Make = Callable[..., Event]


def test_an_id_counts_once(journal: Journal, place: str, make: Make) -> None:
    batch = [make(i) for i in range(5)]
    assert journal.append(batch + batch[:2]) == Receipt(5, 2, 5)
    assert journal.append(batch).accepted == 0
    other = journal_at(place)  # as another process does
    assert other.append([*batch, make(9)]).accepted == 1
    assert [e for _, e in journal.since(0)] == [*batch, other.of_user("u-1")[-1]]


def test_the_first_telling_of_an_id_stays(journal: Journal, make: Make) -> None:
    first = make(1, id="one")
    journal.append([first])
    journal.append([make(2, id="one", user="u-2")])
    assert [e for _, e in journal.since(0)] == [first]


def test_what_was_appended_comes_back_as_it_was(journal: Journal, make: Make) -> None:
    said = [make(1, value=0.1, scenario="首页", session="s", query="红 'dress'; --"), make(2, item=None, behaviour="search"), make(3, value=-1e300)]
    journal.append(said)
    assert journal.of_user("u-1") == said


def test_events_out_of_order_come_in_time_order(journal: Journal, make: Make) -> None:
    times = [5, 3, 9, 3, 1, 9]
    journal.append([make(t, id=f"e{i}") for i, t in enumerate(times[:3])])
    journal.append([make(t, id=f"e{i + 3}") for i, t in enumerate(times[3:])])
    assert [e.id for e in journal.of_user("u-1")] == ["e4", "e1", "e3", "e0", "e2", "e5"], "at one time what was written first stands first"
    assert [e.id for e in journal.of_user("u-1", most=3)] == ["e0", "e2", "e5"], "the newest by time, not by writing"


def test_a_clock_that_jumps_back_loses_nothing(journal: Journal, make: Make) -> None:
    journal.append([make(1000)])
    mark = journal.last()
    journal.append([make(10, id="late")])
    assert [e.id for _, e in journal.since(mark)] == ["late"]
    assert [e.id for e in journal.of_user("u-1", after=mark)] == ["late"]
    assert [e.time for e in journal.of_user("u-1")] == sorted(e.time for e in journal.of_user("u-1"))


def test_a_long_history_stays_bounded(journal: Journal, make: Make) -> None:
    for start in range(0, 6000, 2000):
        journal.append([make(i) for i in range(start, start + 2000)])
    assert [e.item for e in journal.of_user("u-1")] == [f"i-{i}" for i in range(5000, 6000)]
    assert [e.item for e in journal.of_user("u-1", most=3)] == ["i-5997", "i-5998", "i-5999"]
    assert journal.of_user("u-1", most=0) == []


def test_all_events_stream_in_pages(journal: Journal, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan.serving.state.sql.BATCH", 7)
    journal.append([make(i, user=f"u-{i % 3}") for i in range(20)])
    numbers = [n for n, _ in journal.since(0)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 20
    assert [e.item for _, e in journal.since(numbers[3], most=9)] == [f"i-{i}" for i in range(4, 13)]
    assert journal.last() == numbers[-1]


def test_a_session_belongs_to_who_was_in_it_later(journal: Journal, make: Make) -> None:
    journal.append([make(1, user="", session="s-1"), make(2, session="s-1"), make(3, user="", session="s-2"), make(4, user="u-2", session="s-1")])
    pairs = journal.numbered("u-1", session="s-1")
    assert [e.item for _, e in pairs] == ["i-1", "i-2"]
    assert [e.item for _, e in journal.numbered("", session="s-2")] == ["i-3"]


LONG = "x" * 201
WRONG = [
    ({"id": ""}, "id is empty"),
    ({"id": LONG}, "id has 201 letters"),
    ({"user": LONG}, "user has 201 letters"),
    ({"item": LONG}, "item has 201 letters"),
    ({"session": LONG}, "session has 201 letters"),
    ({"behaviour": ""}, "behaviour is empty"),
    ({"query": "q" * 1001}, "query has 1,001 letters"),
    ({"user": "a\0b"}, "user holds a NUL"),
    ({"user": "\ud800"}, "user is no text that can be written as UTF-8"),
    ({"user": 7}, "user is 7; it is text"),
    ({"user": ""}, "it has neither user nor session"),
    ({"time": -1}, "time is -1"),
    ({"time": 1.5}, r"time is 1\.5"),
    ({"time": 1 << 63}, "time is 9223372036854775808"),
    ({"value": float("nan")}, "value is nan"),
]


@pytest.mark.parametrize("change, said", WRONG, ids=[said for _, said in WRONG])
def test_a_batch_with_a_wrong_event_is_refused_whole(journal: Journal, make: Make, change: dict, said: str) -> None:
    with pytest.raises(DataError, match=f"event 2: {said}"):
        journal.append([make(1), make(2, **change)])
    assert journal.last() == 0


def test_a_batch_has_a_limit(journal: Journal, make: Make) -> None:
    with pytest.raises(DataError, match=r"10,001 events came at once; at most 10,000"):
        journal.append([make(0)] * (limits.BATCH + 1))
    assert journal.append([]) == Receipt(0, 0, 0)

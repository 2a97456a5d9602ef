"""Outcomes of a split are counted once a user, over one span for everybody, wherever a process is killed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from banyan.errors import ConfigError, StateError
from banyan.serving.experiments import DAY, Experiments, Exposures, Outcome
from banyan.serving.gathering import Gathering
from banyan.serving.live import Serving, arm_of
from banyan.serving.registry import Split
from banyan.serving.state import Event, Journal, Note, journal_at

SPLIT = Split("0002-b", 0.5, "salt", "b against a", 0)
BOUGHT = {"bought": Outcome(("buy",)), "spent": Outcome(("buy",), "value", within=DAY, most=50.0)}


class Nobody:
    """An engine that nobody asks."""

    names: tuple[str, ...] = ()

    def recommend(self, ask: Any, value: Any) -> Any:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    found = journal_at(tmp_path / "state")
    yield found
    found.close()


def served(user: str) -> Serving:
    return Serving(Nobody(), "v", None, 0, arm_of(SPLIT, user), SPLIT.name)


def shop(journal: Journal, users: int, rate: dict[str, float]) -> None:
    """Users come one after the other; each may buy for 10 within the day and always buys again when the day is over."""
    rng = np.random.default_rng(0)
    exposures, events = Exposures(journal), []
    for i in range(users):
        user = f"u{i}"
        for _ in range(3):
            exposures.saw(served(user), user, now=i)
        if rng.random() < rate[arm_of(SPLIT, user)]:
            events.append(Event(f"e{i}", user, "x", "buy", i + 5, value=10.0))
        events.append(Event(f"late{i}", user, "x", "buy", i + DAY, value=10.0))
        events.append(Event(f"early{i}", user, "x", "buy", max(i - 1, 0), value=10.0) if i else Event("view", user, "x", "view", i, value=1.0))
    assert exposures.flush() == users
    assert exposures.flush() == 0
    for start in range(0, len(events), 5_000):
        journal.append(events[start : start + 5_000])


def test_a_difference_is_found_whatever_the_steps_in_which_it_is_counted(journal: Journal) -> None:
    shop(journal, 500, {"control": 0.1, "candidate": 0.5})
    experiments = Experiments(journal, BOUGHT)
    assert experiments.advance(SPLIT, now=100).users == {"control": 0, "candidate": 0}
    half = experiments.advance(SPLIT, now=DAY + 249)
    assert sum(half.users.values()) == 250
    assert half.waiting == 250
    done = half
    for _ in range(5):
        done = experiments.advance(SPLIT, now=3 * DAY, most=60)
    assert sum(done.users.values()) == 500
    assert done.waiting == 0
    found = done.differences["bought"]
    assert found.verdict == "better"
    assert found.control == pytest.approx(0.1, abs=0.05)
    assert found.candidate == pytest.approx(0.5, abs=0.07)
    assert done.differences["spent"].candidate == pytest.approx(10 * found.candidate)
    assert done.evenness > 0.01
    assert done.least["bought"] <= found.p
    assert Experiments(journal, BOUGHT).advance(SPLIT, now=3 * DAY) == done  # nobody is counted twice


def test_two_processes_count_a_user_once(journal: Journal) -> None:
    shop(journal, 40, {"control": 0.1, "candidate": 0.1})
    one, two = Experiments(journal, BOUGHT), Experiments(journal, BOUGHT)
    version, tally = one._tally(SPLIT.name)
    two.advance(SPLIT, now=3 * DAY)
    one._tally = lambda name: (version, tally) if tally.last == 0 else Experiments._tally(one, name)  # type: ignore[method-assign]
    assert sum(one.advance(SPLIT, now=3 * DAY).users.values()) == 40
    assert sum(two.result(SPLIT, now=3 * DAY).users.values()) == 40


def test_other_outcomes_are_not_mixed_into_what_was_counted(journal: Journal) -> None:
    shop(journal, 10, {"control": 0.1, "candidate": 0.1})
    Experiments(journal, BOUGHT).advance(SPLIT, now=3 * DAY)
    with pytest.raises(ConfigError, match="begin another split"):
        Experiments(journal, {"bought": Outcome(("view",))}).advance(SPLIT, now=3 * DAY)
    with pytest.raises(ConfigError, match="at least one"):
        Experiments(journal, {})


def test_a_forgotten_user_is_gone_from_the_exposures_and_stays_in_no_sum_by_name(journal: Journal) -> None:
    shop(journal, 20, {"control": 1.0, "candidate": 1.0})
    journal.forget("u3")
    assert "u3" not in [note.user for _, note in journal.notes("outcomes")]
    assert sum(Experiments(journal, BOUGHT).advance(SPLIT, now=3 * DAY).users.values()) == 19


def test_sessions_count_by_themselves_and_long_names_are_kept_apart(journal: Journal) -> None:
    exposures = Exposures(journal)
    long = "s" * 190
    for session in (long + "1", long + "2", "short"):
        exposures.saw(Serving(Nobody(), "v", None, 0, "control", SPLIT.name), session=session, now=5)
    exposures.saw(Serving(Nobody(), "v", None, 0), "u1")  # no experiment
    assert exposures.flush() == 3
    journal.append([Event("e", "", "x", "buy", 7, session="short")])
    found = Experiments(journal, BOUGHT).advance(SPLIT, now=3 * DAY)
    assert found.users["control"] == 3
    assert found.differences["bought"].control == pytest.approx(1 / 3)


def test_outcomes_are_held_to_their_span_and_size() -> None:
    events = [Event(str(i), "u", "x", "buy", time, value=value) for i, (time, value) in enumerate([(4, 9.0), (5, 30.0), (6, None), (7, 40.0), (15, 7.0)])]
    assert Outcome(("buy",), "count", within=10).of(events, 5) == 3
    assert Outcome(("buy",), "value", within=10).of(events, 5) == 70
    assert Outcome(("buy",), "value", within=10, most=50.0).of(events, 5) == 50
    assert Outcome(("view",)).of(events, 5) == 0


def test_notes_wait_while_the_journal_is_away_and_no_more_than_fit() -> None:
    class Book:
        away, kept = True, list[Note]()

        def note(self, table: Any, notes: Any) -> None:
            if self.away:
                raise StateError("The database cannot be reached.")
            self.kept += notes

    book = Book()
    gathering = Gathering(book, "draws", waiting=3)
    assert [gathering.put(Note(str(i), "u", "x", i)) for i in range(5)] == [True, True, True, False, False]
    for _ in range(2):
        with pytest.raises(StateError):
            gathering.flush()
    assert gathering.left_out == 2
    book.away = False
    assert gathering.flush() == 3
    assert [note.id for note in book.kept] == ["0", "1", "2"]

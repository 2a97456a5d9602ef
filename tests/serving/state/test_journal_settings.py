"""A journal's settings: versions, who changed them, and of two at once one is told."""

import threading

import pytest

from banyan.errors import ConflictError, DataError
from banyan.serving.state import Journal, journal_at


def test_settings_have_versions_and_a_history(journal: Journal, place: str) -> None:
    assert journal.setting("value") == (0, None)
    assert journal.newest() == 0
    first = journal.set("value", {"home": "buy * item.price"}, "ann", expected=0)
    other = journal.set("flag", True, "ann")
    second = journal_at(place).set("value", {"home": "cart"}, "bob", expected=first)
    assert first < other < second == journal.newest() == journal.pulse().settings
    assert journal.setting("value") == (second, {"home": "cart"})
    with pytest.raises(ConflictError, match=f"has version {second}, not {first}"):
        journal.set("value", {}, "cy", expected=first)
    one, two = journal.changes("value")
    assert (one.who, one.before, one.after) == ("ann", None, {"home": "buy * item.price"})
    assert (two.who, two.before, two.after, two.version) == ("bob", one.after, {"home": "cart"}, second)
    assert two.at >= one.at > 1_700_000_000_000_000
    assert [c.version for c in journal.changes("value", most=1)] == [second]
    with pytest.raises(DataError, match="no JSON value"):
        journal.set("value", object(), "ann")


def test_of_two_who_change_a_setting_at_once_one_is_told(journal: Journal) -> None:
    version = journal.set("a", 0, "start")
    told: list[str] = []

    def change(name: str) -> None:
        try:
            journal.set("a", name, name, expected=version)
        except ConflictError:
            told.append(name)

    threads = [threading.Thread(target=change, args=(name,)) for name in ("ann", "bob", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 2
    assert journal.setting("a")[1] not in told

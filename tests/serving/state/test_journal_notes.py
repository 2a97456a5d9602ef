"""What a journal keeps beside events: requests to try bundles on, and notes."""

import pytest

from banyan.errors import DataError
from banyan.serving.state import Asked, Journal, Note
from banyan.serving.state import notes as kept


def test_requests_are_kept_to_try_bundles_on(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", 5)
    rows = [Asked(f"r{i}", "u-1", "", i, "recommend", {"k": i}, {"items": ["a"]}) for i in range(12)]
    journal.record(rows[:8])
    for row in rows[8:]:
        journal.record(row)
    assert journal.recorded() == rows[-5:]
    assert journal.recorded(2) == rows[-2:]
    with pytest.raises(DataError, match=r"recorded request 1, request has .* bytes of JSON"):
        journal.record(Asked("x", "u", "", 0, "recommend", {"k": "y" * 70_000}))


def test_notes_are_appended_once_and_read_in_order(journal: Journal) -> None:
    rows = [Note(f"n{i}", f"u-{i}", "price" if i % 2 else "home", i, {"arm": "b", "p": 0.25}) for i in range(6)]
    assert journal.note("outcomes", rows[:4]).accepted == 4
    receipt = journal.note("outcomes", rows)
    assert (receipt.accepted, receipt.duplicates) == (2, 4)
    assert [n for _, n in journal.notes("outcomes")] == rows
    assert [n.id for _, n in journal.notes("outcomes", name="price")] == ["n1", "n3", "n5"]
    after = next(iter(journal.notes("outcomes")))[0]
    assert [n.id for _, n in journal.notes("outcomes", after, 2)] == ["n1", "n2"]
    assert not list(journal.notes("draws"))

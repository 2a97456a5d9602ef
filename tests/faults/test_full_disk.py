"""A disk that is full refuses events and loses none; when there is room again, intake goes on. On a real small file system, where one can be mounted."""

import subprocess
import uuid
from pathlib import Path

import pytest

from banyan.errors import StateError
from banyan.serving.state import Event, journal_at, user_state_at


def test_a_full_disk_refuses_events_and_takes_them_again(small: Path) -> None:
    journal = journal_at(small / "state")
    state = user_state_at(journal, "")
    acknowledged: list[str] = []
    refused: list[Event] = []
    while not refused:
        batch = [Event(uuid.uuid4().hex, "u", f"i-{i}", "view", len(acknowledged) + i, query="q" * 200) for i in range(50)]
        try:
            state.take(batch)
            acknowledged += [e.id for e in batch]
        except StateError as error:
            refused, said = batch, str(error)
    assert "Make room and send it again" in said
    known = state.read("u")
    assert (len(known.events), known.stale) == (min(len(acknowledged), 1000), False), "answers go on"
    assert {e.id for _, e in journal.since(0)} == set(acknowledged)
    with pytest.raises(StateError, match="is full"):
        state.take(refused)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
    assert state.take(refused).accepted == len(refused)
    assert {e.id for _, e in journal.since(0)} == {*acknowledged, *(e.id for e in refused)}
    journal.close()

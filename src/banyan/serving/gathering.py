"""Notes that requests leave behind, gathered in memory and written into the journal in batches. Knows no meaning of any."""

import threading
from typing import Any, Literal, Protocol, runtime_checkable

from banyan.serving.state import Note

WAITING = 50_000  # notes that wait; more are left out, and counted
BATCH = 2_000


@runtime_checkable
class Notebook(Protocol):
    """What can be written into: the journal."""

    def note(self, table: Any, notes: Any) -> Any:
        """Append notes; an id counts once."""


class Gathering:
    """Notes for one table. `put` never waits for a disk; `flush`, each second and at the end, writes them down.

    A process that is killed loses what it gathered since the last `flush`. When the journal is away at most `waiting` notes are kept for later.
    """

    def __init__(self, book: Notebook, table: Literal["outcomes", "draws"], waiting: int = WAITING) -> None:
        self._book, self._table, self._most = book, table, waiting
        self._notes: list[Note] = []
        self._lock = threading.Lock()
        self.left_out = 0

    def put(self, note: Note) -> bool:
        """Keep a note until the next `flush`; False, and counted in `left_out`, where too many wait."""
        with self._lock:
            if len(self._notes) >= self._most:
                self.left_out += 1
                return False
            self._notes.append(note)
            return True

    def flush(self) -> int:
        """Write down what was gathered; how many. Raises StateError where the journal cannot write; the next call tries again."""
        with self._lock:
            notes, self._notes = self._notes, []
        for start in range(0, len(notes), BATCH):
            try:
                self._book.note(self._table, notes[start : start + BATCH])
            except Exception:  # raised again: what was not written is kept for the next call
                with self._lock:
                    self._notes = (notes[start:] + self._notes)[: self._most]
                raise
        return len(notes)

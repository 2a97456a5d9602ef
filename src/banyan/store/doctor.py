"""What the data can support, and what would spoil it: `banyan check store.yaml`.

Reads a Shop and changes nothing. Large tables are looked at through seeded samples, so a check stays in seconds.
"""

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from banyan.store.finding import Finding, Severity
from banyan.store.sample_symptoms import sample_findings
from banyan.store.shop import Shop
from banyan.store.symptoms import entity_findings, event_findings

ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
STYLE: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "dim"}


def check(shop: Shop, now: int | None = None) -> list[Finding]:
    """Every finding, errors first. `now` is in microseconds since 1970, the computer's clock unless given."""
    now = time.time_ns() // 1000 if now is None else now
    found = [*entity_findings(shop, now), *event_findings(shop, now), *sample_findings(shop), *_notes(shop)]
    return sorted(found, key=lambda each: ORDER[each.severity])


def _notes(shop: Shop) -> list[Finding]:
    """What opening the store said: rows that were dropped, and guarantees that are lost without a clock."""
    lost = shop.log is not None and shop.log.clock != "time"
    return [Finding("warning" if lost and "neither time" in note else "info", "opening the store", note) for note in shop.notes]


def show(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print findings as a table, and how many there are of each severity."""
    console = console or Console()
    table = Table("", "where", "found", "what to do", expand=False, show_lines=False)
    for each in findings:
        table.add_row(Text(each.severity, STYLE[each.severity]), Text(each.where), Text(each.found), Text(each.what_to_do))
    console.print(table)
    counts = Counter(each.severity for each in findings)
    console.print(", ".join(f"{counts[word]} {word}{'s' if word != 'info' and counts[word] != 1 else ''}" for word in ORDER))

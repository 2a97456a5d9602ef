"""The one table: tasks by joint model, task alone, gain and baselines; for the terminal, as Markdown and as JSON. nan reads "undefined"."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from banyan.evaluation.baselines import NAMES
from banyan.evaluation.transfer import Row
from banyan.metrics import Interval

UNDEFINED, ABSENT = "undefined", "–"
COLOURS = {"better": "green", "worse": "red"}


def number(value: float | None) -> str:
    """A figure as it is printed: three places below 10, thousands apart above; `–` where there is none."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return UNDEFINED
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def between(interval: Interval | None) -> str:
    """The ends of an interval."""
    if interval is None:
        return ABSENT
    if math.isnan(interval.low) or math.isnan(interval.high):
        return UNDEFINED
    return f"{number(interval.low)} to {number(interval.high)}"


def signed(interval: Interval | None) -> str:
    """A gain with its sign and its interval."""
    if interval is None:
        return ABSENT
    if not math.isfinite(interval.value):
        return UNDEFINED
    return f"{'+' if interval.value > 0 else ''}{number(interval.value)} ({between(interval)})"


def header(rows: Sequence[Row]) -> list[str]:
    """The columns that some row fills."""
    named = [name for name in NAMES if any(name in row.baselines for row in rows)]
    alone = ["alone", "gain by sharing", "verdict"] if any(row.alone is not None for row in rows) else []
    best = ["over the best baseline"] if any(row.best_baseline for row in rows) else []
    return ["task", "metric", "rows", "joint", "95 % interval", *alone, *named, *best]


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """One row's cells, as text."""
    arrow = "↑" if row.rising else "↓"
    known = {
        "task": row.task,
        "metric": f"{row.metric} {arrow}",
        "rows": f"{row.rows:,}",
        "joint": number(row.joint),
        "95 % interval": between(row.interval),
        "alone": number(row.alone),
        "gain by sharing": signed(row.gain),
        "verdict": row.verdict or ABSENT,
        "over the best baseline": f"{signed(row.over_best)} {row.over_best_verdict}" if row.best_baseline else ABSENT,
    }
    return [known[c] if c in known else number(row.baselines.get(c)) for c in columns]


def terminal(rows: Sequence[Row], title: str = "") -> Table:
    """For rich: gains in green and red where the interval excludes 0."""
    columns = header(rows)
    found = Table(title=title or None, box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        found.add_column(column, justify="left" if i < 2 or column == "verdict" else "right", overflow="fold")
    for row in rows:
        texts = [Text(cell) for cell in cells(row, columns)]
        _paint(texts, columns, "verdict", row.verdict)
        _paint(texts, columns, "gain by sharing", row.verdict)
        _paint(texts, columns, "over the best baseline", row.over_best_verdict)
        found.add_row(*texts)
    return found


def _paint(texts: list[Text], columns: Sequence[str], column: str, verdict: str) -> None:
    if column in columns and verdict in COLOURS:
        texts[columns.index(column)].stylize(COLOURS[verdict])


def markdown(rows: Sequence[Row]) -> str:
    """A plain Markdown table."""
    columns = header(rows)
    lines = [columns, ["---" if i < 2 else "---:" for i in range(len(columns))], *(cells(row, columns) for row in rows)]
    return "".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |\n" for line in lines)


def plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """JSON-able values; a figure that is undefined is null."""
    return [{key: _plain(value) for key, value in vars(row).items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return {key: _plain(each) for key, each in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

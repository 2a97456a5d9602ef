"""The one table: tasks by joint model, task alone, gain and baselines; for the terminal, as Markdown and as JSON. nan reads "undefined"."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from banyan.evaluation.baselines import NAMES
from banyan.evaluation.transfer import Row
from banyan.metrics import Interval

UNDEFINED, ABSENT = "undefined", "–"
WIDE = 1_000  # columns of a terminal on which nothing is ever folded
COLOURS = {"better": "green", "worse": "red"}


def number(value: float | None) -> str:
    """A figure as it is printed: three places below 10, thousands apart above; `–` where there is none."""
    if value is None:
        return ABSENT
    if not math.isfinite(value):
        return UNDEFINED
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.4f}" if abs(value) < 0.1 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return text.removeprefix("-") if float(text) == 0 else text


def between(interval: Interval | None) -> str:
    """The ends of an interval."""
    if interval is None:
        return ABSENT
    if math.isnan(interval.low) or math.isnan(interval.high):
        return UNDEFINED
    return f"[{number(interval.low)}, {number(interval.high)}]"


def signed(interval: Interval | None) -> str:
    """A gain with its sign and its interval."""
    if interval is None:
        return ABSENT
    if not math.isfinite(interval.value):
        return UNDEFINED
    return f"{'+' if interval.value > 0 else ''}{number(interval.value)} {between(interval)}"


def figures(rows: Sequence[Row]) -> list[str]:
    """The columns of figures that some row fills."""
    named = [name for name in NAMES if any(name in row.baselines for row in rows)]
    return ["task", "metric", "rows", "joint", "95 % interval", *(["alone"] if any(row.alone is not None for row in rows) else []), *named]


def gains(rows: Sequence[Row]) -> list[str]:
    """The columns of gains that some row fills."""
    shared = ["gain by sharing", "verdict"] if any(row.gain is not None for row in rows) else []
    return shared + (["over best baseline"] if any(row.best_baseline for row in rows) else [])


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """One row's cells, as text."""
    known = {
        "task": row.task,
        "metric": metric(row),
        "rows": f"{row.rows:,}",
        "joint": number(row.joint),
        "95 % interval": between(row.interval),
        "alone": number(row.alone),
        "gain by sharing": signed(row.gain),
        "verdict": row.verdict or ABSENT,
        "over best baseline": f"{row.best_baseline}: {signed(row.over_best)}: {row.over_best_verdict}" if row.best_baseline else ABSENT,
    }
    return [known[c] if c in known else number(row.baselines.get(c)) for c in columns]


def metric(row: Row) -> str:
    """The metric's name, and whether more or less of it is better."""
    return f"{row.metric} {'↑' if row.rising else '↓'}"


class Terminal:
    """The table for rich: intervals and verdicts under their figures, gains in green and red where the interval excludes 0.

    Where the terminal is too narrow for one table, gains follow in a second.
    """

    def __init__(self, rows: Sequence[Row], title: str = "") -> None:
        self.rows, self.title = rows, title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        """What rich prints."""
        shown = [c for c in figures(self.rows) if c not in ("rows", "95 % interval")]
        extra = [c for c in gains(self.rows) if c != "verdict"]
        whole = _terminal(self.rows, [*shown, *extra], self.title)
        if not extra or Measurement.get(console, options.update(max_width=WIDE), whole).maximum <= options.max_width:
            yield whole
        else:
            yield _terminal(self.rows, shown, self.title)
            yield _terminal(self.rows, ["task", "metric", *extra], "")
        if halves := warmth(self.rows):
            yield _warmth(halves)


def terminal(rows: Sequence[Row], title: str = "") -> Terminal:
    """The table for `rich.print` or a rich console."""
    return Terminal(rows, title)


def _terminal(rows: Sequence[Row], columns: Sequence[str], title: str) -> Table:
    found = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        found.add_column(column, justify="left" if column in ("task", "metric") else "right", overflow="fold")
    for row in rows:
        special = {
            "metric": _under(metric(row), f"{row.rows:,} rows"),
            "joint": _under(number(row.joint), between(row.interval) if row.interval else ""),
            "gain by sharing": _told(row.gain, row.verdict),
            "over best baseline": _told(row.over_best, row.over_best_verdict),
        }
        found.add_row(*(special.get(column, Text(cell)) for column, cell in zip(columns, cells(row, columns), strict=True)))
    return found


def _warmth(lines: Sequence[Sequence[str]]) -> Table:
    found = Table(title=Text("warm: training knew the user, the item; cold: it did not (rows)"), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, column in enumerate(lines[0]):
        found.add_column(column, justify="left" if i < 2 else "right", overflow="fold")
    for line in lines[1:]:
        found.add_row(*map(Text, line))
    return found


def _under(first: str, *others: str, style: str = "") -> Text:
    text = Text(first, style=style)
    for other in others:
        if other:
            text.append(f"\n{other}", style=style or "dim")
    return text


def _told(gain: Interval | None, verdict: str) -> Text:
    if gain is None:
        return Text(ABSENT)
    value = signed(gain).split(" ")[0]
    return _under(value, *dict.fromkeys((between(gain), verdict)), style=COLOURS.get(verdict, ""))


def warmth(rows: Sequence[Row]) -> list[list[str]]:
    """Task, metric and, for each half of users and items, the figure and its rows; a header first. Empty where every row is warm."""
    halves = list(dict.fromkeys(half for row in rows for half in row.warmth))
    if not any(half.startswith("cold") and count for row in rows for half, (count, _) in row.warmth.items()):
        return []
    lines = [[row.task, metric(row), *(_half(row, half) for half in halves)] for row in rows if row.warmth]
    return [["task", "metric", *halves], *lines]


def _half(row: Row, half: str) -> str:
    if half not in row.warmth:
        return ABSENT
    count, value = row.warmth[half]
    return f"{number(value) if count else ABSENT} ({count:,})"


def markdown(rows: Sequence[Row]) -> str:
    """A plain Markdown table."""
    columns = [*figures(rows), *gains(rows)]
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
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

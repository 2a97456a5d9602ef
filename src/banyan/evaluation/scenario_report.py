"""Which scenario gains from which, said: a table and a heat map. Measures nothing."""

import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from banyan.evaluation import plots, table
from banyan.evaluation.certainty import Gain
from banyan.evaluation.report import grid
from banyan.evaluation.scenarios import OTHERS, Between, Cell

TITLE = "Which scenario gains from which"
HEADER = ["rows of", "answers in", "task", "metric", "with them", "without", "gain", "p, of all", "verdict"]
SAID = (
    "<p>Relative gain in the column's scenario by training with the row's scenario too: mean over the tasks whose tables have scenarios, on test rows. "
    "On the diagonal stands what a scenario's own rows give it; the last row is training together over training on the scenario alone. "
    "What is left out are rows to train on; histories and statistics keep all events.</p>"
)
VERDICTS = {"helps": "better", "harms": "worse"}


def sentences(found: Between, runs: str) -> Iterator[str]:
    """Who is shown to gain or to lose by whose rows."""
    for source in [*found.names, OTHERS]:
        mine = [gain for of, gain in found.gains if of == source]
        told = {word: [f"{each.scenario} ({each.task})" for each in mine if each.verdict == verdict] for word, verdict in VERDICTS.items()}
        said = "; ".join(f"{word} {', '.join(names)}" for word, names in told.items() if names) or "no answer elsewhere is shown to gain or to lose by them"
        yield f"Training on the rows of {source}: {said} (test rows, {runs} at a quarter of the trials' budget; {len(found.gains)} comparisons, Holm)."
    if found.left:
        yield f"Scenarios not read: {', '.join(found.left)}."


def tables(found: Between) -> Iterator[Table]:
    """What the terminal shows: the matrix with its intervals over seeds, then every comparison."""
    matrix = Table("rows of", title=Text(f"{TITLE} (gain in the column by the row)"), box=box.SIMPLE_HEAD)
    for name in found.names:
        matrix.add_column(Text(name))
    for source in [*found.names, OTHERS]:
        matrix.add_row(Text(source), *(Text(cell, style=style) for cell, style in _row(found, source)))
    yield matrix
    every = Table(*HEADER, title=Text("Between scenarios"), box=box.SIMPLE_HEAD)
    for source, gain in found.gains:
        every.add_row(*(Text(cell, style=table.COLOURS.get(gain.verdict, "")) for cell in _cells(source, gain)))
    yield every


def sections(found: Between) -> list[tuple[str, str, list[plots.Plot] | None]]:
    """Of the page."""
    sources = [*found.names, OTHERS]
    heat = plots.heat(TITLE, sources, found.names, [found.values(source) for source in sources], "answers in", "rows of")
    matrix = grid(["rows of", *found.names], [[source, *(cell for cell, _ in _row(found, source))] for source in sources], (0,))
    return [
        (TITLE, SAID + matrix, [heat]),
        ("Between scenarios", grid(HEADER, [_cells(source, gain) for source, gain in found.gains], (0, 1, 2, 3)), None),
    ]


def plain(found: Between) -> dict[str, Any]:
    """JSON-able."""
    return {
        "scenarios": found.names,
        "not read": found.left,
        "cells": [vars(cell) for cell in found.cells],
        "gains": [{"source": source, **gain.plain()} for source, gain in found.gains],
    }


def _row(found: Between, source: str) -> Iterator[tuple[str, str]]:
    """Each target's cell in words, and its colour: one only where the interval over seeds holds no 0."""
    at = {cell.target: cell for cell in found.cells if cell.source == source}
    return (_said(at.get(name)) for name in found.names)


def _said(cell: Cell | None) -> tuple[str, str]:
    if cell is None or math.isnan(cell.value):
        return "–", "dim"
    wide = "" if math.isnan(cell.low) else f" ({cell.low:+.1%} to {cell.high:+.1%})"
    return f"{cell.value:+.1%}{wide}", "green" if cell.low > 0 else "red" if cell.high < 0 else "dim"


def _cells(source: str, gain: Gain) -> list[str]:
    p = "undefined" if math.isnan(gain.adjusted) else f"{gain.adjusted:.3f}" if gain.adjusted >= 0.001 else "< 0.001"
    return [source, gain.scenario, gain.task, gain.metric, table.number(gain.ours), table.number(gain.theirs), table.signed(gain.interval), p, gain.verdict]

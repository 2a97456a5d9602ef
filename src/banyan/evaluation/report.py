"""`report.html`: one page that stands by itself, offline, with what was learned, how good it is, and from what data and options."""

import html
import importlib.metadata
import importlib.resources
import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from banyan.evaluation import plots, table
from banyan.evaluation.baselines import Baselines
from banyan.evaluation.evaluate import Evaluation
from banyan.evaluation.plots import Plot
from banyan.evaluation.questions import judges
from banyan.evaluation.transfer import Alone, Row
from banyan.features.data import Data
from banyan.store.schema import Store
from banyan.training.record import Record
from banyan.types import PARTS

VERSIONS = ("banyan-commerce", "torch", "numpy", "polars", "scipy", "torchjd", "plotly", "lightgbm", "scikit-learn")

SUBTITLE = "One model for the whole store: what it learned, and what each task gained or lost by sharing."


@dataclass
class Report:
    """What the page shows. Only what is there makes a section."""

    store: Store
    data: Data
    rows: Sequence[Row]
    evaluation: Evaluation
    record: Record
    history: plots.History = ()
    baselines: Baselines | None = None
    alone: Mapping[str, Sequence[Alone]] = field(default_factory=dict)
    notes: Sequence[str] = ()  # the shop's: guarantees that are lost, rows that were dropped

    def write(self, path: Path | str) -> Path:
        """Write the page; returns its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(self), encoding="utf-8")
        return path


def page(report: Report) -> str:
    """The whole page as text."""
    panel = judges(report.data, {name: report.store.tasks[name] for name in report.evaluation.answers})
    sections: list[tuple[str, str, list[Plot] | None]] = [
        ("Tasks", _summary(report) + _columns(report.rows, table.figures(report.rows)) + LEGEND, None),
        ("Gain or loss by task", GAINS + _columns(report.rows, ["task", "metric", *table.gains(report.rows)]), plots.gains(report.rows)),
        ("Calibration", _calibration(report), plots.calibration(panel, report.evaluation.questions, report.evaluation.answers, report.evaluation.plain)),
        ("Validation by epoch", _kept(report.record), plots.validation(report.history, report.record.best_epoch, panel)),
        ("Training losses", "", plots.losses(report.history)),
        ("Weights over time", WEIGHTS, plots.weights(report.history)),
        ("By scenario", _scenarios(report), None),
        ("Warm and cold", _warmth(report), None),
        ("Every metric", _metrics(report), None),
        ("Data", _data(report), None),
        ("Notes", _notes(report), None),
        ("Cost", _cost(report), None),
        ("Options and versions", _options(report), None),
    ]
    return framed(report.store.store, sections)


def framed(title: str, sections: Sequence[tuple[str, str, list[Plot] | None]], subtitle: str = SUBTITLE) -> str:
    """A page that stands by itself: sections of (heading, HTML, plots), of which those with neither text nor plots are left out."""
    from plotly.offline import get_plotlyjs  # four megabytes of script, wanted here only

    drawn: list[Plot] = []
    body = "".join(_section(title, text, each, drawn) for title, text, each in sections if each or (each is None and text))
    filled = {"TITLE": html.escape(title), "LEAD": html.escape(subtitle), "BODY": body, "PLOTLY": get_plotlyjs(), "PLOTS": _script_json(drawn)}
    frame = importlib.resources.files("banyan.evaluation").joinpath("page.html").read_text(encoding="utf-8")
    return re.sub(r"\b(TITLE|LEAD|BODY|PLOTLY|PLOTS)\b", lambda found: filled[found[0]], frame)  # one pass: what is filled in is not looked at again


def _section(title: str, text: str, figures: Sequence[Plot] | None, drawn: list[Plot]) -> str:
    figures = figures or []
    kind = "wide" if len(figures) == 1 and figures[0]["layout"].get("showlegend") else "grid"
    boxes = "".join(f'<div class="plot" id="plot{len(drawn) + i}"></div>' for i in range(len(figures)))
    drawn.extend(figures)
    around = f'<div class="{kind}">{boxes}</div>' if boxes else ""
    return f"<section><h2>{title}</h2>{text}{around}</section>"


def _script_json(value: Any) -> str:
    # "<" never stands in the script, so that no name can end it
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _columns(rows: Sequence[Row], columns: Sequence[str]) -> str:
    return grid(columns, [table.cells(row, columns) for row in rows])


def grid(header: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[int] = (0, 1)) -> str:
    """A table as HTML, every cell escaped; columns in `left` hold text."""
    side = ["t" if i in left else "n" for i in range(len(header))]
    heads = "".join(f'<th class="{s}">{html.escape(h)}</th>' for s, h in zip(side, header, strict=True))
    rows = "".join("<tr>" + "".join(_cell(cell, s) for s, cell in zip(side, line, strict=True)) + "</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(text: str, side: str) -> str:
    mood = text if text in ("better", "worse") else next((m for m in ("better", "worse") if text.endswith(f"]: {m}")), "")
    short = "short" if len(text) < 20 else ""
    return f'<td class="{side} {short} {mood}">{html.escape(text)}</td>'


def _summary(report: Report) -> str:
    counts = {word: sum(r.verdict == word for r in report.rows) for word in ("better", "worse", "no difference", "undefined")}
    total = sum(counts.values())
    words = {"better": "better for sharing", "worse": "worse", "no difference": "without a difference", "undefined": "too small to say"}
    shared = "; ".join(f"<b>{n}</b> {words[word]}" for word, n in counts.items() if n)
    said = f"Of {total} tasks against themselves trained alone: {shared}." if total else ""
    best = sum(r.over_best_verdict == "better" for r in report.rows), sum(bool(r.best_baseline) for r in report.rows)
    against = f" Better than the best baseline in <b>{best[0]}</b> of {best[1]}." if best[1] else ""
    return f"<p>{said}{against}</p>"


def _kept(record: Record) -> str:
    return f"<p>The ring marks the epoch that was kept, {record.best_epoch + 1}. Training stopped {html.escape(record.stopped)}.</p>"


def _scenarios(report: Report) -> str:
    lines = []
    for row in report.rows:
        for scenario, figures in report.evaluation.by_scenario.get(row.task, {}).items():
            shown = figures.get(row.metric, math.nan)
            others = ", ".join(f"{name} {table.number(value)}" for name, value in figures.items() if name != row.metric)
            lines.append([row.task, scenario, row.metric, table.number(shown), others])
    return grid(["task", "scenario", "metric", "joint", "other metrics"], lines, (0, 1, 2, 4)) if lines else ""


def _warmth(report: Report) -> str:
    """What training knew apart from what it did not; that nothing is cold is said too."""
    lines = table.warmth(report.rows)
    if not lines:
        return "<p>Training knew every user and every item of the rows that were judged.</p>" if any(row.warmth for row in report.rows) else ""
    return WARMTH + grid(lines[0], lines[1:])


def _metrics(report: Report) -> str:
    lines = []
    for task, figures in report.evaluation.figures.items():
        for name, value in figures.items():
            lines.append([task, name, table.number(value), table.between(report.evaluation.intervals.get(task, {}).get(name))])
    shown = grid(["task", "metric", "joint", "95 % interval"], lines)
    return f"<details><summary>{len(lines)} figures of the joint model</summary>{shown}</details>"


def _calibration(report: Report) -> str:
    """What stands beside the curves: of the tasks that have a map, the figures that speak of level, before and after."""
    lines = []
    for task, before in report.evaluation.before.items():
        for name, value in before.items():
            if name.partition("/")[0] in LEVEL:
                lines.append([task, name, table.number(value), table.number(report.evaluation.figures[task][name])])
    return CALIBRATION + (CALIBRATED + grid(["task", "metric", "before", "after"], lines) if lines else "")


def _data(report: Report) -> str:
    plan, stock = report.data.plan, report.data.stock
    counts = {name: [f"{int((t.part == code).sum()):,}" for code in PARTS.values()] for name, t in report.data.tables.items()}
    tables = [[name, ", ".join(plan.tables[name].tasks) or "–", *each] for name, each in counts.items()]
    entities = [[name, ", ".join(plan.entities[name].features) or "–", f"{len(ids):,}"] for name, ids in stock.ids.items()]
    events = ""
    if stock.log is not None:
        often = np.bincount(stock.log.behaviour, minlength=len(stock.log.behaviours))
        events = grid(["behaviour", "events"], [[name, f"{int(n):,}"] for name, n in zip(stock.log.behaviours, often, strict=True)], (0,))
    return grid(["samples", "tasks", *PARTS], tables) + grid(["entity", "features", "rows"], entities) + events


def _notes(report: Report) -> str:
    notes = list(dict.fromkeys([*report.notes, *(report.baselines.notes if report.baselines else [])]))
    return "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>" if notes else ""


def _cost(report: Report) -> str:
    record = report.record
    lines = [["joint model", f"{record.cpu_seconds:.1f}", f"{record.rows:,}"]]
    lines += [[f"{task} alone, seed {a.seed}", f"{a.record.cpu_seconds:.1f}", f"{a.record.rows:,}"] for task, each in report.alone.items() for a in each]
    lines += [[name, f"{seconds:.1f}", "–"] for name, seconds in (report.baselines.cpu_seconds if report.baselines else {}).items()]
    lines.append(["answers and figures of the joint model", f"{report.evaluation.cpu_seconds:.1f}", "–"])
    return grid(["what", "CPU seconds", "training rows read"], lines, (0,))


def _options(report: Report) -> str:
    store = json.dumps(report.store.model_dump(mode="json", exclude_defaults=True), indent=1, ensure_ascii=False)
    versions = [["Python", platform.python_version()], *([name, v] for name in VERSIONS if (v := _version(name)))]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    listing = f"<details><summary>The store, options that are not the default</summary><pre>{html.escape(store)}</pre></details>"
    return f"{listing}{grid(['package', 'version'], versions)}<p class='small'>Written {made}.</p>"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


LEGEND = (
    "<p class='small'>↑ more is better, ↓ less is better. Intervals: 95 %, bootstrap over users. A gain above 0 says that the joint model is better, "
    "and it is called better or worse only where its interval leaves out 0. – does not apply; undefined: too few rows to say.</p>"
)
GAINS = "<p>Paired differences on the same test rows. Right of 0 the joint model is better; each line is a 95 % interval, a pale bar has none.</p>"
CALIBRATION = "<p>On the unsampled population: each point is a bin of equal weight. On the dotted line an answer of .2 is right in one of five cases.</p>"
CALIBRATED = "<p>Dashed: before calibration. The maps were fitted on validation rows; the figures are of test rows.</p>"
WARMTH = "<p>Warm: training knew the user, or every item that the row asks for; cold: it did not. Behind each figure its rows; below 30 it is undefined.</p>"
LEVEL = {"calibration_error", "log_loss", "bias", "rmse", "deviance"}  # figures that a map of the answers can move
WEIGHTS = "<p>What the balancer gave to each loss.</p>"

"""`report.html`: one page that stands by itself, offline, with what was learned, how good it is, and from what data and options."""

import html
import importlib.metadata
import json
import math
import platform
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
from banyan.features.build import Data
from banyan.store.schema import Store
from banyan.training.loop import Record
from banyan.types import PARTS

VERSIONS = ("banyan-commerce", "torch", "numpy", "polars", "scipy", "torchjd", "plotly", "lightgbm", "scikit-learn")


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
    from plotly.offline import get_plotlyjs  # four megabytes of script, wanted here only

    panel = judges(report.data, {name: report.store.tasks[name] for name in report.evaluation.answers})
    sections = [
        ("Tasks", _summary(report) + _table(table.header(report.rows), [table.cells(r, table.header(report.rows)) for r in report.rows]) + LEGEND, []),
        ("Gain or loss by task", GAINS, plots.gains(report.rows)),
        ("Calibration", CALIBRATION, plots.calibration(panel, report.evaluation.questions, report.evaluation.answers)),
        ("Validation by epoch", _kept(report.record), plots.validation(report.history, report.record.best_epoch, panel)),
        ("Training losses", "", plots.losses(report.history)),
        ("Weights over time", WEIGHTS, plots.weights(report.history)),
        ("By scenario", _scenarios(report), []),
        ("Every metric", _metrics(report), []),
        ("Data", _data(report), []),
        ("Notes", _notes(report), []),
        ("Cost", _cost(report), []),
        ("Options and versions", _options(report), []),
    ]
    drawn: list[Plot] = []
    body = "".join(_section(title, text, each, drawn) for title, text, each in sections if text and not each or each)
    return PAGE.format(title=html.escape(report.store.store), style=STYLE, body=body, plotly=get_plotlyjs(), draw=DRAW.replace("PLOTS", _script_json(drawn)))


def _section(title: str, text: str, figures: Sequence[Plot], drawn: list[Plot]) -> str:
    kind = "wide" if len(figures) == 1 and figures[0]["layout"].get("showlegend") else "grid"
    boxes = "".join(f'<div class="plot" id="plot{len(drawn) + i}"></div>' for i in range(len(figures)))
    drawn.extend(figures)
    return f"<section><h2>{title}</h2>{text}{f'<div class="{kind}">{boxes}</div>' if boxes else ''}</section>"


def _script_json(value: Any) -> str:
    # "<" never stands in the script, so that no name can end it
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _table(header: Sequence[str], lines: Sequence[Sequence[str]], text_columns: int = 2) -> str:
    heads = "".join(f'<th class="{"t" if i < text_columns else "n"}">{html.escape(h)}</th>' for i, h in enumerate(header))
    rows = "".join(f"<tr>{''.join(_cell(cell, i < text_columns) for i, cell in enumerate(line))}</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(text: str, left: bool) -> str:
    mood = text if text in ("better", "worse") else next((m for m in ("better", "worse") if text.endswith(f") {m}")), "")
    return f'<td class="{"t" if left else "n"} {mood}">{html.escape(text)}</td>'


def _summary(report: Report) -> str:
    counts = {word: sum(r.verdict == word for r in report.rows) for word in ("better", "worse", "no difference", "undefined")}
    total = sum(counts.values())
    words = {"better": "better for sharing", "worse": "worse", "no difference": "without a difference", "undefined": "too small to say"}
    shared = "; ".join(f"<b>{n}</b> {words[word]}" for word, n in counts.items() if n)
    said = f"Of {total} tasks against themselves trained alone: {shared}." if total else ""
    best = sum(r.over_best_verdict == "better" for r in report.rows), sum(bool(r.best_baseline) for r in report.rows)
    return f"<p>{said}{f' Better than the best baseline in <b>{best[0]}</b> of {best[1]}.' if best[1] else ''}</p>"


def _kept(record: Record) -> str:
    return f"<p>The ring marks the epoch that was kept, {record.best_epoch + 1}. Training stopped {html.escape(record.stopped)}.</p>"


def _scenarios(report: Report) -> str:
    lines = []
    for row in report.rows:
        for scenario, figures in report.evaluation.by_scenario.get(row.task, {}).items():
            shown = figures.get(row.metric, math.nan)
            others = ", ".join(f"{name} {table.number(value)}" for name, value in figures.items() if name != row.metric)
            lines.append([row.task, scenario, row.metric, table.number(shown), others])
    return _table(["task", "scenario", "metric", "joint", "other metrics"], lines, 3) if lines else ""


def _metrics(report: Report) -> str:
    lines = []
    for task, figures in report.evaluation.figures.items():
        for name, value in figures.items():
            lines.append([task, name, table.number(value), table.between(report.evaluation.intervals.get(task, {}).get(name))])
    return f"<details><summary>{len(lines)} figures of the joint model</summary>{_table(['task', 'metric', 'joint', '95 % interval'], lines)}</details>" if lines else ""


def _data(report: Report) -> str:
    plan, stock = report.data.plan, report.data.stock
    tables = [
        [name, ", ".join(plan.tables[name].tasks) or "–", *(f"{int((t.part == code).sum()):,}" for code in PARTS.values())] for name, t in report.data.tables.items()
    ]
    entities = [[name, ", ".join(plan.entities[name].features) or "–", f"{len(ids):,}"] for name, ids in stock.ids.items()]
    events = ""
    if stock.log is not None:
        counts = np.bincount(stock.log.behaviour, minlength=len(stock.log.behaviours))
        events = _table(["behaviour", "events"], [[name, f"{int(n):,}"] for name, n in zip(stock.log.behaviours, counts, strict=True)], 1)
    return _table(["samples", "tasks", *PARTS], tables) + _table(["entity", "features", "rows"], entities) + events


def _notes(report: Report) -> str:
    notes = [*report.notes, *(report.baselines.notes if report.baselines else [])]
    return "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in notes) + "</ul>" if notes else ""


def _cost(report: Report) -> str:
    record = report.record
    lines = [["joint model", f"{record.cpu_seconds:.1f}", f"{record.rows:,}"]]
    lines += [[f"{task} alone, seed {a.seed}", f"{a.record.cpu_seconds:.1f}", f"{a.record.rows:,}"] for task, each in report.alone.items() for a in each]
    lines += [[name, f"{seconds:.1f}", "–"] for name, seconds in (report.baselines.cpu_seconds if report.baselines else {}).items()]
    lines.append(["answers and figures of the joint model", f"{report.evaluation.cpu_seconds:.1f}", "–"])
    return _table(["what", "CPU seconds", "training rows read"], lines, 1)


def _options(report: Report) -> str:
    store = json.dumps(report.store.model_dump(mode="json", exclude_defaults=True), indent=1, ensure_ascii=False)
    versions = [["Python", platform.python_version()], *([name, v] for name in VERSIONS if (v := _version(name)))]
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"<details><summary>The store, options that are not the default</summary><pre>{html.escape(store)}</pre></details>{_table(['package', 'version'], versions)}<p>Written {made}.</p>"
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


LEGEND = (
    "<p class='small'>↑ more is better, ↓ less is better. Intervals are 95 % bootstrap intervals over users. A gain is above 0 where the joint model is better, "
    "and is called better or worse only where its interval leaves out 0. – does not apply; undefined: too few rows to say.</p>"
)
GAINS = "<p>Each bar is the paired difference on the same test rows, each line its 95 % interval.</p>"
CALIBRATION = "<p>On the unsampled population: each point is a bin of equal weight. On the dotted line an answer of .2 is right in one of five cases.</p>"
WEIGHTS = "<p>What the balancer gave to each loss.</p>"
STYLE = """
:root{--ink:#26332d;--soft:#5d6b64;--line:#dfe6e2;--leaf:#0b6e4f;--bark:#b23a48}
*{box-sizing:border-box}body{margin:0;background:#f4f7f5;color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
header{background:var(--leaf);color:#fff;padding:22px max(16px,calc((100vw - 1160px)/2))}h1{margin:0;font-size:24px;overflow-wrap:anywhere}header p{margin:4px 0 0;opacity:.85}
main{max-width:1192px;margin:0 auto;padding:8px 16px 40px}
section{background:#fff;border:1px solid var(--line);border-radius:10px;padding:14px 18px 18px;margin:14px 0}h2{font-size:17px;margin:0 0 8px}p{margin:6px 0 10px}
.small{color:var(--soft);font-size:13px}.scroll{overflow-x:auto;margin:8px 0}table{border-collapse:collapse;width:100%;font-size:13.5px}
th{text-align:left;color:var(--soft);font-weight:600;border-bottom:2px solid var(--line);white-space:nowrap}td,th{padding:6px 10px 6px 0}td{border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td:last-child,th:last-child{padding-right:0}.better{color:var(--leaf);font-weight:600}.worse{color:var(--bark);font-weight:600}
td.t{overflow-wrap:anywhere}td:first-child{font-weight:600}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:10px}.plot{min-width:0;overflow:hidden}
pre{overflow:auto;max-height:420px;background:#f4f7f5;padding:10px;border-radius:6px;font-size:12.5px}summary{cursor:pointer;color:var(--leaf)}ul{margin:4px 0;padding-left:20px}
@media(max-width:640px){section{padding:12px 12px 14px}main{padding:4px 8px 24px}.grid{grid-template-columns:1fr}td:first-child,th:first-child{position:sticky;left:0;background:#fff}}
"""
DRAW = """
const plots=PLOTS;plots.forEach((p,i)=>Plotly.newPlot('plot'+i,p.data,p.layout,{responsive:true,displayModeBar:false}));
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}: report</title><style>{style}</style></head>
<body><header><h1>{title}</h1><p>One model for the whole store: what it learned, and what each task gained or lost by sharing.</p></header>
<main>{body}</main><script>{plotly}</script><script>{draw}</script></body></html>
"""

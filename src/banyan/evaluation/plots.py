"""The report's plots, as plotly figures in plain dictionaries. Every name that a user gave is escaped: plotly reads HTML in its texts."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from banyan import metrics
from banyan.evaluation.questions import Question
from banyan.evaluation.transfer import Row
from banyan.tasks import Task
from banyan.types import Array

Plot = dict[str, Any]
History = Sequence[Mapping[str, Any]]  # the lines of a fit's history: {"step", "loss", "weight", "lr"} and {"epoch", "score", "valid"}
COLOURS = ["#0b6e4f", "#d1495b", "#3066be", "#b5760d", "#6a4c93", "#00798c", "#8c4a2f", "#5c6b73"]
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 12, "color": "#26332d"}
AXIS = {"gridcolor": "#e7ece9", "zerolinecolor": "#c4cec9", "linecolor": "#c4cec9", "automargin": True}


def _layout(title: str, x: str, y: str, **more: Any) -> dict[str, Any]:
    title_ = {"text": html.escape(title), "font": {"size": 13}, "x": 0.02, "xanchor": "left"}
    base = {"title": title_, "font": FONT, "margin": {"l": 48, "r": 12, "t": 36, "b": 40}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff", "height": 250}
    axes = {"xaxis": {**AXIS, "title": {"text": x, "standoff": 6}}, "yaxis": {**AXIS, "title": {"text": y, "standoff": 8}}}
    return {**base, **axes, "showlegend": False, "hovermode": "closest", **more}


def _known(values: Sequence[float | None]) -> list[float | None]:
    return [None if v is None or not math.isfinite(v) else float(v) for v in values]


def losses(history: History) -> list[Plot]:
    """One plot a view: the mean training loss (nats) over the steps since the last entry."""
    lines = [h for h in history if "loss" in h]
    names = list(dict.fromkeys(name for h in lines for name in h["loss"]))
    found = []
    for i, name in enumerate(names):
        shown = [h for h in lines if name in h["loss"]]
        trace = {"type": "scatter", "mode": "lines", "x": [h["step"] for h in shown], "y": _known([h["loss"][name] for h in shown])}
        found.append({"data": [{**trace, "line": {"color": COLOURS[i % len(COLOURS)]}}], "layout": _layout(name, "step", "loss (nats)")})
    return found


def weights(history: History) -> list[Plot]:
    """One plot: the weight that the balancer gave each view."""
    lines = [h for h in history if h.get("weight")]
    names = list(dict.fromkeys(name for h in lines for name in h["weight"]))
    traces = []
    for i, name in enumerate(names):
        shown = [h for h in lines if name in h["weight"]]
        x, y = [h["step"] for h in shown], _known([h["weight"][name] for h in shown])
        traces.append({"type": "scatter", "mode": "lines", "name": html.escape(name), "x": x, "y": y, "line": {"color": COLOURS[i % len(COLOURS)]}})
    legend = {"orientation": "h", "y": -0.25}
    margin = {"l": 48, "r": 12, "t": 12, "b": 40}
    return [{"data": traces, "layout": _layout("", "step", "weight", showlegend=True, legend=legend, height=340, margin=margin)}] if traces else []


def validation(history: History, best_epoch: int, panel: Mapping[str, Task]) -> list[Plot]:
    """One plot a task: its first metric on the validation part after each epoch; a ring marks the epoch that was kept."""
    found = []
    for i, (task, part) in enumerate(panel.items()):
        shown = [(h["epoch"] + 1, h["valid"][task].get(part.best, math.nan)) for h in history if "epoch" in h and task in h.get("valid", {})]
        if not shown:
            continue
        x, y = [e for e, _ in shown], _known([v for _, v in shown])
        rings = [e == best_epoch + 1 for e in x]
        marker: dict[str, Any] = {"size": [13 if r else 6 for r in rings], "color": ["#fff" if r else COLOURS[i % len(COLOURS)] for r in rings]}
        marker["line"] = {"color": COLOURS[i % len(COLOURS)], "width": [3 if r else 0 for r in rings]}
        trace = {"type": "scatter", "mode": "lines+markers", "x": x, "y": y, "line": {"color": COLOURS[i % len(COLOURS)]}, "marker": marker}
        layout = _layout(task, "epoch", f"{part.best} {'↑' if part.rising else '↓'}")
        layout["xaxis"] |= {"dtick": max(1, len(x) // 8), "range": [0.5, max(x) + 0.5]}
        found.append({"data": [trace], "layout": layout})
    return found


def calibration(
    panel: Mapping[str, Task], questions: Mapping[str, Question], answers: Mapping[str, Array], plain: Mapping[str, Array] | None = None
) -> list[Plot]:
    """One plot a probability: the share of positives against the mean answer in bins of equal weight, beside the diagonal of a perfect one.

    `plain`: answers before calibration, drawn paler beside those after it.
    """
    found = []
    for task, part in panel.items():
        if part.kind != "floats" or part.highest != 1 or not len(questions[task]):
            continue
        q, names = questions[task], part.columns()
        for column, name in enumerate(names):
            keep = q.seen[:, min(column, q.seen.shape[1] - 1)]
            shown = [answers[task], *([plain[task]] if plain and task in plain else [])]
            curves = [metrics.calibration_curve(each[keep, column], q.value[keep, column], q.weight[keep]) for each in shown]
            if len(curves[0].predicted):
                found.append(_reliability(task if len(names) == 1 else f"{task}: {name}", *curves))
    return found


def _reliability(title: str, curve: metrics.Curve, before: metrics.Curve | None = None) -> Plot:
    top = max(float(np.max([each.predicted.max(), each.observed.max(), 1e-6])) for each in (curve, before or curve)) * 1.08
    ideal = {"type": "scatter", "mode": "lines", "x": [0, top], "y": [0, top], "line": {"color": "#9aa7a0", "dash": "dot"}, "hoverinfo": "skip"}
    hover = "answer %{x:.4f}<br>share %{y:.4f}<extra></extra>"
    real = {"type": "scatter", "mode": "lines+markers", "x": curve.predicted.tolist(), "y": curve.observed.tolist(), "line": {"color": COLOURS[0]}}
    real["hovertemplate"] = hover
    traces = [ideal, real]
    if before is not None:
        pale = {"color": COLOURS[3], "dash": "dash"}
        traces.insert(1, {**real, "x": before.predicted.tolist(), "y": before.observed.tolist(), "line": pale, "opacity": 0.6, "name": "before"})
        real["name"] = "after"
    layout = _layout(title, "mean answer", "share that was so")
    layout["xaxis"] |= {"range": [0, top]}
    layout["yaxis"] |= {"range": [0, top]}
    return {"data": traces, "layout": layout}


def gains(rows: Sequence[Row]) -> list[Plot]:
    """One plot: gain over the task alone and over the best baseline, in percent of theirs, with 95 % intervals; tasks from top to bottom."""
    series = [
        ("over the task alone", COLOURS[0], [(r.task, r.gain, r.alone) for r in rows]),
        ("over the best baseline", COLOURS[3], [(r.task, r.over_best, r.baselines.get(r.best_baseline or "")) for r in rows]),
    ]
    traces = [each for name, colour, found in series if (each := _bars(name, colour, found))]
    if not traces:
        return []
    names = [html.escape(r.task) for r in rows][::-1]
    layout = _layout("", "gain, in % of the other's figure", "", showlegend=True, barmode="group")
    layout["height"] = 110 + 54 * len(rows)
    layout |= {"legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "reversed"}, "margin": {"l": 20, "r": 16, "t": 30, "b": 50}}
    layout["yaxis"] |= {"type": "category", "categoryorder": "array", "categoryarray": names}
    layout["xaxis"] |= {"zeroline": True, "zerolinewidth": 2, "zerolinecolor": "#26332d", "ticksuffix": " %"}
    return [{"data": traces[::-1], "layout": layout}]


def _bars(name: str, colour: str, found: Sequence[tuple[str, metrics.Interval | None, float | None]]) -> dict[str, Any] | None:
    known = [(task, gain, 100 / abs(base)) for task, gain, base in found if gain is not None and base and math.isfinite(gain.value) and math.isfinite(base)]
    if not known:
        return None
    value = [g.value * scale for _, g, scale in known]
    up = [max(0.0, (g.high - g.value) * scale) if math.isfinite(g.high) else None for _, g, scale in known]
    down = [max(0.0, (g.value - g.low) * scale) if math.isfinite(g.low) else None for _, g, scale in known]
    error = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": "#26332d", "thickness": 1.4, "width": 4}
    bars = {"type": "bar", "orientation": "h", "name": name, "x": value, "y": [html.escape(t) for t, _, _ in known], "error_x": error}
    faint = [1.0 if math.isfinite(g.low) and math.isfinite(g.high) else 0.3 for _, g, _ in known]  # no interval, so nothing is claimed
    return {**bars, "marker": {"color": colour, "opacity": faint}, "hovertemplate": "%{y}: %{x:+.2f} %<extra></extra>"}


def heat(title: str, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], x: str, y: str) -> Plot:
    """A heat map, 0 in the middle of the colours; rows from top to bottom. None or nan stays blank."""
    known = [_known(row) for row in values]
    most = max((abs(v) for row in known for v in row if v is not None), default=1.0) or 1.0
    colours = [[0, "#b23a48"], [0.5, "#ffffff"], [1, "#0b6e4f"]]
    text = [["" if v is None else f"{v:+.3f}" if abs(v) < 0.1 else f"{v:+.2f}" for v in row] for row in known]
    names = [[html.escape(name) for name in side] for side in (rows, columns)]
    trace = {"type": "heatmap", "z": known, "y": names[0], "x": names[1], "zmin": -most, "zmax": most, "colorscale": colours, "showscale": False}
    trace |= {"text": text, "texttemplate": "%{text}", "hovertemplate": "%{y} on %{x}: %{z:.4f}<extra></extra>", "xgap": 1, "ygap": 1}
    layout = _layout(title, x, y)
    layout["yaxis"] |= {"type": "category", "autorange": "reversed"}
    layout["xaxis"] |= {"type": "category"}
    return {"data": [trace], "layout": layout | {"height": 130 + 34 * len(rows)}}

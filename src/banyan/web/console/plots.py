"""Plots: lines over time, an interval over time, bars; intervals drawn beside each other. Each says in words what it shows and has its figures as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from banyan.web.cards import tag
from banyan.web.console.desk import number
from banyan.web.console.panels import table
from banyan.web.words import Words

COLOURS = ("#17603f", "#b45309", "#1d4ed8", "#9d174d", "#0e7490", "#6d28d9", "#4d7c0f", "#be123c", "#334155", "#a16207")
POINTS = 400  # of one line that are drawn
ROWS = 60  # of the table of figures
QUIET = "#56615a"

Number = float | int | None


def lines(words: Words, title: str, x: Sequence[str], series: Mapping[str, Sequence[Number]], *, unit: str = "", stacked: bool = False,
          about: str = "", height: int = 260) -> Any:  # fmt: skip
    """Lines over the texts `x`; gaps where there is no number. The chart, whose `options` may be changed by `line_options`."""
    with tag("figure", "plot"):
        tag("figcaption", "", title)
        chart = ui.echart(line_options(x, series, stacked=stacked)).classes("chart").style(f"height: {height}px")
        chart.props["role"], chart.props["aria-label"] = "img", about or f"{title}: {', '.join(series)}"
        _figures(words, title, x, series, unit)
    return chart


def line_options(x: Sequence[str], series: Mapping[str, Sequence[Number]], *, stacked: bool = False) -> dict[str, Any]:
    """ECharts' options of lines."""
    every = max(1, -(-len(x) // POINTS))
    drawn = [
        {
            "name": name,
            "type": "line",
            "data": list(values)[::every],
            "showSymbol": len(x) < 3,
            "smooth": False,
            "lineStyle": {"width": 2},
            "connectNulls": False,
        }
        | ({"stack": "all", "areaStyle": {"opacity": 0.25}} if stacked else {})
        for name, values in series.items()
    ]
    return _options(list(x)[::every], drawn, len(series))


def band(words: Words, title: str, x: Sequence[str], middle: Sequence[Number], low: Sequence[Number], high: Sequence[Number], names: tuple[str, str],
         *, about: str = "", unit: str = "") -> Any:  # fmt: skip
    """A line with its interval as a band around it, and a line at zero. `names` of the line and of the interval."""
    every = max(1, -(-len(x) // POINTS))
    width = [None if a is None or b is None else b - a for a, b in zip(low, high, strict=True)]
    hidden = {"type": "line", "stack": "band", "stackStrategy": "all", "symbol": "none", "lineStyle": {"opacity": 0}, "tooltip": {"show": False}}
    drawn: list[dict[str, Any]] = [
        {"name": "low", "data": list(low)[::every], **hidden},
        {"name": names[1], "data": width[::every], **hidden, "areaStyle": {"color": COLOURS[0], "opacity": 0.18}, "itemStyle": {"color": COLOURS[0]}},
        {"name": names[0], "type": "line", "data": list(middle)[::every], "symbol": "circle", "symbolSize": 5, "lineStyle": {"width": 2},
         "itemStyle": {"color": COLOURS[0]},
         "markLine": {"silent": True, "symbol": "none", "label": {"show": False}, "lineStyle": {"color": QUIET, "type": "dashed"}, "data": [{"yAxis": 0}]}},
    ]  # fmt: skip
    options = _options(list(x)[::every], drawn, 2)
    options["legend"]["data"] = [names[0], names[1]]
    with tag("figure", "plot"):
        tag("figcaption", "", title)
        chart = ui.echart(options).classes("chart").style("height: 280px")
        chart.props["role"], chart.props["aria-label"] = "img", about or title
        _figures(words, title, x, {names[0]: middle, f"{names[1]} −": low, f"{names[1]} +": high}, unit)
    return chart


def bars(title: str, values: Mapping[str, float | int], *, unit: str = "", marks: Mapping[str, float | int] | None = None) -> None:
    """Bars as lengths beside their names and figures; `marks` draws a line on a bar, such as what chance allows."""
    largest = max([*(abs(each) for each in values.values()), *(marks or {}).values(), 1e-12])
    with tag("div", "bars", role="list", aria_label=title):
        for name, value in values.items():
            with tag("div", "bar", role="listitem"):
                tag("span", "what", name)
                with tag("span", "track", aria_hidden="true"):
                    tag("span", "fill").style(f"width: {100 * abs(value) / largest:.2f}%")
                    if marks and name in marks:
                        tag("span", "mark").style(f"left: {100 * marks[name] / largest:.2f}%")
                tag("span", "much", f"{number(value)}{unit}")


def whiskers(rows: Sequence[tuple[str, Number, Number, Number, str]], label: str, *, zero: bool = False) -> None:
    """(Name, low, value, high, kind) as points with intervals on one scale; `kind` colours: better, worse or nothing. `zero` draws a line at 0."""
    known = [each for _, low, value, high, _ in rows for each in (low, value, high) if each is not None] + ([0.0] if zero else [])
    if not known:
        return
    least, most = min(known), max(known)
    span = (most - least) or abs(most) or 1.0
    least, span = least - 0.04 * span, 1.08 * span

    def at(value: float | int) -> float:
        return 100 * (value - least) / span

    with tag("div", "whiskers", role="list", aria_label=label):
        for name, low, value, high, kind in rows:
            with tag("div", "whisker", role="listitem"):
                tag("span", "what", name)
                with tag("span", "scale", aria_hidden="true"):
                    if zero:
                        tag("span", "zero").style(f"left: {at(0.0):.2f}%")
                    if low is not None and high is not None:
                        tag("span", f"span {kind}").style(f"left: {at(low):.2f}%; width: {at(high) - at(low):.2f}%")
                    if value is not None:
                        tag("span", f"dot {kind}").style(f"left: {at(value):.2f}%")
                between = f" [{low:+.3g}, {high:+.3g}]" if low is not None and high is not None else ""
                tag("span", "much", f"{value:+.3g}{between}" if value is not None else number(value))


def _options(x: list[str], drawn: list[dict[str, Any]], count: int) -> dict[str, Any]:
    return {
        "animation": False, "color": list(COLOURS), "aria": {"enabled": True}, "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 8, "right": 16, "top": 38 if count > 1 else 14, "bottom": 8, "containLabel": True},
        "legend": {"show": count > 1, "type": "scroll", "top": 0, "icon": "roundRect", "itemHeight": 8, "itemWidth": 14},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {"type": "category", "data": x, "boundaryGap": False, "axisLabel": {"hideOverlap": True, "color": QUIET}, "axisTick": {"show": False}},
        "yAxis": {"type": "value", "scale": True, "axisLabel": {"color": QUIET},
                  "splitLine": {"lineStyle": {"color": "#e8ece8"}}},
        "series": drawn,
    }  # fmt: skip


def _figures(words: Words, title: str, x: Sequence[str], series: Mapping[str, Sequence[Number]], unit: str) -> None:
    every = max(1, -(-len(x) // ROWS))
    with tag("details", "numbers"):
        tag("summary", "", words("figures"))
        rows = [[x[place], *(number(values[place]) for values in series.values())] for place in range(0, len(x), every)]
        table([words("at"), *(f"{name} ({unit})" if unit else name for name in series)], rows, title, numbers=range(1, 1 + len(series)))

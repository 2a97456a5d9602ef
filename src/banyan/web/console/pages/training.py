"""Training runs: how far they are, and the loss of every task as it falls. A run that goes on is drawn as it goes."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from banyan.serving.messages import ProgressOut
from banyan.web.cards import tag
from banyan.web.console import calls, plots
from banyan.web.console.desk import Desk, number
from banyan.web.console.panels import Cell, badge, figures, nothing, panel, table, trouble

EVERY = 5.0  # seconds between looks at a run that goes on
RUNS, TASKS = 50, 60
KINDS = {"running": "warn", "done": "good", "stopped": "bad"}
COMMAND = "banyan serve runs/first/bundle --runs runs"


async def page(desk: Desk) -> None:
    """Build the page."""
    told = await desk.ask(calls.TRAINING)
    if told.answer is None:
        trouble(told.trouble)
        return
    if not told.answer.runs:
        nothing(desk.words("training.none"), desk.words("training.none.hint"), COMMAND)
        return
    wished = desk.query.get("run", "")
    chosen = next((each for each in told.answer.runs if each.run == wished), told.answer.runs[0])
    with panel(desk.words("training.runs")):
        _runs(desk, told.answer.runs, chosen)
    _run(desk, chosen)


def _runs(desk: Desk, runs: list[ProgressOut], chosen: ProgressOut) -> None:
    heads = [desk.words(f"training.{key}") for key in ("run", "state", "step", "tasks")] + [desk.words("training.changed")]
    rows: list[list[Cell]] = [
        [
            partial(_link, desk, each, chosen),
            partial(_state, desk, each),
            number(each.step),
            number(len(each.losses)),
            desk.when(each.changed),
        ]
        for each in runs[:RUNS]
    ]
    table(heads, rows, desk.words("training.runs"), numbers=(2, 3))


def _link(desk: Desk, run: ProgressOut, chosen: ProgressOut) -> None:
    link = tag("a", "link", run.run, href=f"{desk.here.partition('?')[0]}?{urlencode({'run': run.run})}")
    if run is chosen:
        link.props["aria-current"] = "true"


def _state(desk: Desk, run: ProgressOut) -> None:
    badge(desk.words(f"training.{run.state}") if run.state in KINDS else run.state, KINDS.get(run.state, ""))


def _run(desk: Desk, run: ProgressOut) -> None:
    """The chosen run: its curves, one small plot a task, since losses of different tasks have different units."""
    drawn: dict[str, Any] = {}
    with panel(run.run):
        glance = tag("div", "", aria_live="off")
        tag("p", "note", desk.words("training.hint"))
        curves = tag("div", "charts small")
        judged = tag("div", "")

    async def fill(now: ProgressOut) -> None:
        glance.clear()
        with glance:
            _glance(desk, now)
        _curves(desk, curves, drawn, now)
        judged.clear()
        with judged:
            _judged(desk, now.metrics)

    async def look() -> None:
        told = await desk.ask(calls.TRAINING)
        now = next((each for each in told.answer.runs if each.run == run.run), None) if told.answer is not None else None
        if now is not None:
            await fill(now)
        if now is None or now.state != "running":
            timer.deactivate()

    with glance:
        _glance(desk, run)
    _curves(desk, curves, drawn, run)
    with judged:
        _judged(desk, run.metrics)
    timer = ui.timer(EVERY, look, immediate=False, active=run.state == "running")


def _glance(desk: Desk, run: ProgressOut) -> None:
    words = desk.words
    state = words(f"training.{run.state}") if run.state in KINDS else run.state
    steps = f"{number(run.step)} / {number(run.of)}" if run.of else number(run.step)
    figures([(words("training.state"), state, words("training.since", when=desk.when(run.changed))), (words("training.step"), steps, ""),
             (words("training.tasks"), number(len(run.losses)), "")])  # fmt: skip
    if run.of:
        tag("progress", "", max=run.of, value=min(run.step, run.of), aria_label=words("training.step"))


def curves(run: ProgressOut) -> dict[str, list[plots.Number]]:
    """Task -> its loss at each point of the run's curve."""
    names = list(dict.fromkeys(name for point in run.curve for name in point if name != "step"))
    return {name: [point.get(name) for point in run.curve] for name in names}


def _curves(desk: Desk, place: ui.element, drawn: dict[str, Any], run: ProgressOut) -> None:
    found = curves(run)
    x = [str(int(point["step"])) for point in run.curve if "step" in point]
    if not x or not found:
        place.clear()
        drawn.clear()
        with place:
            nothing(desk.words("training.no.steps"))
        return
    if set(drawn) != set(found):
        place.clear()
        drawn.clear()
        with place:
            for name, values in list(found.items())[:TASKS]:
                last = next((value for value in reversed(values) if value is not None), None)
                title = f"{name} · {number(last)}"
                about = desk.words("training.about", task=name, first=number(values[0]), last=number(last))
                drawn[name] = plots.lines(desk.words, title, x, {name: values}, about=about, height=150)
        return
    for name, chart in drawn.items():
        chart.options.clear()
        chart.options.update(plots.line_options(x, {name: found[name]}))
        chart.update()


def _judged(desk: Desk, metrics: Mapping[str, Any]) -> None:
    """The newest figures on validation rows, task by task."""
    tasks = {task: each for task, each in (metrics.get("valid") or {}).items() if isinstance(each, dict)}
    rows = [[task, ", ".join(f"{name} {number(value)}" for name, value in each.items() if isinstance(value, (int, float)))] for task, each in tasks.items()]
    if rows:
        tag("h3", "", desk.words("training.judged"))
        table([desk.words("task"), desk.words("training.metrics")], rows, desk.words("training.judged"))

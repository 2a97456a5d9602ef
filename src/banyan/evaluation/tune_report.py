"""What a search found, said: the front for the terminal, a page, JSON, and a fragment of `store.yaml`. Searches nothing."""

import html
import json
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.table import Table
from rich.text import Text

from banyan.disk import whole
from banyan.evaluation import table as said
from banyan.evaluation.plots import AXIS, COLOURS, FONT, Plot
from banyan.evaluation.report import framed, grid
from banyan.evaluation.tune import Search, Trial
from banyan.store.load import dump
from banyan.training.journal import as_json

PAGE, FIGURES, FRAGMENT, WHOLE = "tune.html", "tune.json", "fragment.yaml", "recommended.yaml"


def write(search: Search) -> Path:
    """Write page, JSON, the fragment and the whole description at the best point into the search's folder; returns the page's path."""
    texts = {PAGE: page(search), FIGURES: json.dumps(as_json(plain(search)), indent=1, ensure_ascii=False, allow_nan=False), FRAGMENT: fragment(search)}
    for name, text in texts.items():
        with whole(search.folder / name) as aside:
            aside.write_text(text, encoding="utf-8")
    dump(search.recommended, search.folder / WHOLE)
    return search.folder / PAGE


def fragment(search: Search) -> str:
    """The sections of `store.yaml` that the best trial changes."""
    best, before = (store.model_dump(mode="json", exclude_defaults=True) for store in (search.recommended, search.store))
    changed: dict[str, Any] = {}
    for section in ("model", "training"):
        mine = {key: value for key, value in best.get(section, {}).items() if before.get(section, {}).get(key) != value}
        changed |= {section: mine} if mine else {}
    weights = {task: {"weight": each.weight} for task, each in search.recommended.tasks.items() if each.weight != search.store.tasks[task].weight}
    changed |= {"tasks": weights} if weights else {}
    line = f"# {sentence(search)}\n"
    return line + (yaml.safe_dump(changed, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120) if changed else "# Nothing to change.\n")


def sentence(search: Search) -> str:
    """What the search comes to."""
    best, minutes = search.best, search.seconds / 60
    tried = f"{len(search.trials)} trials ended, {search.pruned} were stopped early, {search.failed} failed, in {minutes:.0f} minutes"
    if not best.number:
        return f"The description as it is was not beaten by any trial of the front ({tried})."
    over = f"{best.score:+.1%} mean relative gain on validation rows over the description as it is, the best of many and so flattered"
    return f"Trial {best.number + 1}: {over} ({tried})."


def front(search: Search) -> list[Trial]:
    """Trials that no other beats, the best mean first, and the description as it is at the end."""
    found = sorted((each for each in search.trials if each.front), key=lambda each: -each.score)
    return found + [each for each in search.trials if not each.number and not each.front]


def table(search: Search) -> Table:
    """The front for the terminal."""
    title = Text(f"{search.store.store}: the Pareto front, validation rows")
    shown = Table("trial", "mean gain", title=title, caption=Text(sentence(search)), box=box.SIMPLE_HEAD)
    for task in search.metrics:
        shown.add_column(Text(_headed(search, task)), justify="right")
    for each in front(search):
        shown.add_row(*(Text(cell) for cell in _cells(search, each)))
    return shown


def _headed(search: Search, task: str) -> str:
    metric, rising = search.metrics[task]
    return f"{task} {metric} {'↑' if rising else '↓'}"


def _cells(search: Search, trial: Trial) -> list[str]:
    name = str(trial.number + 1) if trial.number else "as it is"
    return [name, f"{trial.score:+.2%}", *(said.number(trial.values[task]) for task in search.metrics)]


def page(search: Search) -> str:
    """The page as HTML; it stands by itself."""
    header = ["trial", "mean gain", *(_headed(search, task) for task in search.metrics)]
    points = sorted({key for each in search.trials for key in each.point})
    tried = [[str(each.number + 1), f"{each.score:+.2%}", *(str(each.point.get(key, "–")) for key in points)] for each in search.trials]
    advice = f"<p>{html.escape(sentence(search))}</p><pre>{html.escape(fragment(search))}</pre>"
    notes = "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in search.notes) + "</ul>" if search.notes else ""
    sections: list[tuple[str, str, list[Plot] | None]] = [
        ("Recommendation", advice, None),
        ("The Pareto front", FRONT + grid(header, [_cells(search, each) for each in front(search)], (0,)), _plots(search)),
        ("Every trial", grid(["trial", "mean gain", *points], tried, (0,)), None),
        ("Notes", notes, None),
    ]
    return framed(search.store.store, sections, "A search of the model's options, one objective a task.")


def _plots(search: Search) -> list[Plot]:
    """Each task against the mean gain: the front in one colour, the other trials in another."""
    found = []
    for task in search.metrics:
        traces = []
        for name, wanted, colour in (("other trials", False, "#9aa7a0"), ("front", True, COLOURS[0])):
            here = [each for each in search.trials if each.front == wanted]
            hover = "trial %{text}: %{y:.4f}<extra></extra>"
            points = {"x": [100 * each.score for each in here], "y": [each.values[task] for each in here], "text": [str(each.number + 1) for each in here]}
            traces.append({"type": "scatter", "mode": "markers", "name": name, **points, "marker": {"color": colour, "size": 8}, "hovertemplate": hover})
        axes = {"xaxis": {**AXIS, "title": {"text": "mean gain, %"}}, "yaxis": {**AXIS, "title": {"text": html.escape(_headed(search, task))}}}
        frame = {"font": FONT, "height": 260, "margin": {"l": 48, "r": 12, "t": 36, "b": 40}, "showlegend": False}
        layout = {"title": {"text": html.escape(task)}, **frame, **axes}
        found.append({"data": traces, "layout": layout})
    return found


def plain(search: Search) -> dict[str, Any]:
    """Everything as JSON-able values."""
    return {
        "said": sentence(search),
        "best": search.best.number,
        "metrics": search.metrics,
        "trials": [vars(each) for each in search.trials],
        "pruned": search.pruned,
        "failed": search.failed,
        "seconds": search.seconds,
        "space": {key: each.model_dump(exclude_none=True) for key, each in search.space.ranges.items()},
    }


FRONT = "<p>Trials that no other trial beats on one task without losing on another, on validation rows. Which of them to take is a choice between tasks.</p>"

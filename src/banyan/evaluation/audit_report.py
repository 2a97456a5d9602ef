"""What an audit found, said: tables for the terminal, a page with heat maps, JSON, and a fragment of `store.yaml`. Measures nothing."""

import html
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich import box
from rich.table import Table
from rich.text import Text

from banyan.disk import whole
from banyan.evaluation import plots, scenario_report, table
from banyan.evaluation.audit import Audit, Help
from banyan.evaluation.certainty import LEVEL, Gain
from banyan.evaluation.grouping import LOSES, share
from banyan.evaluation.report import framed, grid
from banyan.store.load import dump
from banyan.training.journal import as_json
from banyan.types import Array

PAGE, FIGURES, FRAGMENT, WHOLE = "audit.html", "audit.json", "fragment.yaml", "recommended.yaml"
SURE = 3.0  # standard errors of an affinity from which on it is named; there are many pairs


def write(audit: Audit) -> Path:
    """Write page, JSON, the fragment and the whole recommended description into the audit's folder; returns the page's path."""
    texts = {
        PAGE: page(audit),
        FIGURES: json.dumps(as_json(plain(audit)), indent=1, ensure_ascii=False, allow_nan=False),
        FRAGMENT: fragment(audit),
    }
    for name, text in texts.items():
        with whole(audit.folder / name) as aside:
            aside.write_text(text, encoding="utf-8")
    dump(audit.recommended, audit.folder / WHOLE)
    return audit.folder / PAGE


def fragment(audit: Audit) -> str:
    """What to change in `store.yaml`, as YAML; a comment where there is nothing to change."""
    chosen, found = audit.chosen.variant, dict[str, Any]()
    groups = [list(group) for group in chosen.groups]
    model: dict[str, Any] = {} if groups == audit.store.model.groups else {"groups": groups, **({"between": "nothing"} if groups else {})}
    model |= {key: value for key, value in (("sharing", chosen.sharing), ("balancing", chosen.balancing)) if value}
    if model:
        found["model"] = model
    if unlabelled := [name for name in chosen.without if name in audit.store.tasks]:
        found["tasks"] = {name: {"pseudo_labels": False} for name in unlabelled}
    stops = {name: name in chosen.stopped for name, task in audit.store.tasks.items() if task.stop_gradient != (name in chosen.stopped)}
    if stops:
        told = found.setdefault("tasks", {})
        for task, stop in stops.items():
            told[task] = {**told.get(task, {}), "stop_gradient": stop}
    gone = [name for name in chosen.without if name in audit.store.auxiliary]
    said = "".join(f"# {line}\n" for line in [*sentences(audit), *([f"Take out of `auxiliary`: {', '.join(gone)}."] if gone else [])])
    return said + (yaml.safe_dump(found, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120) if found else "# Nothing to change.\n")


def sentences(audit: Audit) -> list[str]:
    """The recommendation, and how sure it is."""
    found = [_choice(audit)]
    found += [f"{name}: {_counted(family)}." for name, family in audit.gains.items()]
    apart = [task for task, gain in audit.alone_valid.items() if gain > LOSES]
    if apart:
        found.append(f"On validation rows {', '.join(apart)} did better alone than together; the last comparison above says how sure that is on test rows.")
    found += _helping(audit)
    if audit.between:
        found += scenario_report.sentences(audit.between, _runs(audit))
    fights = list(_fights(audit))
    if fights:
        found.append("Steps that add to another task's loss, by more than three standard errors: " + "; ".join(fights) + ".")
    found.append(_certain(audit))
    return found


def _helping(audit: Audit) -> Iterator[str]:
    """What auxiliary tasks and pseudo-labels gave."""
    for name in dict.fromkeys(each.name for each in audit.helps):
        mine = [each for each in audit.helps if each.name == name]
        sure = {"helps": [each.task for each in mine if each.low > 0], "harms": [each.task for each in mine if each.high < 0]}
        said = "; ".join(f"{word} {', '.join(tasks)}" for word, tasks in sure.items() if tasks) or "no task is shown to gain or to lose by it"
        yield f"{name}: {said} (validation rows, {_runs(audit)}, intervals not corrected for their number)."


def _choice(audit: Audit) -> str:
    score, label = audit.validation["best"], audit.best.label
    if audit.best.variant.changes() == 0:
        return "Train all tasks together, as the description has it: no other arm did better on validation rows."
    over = f"{score:+.1%} mean relative gain on validation rows over all together, {_runs(audit)}"
    if audit.chosen == audit.best:
        shown = [each.verdict for name, family in audit.gains.items() if name.endswith("over together") for each in family]
        sure = "" if "better" in shown else " On test rows no task is shown to gain by it, so little is lost by leaving the description as it is."
        return f"Take: {label} ({over}).{sure}"
    return f"Keep all tasks together: the best of the race, {label}, did not do better at full length ({over})."


def _runs(audit: Audit) -> str:
    return f"{audit.seeds} seeds" if audit.seeds > 1 else "one seed"


def _counted(family: list[Gain]) -> str:
    words = [each.verdict for each in family]
    named = [f"{word} on {', '.join(e.task for e in family if e.verdict == word)}" for word in ("better", "worse") if word in words]
    same = words.count("no difference")
    return ", ".join([*named, *([f"no difference on {same} of {len(words)} tasks"] if same else [])]) or "undefined"


def _fights(audit: Audit) -> Iterator[str]:
    a = audit.affinities
    for i, one in enumerate(a.tasks):
        for j, other in enumerate(a.tasks):
            if i != j and a.ahead[i, j] < -SURE * a.ahead_error[i, j]:
                yield f"{one} on {other}"


def _certain(audit: Audit) -> str:
    short = f" Each run had {audit.share:.0%} of the store's own budget; a longer one may say otherwise." if audit.share < 1 else ""
    count = sum(len(family) for family in audit.gains.values())
    return (
        f"Chosen on validation rows; the verdicts are of test rows, which chose nothing: {count} paired comparisons, {_runs(audit)}, "
        f"at most one chance in {1 / LEVEL:.0f} of a single false word among them (Holm).{short}"
    )


def tables(audit: Audit) -> Iterator[Table | Text]:
    """What the terminal shows."""
    value = share(audit.affinities)
    yield _matrix("A step on the row's task lowers the column's loss (share of what its own step does)", audit.affinities.tasks, value)
    yield _matrix("Cosine of the gradients", audit.affinities.tasks, audit.affinities.cosine)
    heats = Table("share of the budget", "arm", "validation, over together", title=Text("The race"), box=box.SIMPLE_HEAD)
    for heat in audit.heats:
        heats.add_row(f"{heat.share:.0%}", Text(heat.arm.label), _percent(heat.score))
    yield heats
    if audit.helps:
        found = Table("left out", "task", "gain of having it", "interval over seeds", title=Text("Auxiliary tasks and pseudo-labels"), box=box.SIMPLE_HEAD)
        for help_ in audit.helps:
            found.add_row(*map(Text, _given(help_)))
        yield found
    if audit.between:
        yield from scenario_report.tables(audit.between)
    for name, family in audit.gains.items():
        found = Table("task", "metric", "ours", "theirs", "gain", "p, of all", "verdict", title=Text(name), box=box.SIMPLE_HEAD)
        for each in family:
            style = table.COLOURS.get(each.verdict, "")
            found.add_row(Text(each.task), *(Text(cell, style=style) for cell in cells(each)[2:]))
        yield found
    yield Text("\n".join(f"- {line}" for line in sentences(audit)))


def _given(each: Help) -> list[str]:
    """Name, task, relative gain, interval."""
    wide = "one seed" if math.isnan(each.low) else f"{each.low:+.2%} to {each.high:+.2%}"
    return [each.name, each.task, _percent(each.gain), wide]


def cells(gain: Gain) -> list[str]:
    """Task, scenario, metric, both figures, gain with its interval, adjusted p, verdict."""
    p = "undefined" if math.isnan(gain.adjusted) else f"{gain.adjusted:.3f}" if gain.adjusted >= 0.001 else "< 0.001"
    return [gain.task, gain.scenario or "all", gain.metric, table.number(gain.ours), table.number(gain.theirs), table.signed(gain.interval), p, gain.verdict]


def _matrix(title: str, names: list[str], value: Array) -> Table:
    found = Table("", title=Text(title), box=box.SIMPLE_HEAD)
    for name in names:
        found.add_column(Text(name))
    for name, row in zip(names, value, strict=True):
        found.add_row(Text(name), *(_signed(float(each)) for each in row))
    return found


def _signed(value: float) -> Text:
    style = "green" if value > 0.02 else "red" if value < -0.02 else "dim"
    return Text("–" if math.isnan(value) else f"{value:+.2f}", style=style)


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:+.2%}"


def page(audit: Audit) -> str:
    """The page as HTML; it stands by itself."""
    said = "".join(f"<p>{html.escape(line)}</p>" for line in sentences(audit))
    tasks = audit.affinities.tasks
    shown = f"<p>What to change in <code>store.yaml</code>:</p><pre>{html.escape(fragment(audit))}</pre>"
    header = ["task", "scenario", "metric", "ours", "theirs", "gain", "p, of all", "verdict"]
    races = grid(["share of the budget", "arm", "why", "validation, over together", "seconds"], [_heat(each) for each in audit.heats], (0, 1, 2))
    maps = [
        plots.heat("Lookahead", tasks, tasks, share(audit.affinities).tolist(), "whose loss", "whose step"),
        plots.heat("Cosine of gradients", tasks, tasks, audit.affinities.cosine.tolist(), "", ""),
    ]
    families = [(name, grid(header, [cells(each) for each in family], (0, 1, 2)), None) for name, family in audit.gains.items()]
    split = [(name, family) for name, family in audit.by_scenario.items() if family]
    scenarios = [(f"{name}, by scenario", grid(header, [cells(each) for each in family], (0, 1, 2)), None) for name, family in split]
    notes = "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in dict.fromkeys(audit.notes)) + "</ul>" if audit.notes else ""
    measured = int(np.nanmax(audit.affinities.counts, initial=0))
    cost = f"<p>{audit.seconds / 60:.1f} minutes; affinity {audit.affinities.seconds:.0f} s of them, {measured} measurements.</p>"
    first = [("Recommendation", said + shown, None), ("Which tasks help each other", MAPS, maps), ("The race", races, None), *_helps(audit)]
    if audit.between:
        first += scenario_report.sections(audit.between)
    return framed(audit.store.store, [*first, *families, *scenarios, ("Notes", notes, None), ("Cost", cost, None)], "An audit: which tasks to train together.")


def _helps(audit: Audit) -> list[tuple[str, str, None]]:
    """The section on auxiliary tasks and pseudo-labels, if there are any."""
    header = ["left out", "task", "gain of having it", "interval over seeds"]
    return [("Auxiliary tasks and pseudo-labels", grid(header, [_given(each) for each in audit.helps], (0, 1)), None)] if audit.helps else []


def _heat(heat: Any) -> list[str]:
    return [f"{heat.share:.0%}", heat.arm.label, heat.arm.proposal.why, _percent(heat.score), f"{heat.seconds:.0f}"]


def plain(audit: Audit) -> dict[str, Any]:
    """Everything as JSON-able values."""
    return {
        "recommended": {key: getattr(audit.chosen.variant, key) for key in ("groups", "stopped", "sharing", "balancing", "without")},
        "helps": [vars(each) for each in audit.helps],
        "said": sentences(audit),
        "share": audit.share,
        "seeds": audit.seeds,
        "validation": {**audit.validation, "alone by task": audit.alone_valid},
        "affinities": audit.affinities.plain(),
        "race": [{**vars(heat), "arm": heat.arm.label, "why": heat.arm.proposal.why} for heat in audit.heats],
        "gains": {name: [each.plain() for each in family] for name, family in audit.gains.items()},
        "by scenario": {name: [each.plain() for each in family] for name, family in audit.by_scenario.items()},
        "between scenarios": scenario_report.plain(audit.between) if audit.between else None,
        "seconds": audit.seconds,
    }


MAPS = (
    "<p>Left: how far a step on the row's task alone lowers the column's loss, as a share of what the column's own step does; what is within one standard "
    "error of 0 is shown as 0. Right: the cosine of the two gradients over the numbers that both move. Green helps, red fights.</p>"
)

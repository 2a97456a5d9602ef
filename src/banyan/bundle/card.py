"""The model card of a bundle: what it was trained on, what it answers and how well, with which options and versions."""

import json
from collections.abc import Mapping
from typing import Any

from banyan.features.data import Data
from banyan.model import Network
from banyan.store.schema import Store
from banyan.store.times import text

SHOWN = ("sharing", "history", "cross", "width", "length", "balancing", "id_dropout")


def card(store: Store, network: Network, data: Data, facts: Mapping[str, Any]) -> str:
    """Markdown."""
    parts = [
        f"# Model card: {store.store}",
        "One multi-task model, written by Banyan. Load it with `banyan.Bundle.load(folder)`; every file is checked against `manifest.json`.",
        "## What it answers",
        _table(("task", "kind", "samples", "answer"), [_task(name, store, network) for name in network.views]),
        "## How well",
        _metrics(facts.get("metrics")),
        *_calibration(facts.get("calibration")),
        *_together(facts.get("stores")),
        *_started(facts.get("start_from")),
        "## Data",
        _table(("table", "training rows", "validation rows", "test rows"), _rows(facts["rows"])),
        _table(("entity", "rows", "features"), [_entity(name, data) for name in data.stock.ids]),
        _log(data, facts),
        "## Options",
        "```json\n" + json.dumps({**{key: getattr(store.model, key) for key in SHOWN}, **dict(facts.get("options") or {})}, indent=1, default=str) + "\n```",
        f"{_dense(network):,} dense parameters; {network.plan.rows:,} embeddings of {network.embeddings.weight.shape[1]} numbers.",
        "## Versions",
        _table(("package", "version"), [[name, each] for name, each in facts["versions"].items()]),
        "## Notes and limits",
        _notes(facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _dense(network: Network) -> int:
    """How many numbers a bundle holds beside the embeddings: those of auxiliary tasks are left out."""
    whole, less = (sum(p.numel() for p in module.parameters()) for module in (network, network.auxiliary))
    return whole - less


def _task(name: str, store: Store, network: Network) -> list[str]:
    spec, columns = store.tasks[name], list(network.task(name).columns())
    answer = ", ".join(columns[:6]) + (f" and {len(columns) - 6} more" if len(columns) > 6 else "") if columns else "a score for every item"
    return [name + (" (auxiliary: not served)" if spec.auxiliary else ""), spec.kind, spec.samples, answer]


def _rows(found: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    return [[name, *(f"{count:,}" for count in parts.values())] for name, parts in found.items()]


def _entity(name: str, data: Data) -> list[str]:
    return [name, f"{len(data.stock.ids[name]):,}", ", ".join(data.plan.entities[name].features) or "none"]


def _metrics(found: Any) -> str:
    if not isinstance(found, Mapping) or not found:
        return "No metrics were given when the bundle was saved."
    rows = [[task, figure, _figure(value)] for task, figures in found.items() if isinstance(figures, Mapping) for figure, value in figures.items()]
    return _table(("task", "metric", "value"), rows) if rows else "```json\n" + json.dumps(found, indent=1) + "\n```"


def _calibration(found: Any) -> list[str]:
    """What the maps over the answers changed, on test rows."""
    rows = [
        [task, figure, _figure(value), _figure(each["after"].get(figure))]
        for task, each in (found or {}).items()
        for figure, value in each["before"].items()
        if value != each["after"].get(figure)
    ]
    return ["## Calibration", _table(("task", "metric", "before", "after"), rows)] if rows else []


def _together(found: Any) -> list[str]:
    """Of a model of several stores: what they share."""
    if not found:
        return []
    said = "Each store is a scenario; rows name it in the column `store`, and an id that is not shared is `store:id`."
    return ["## Stores", said, _table(("what", *found["names"]), found["found"])]


def _started(found: Any) -> list[str]:
    """What the model began as: features shared with the bundle it started from, and how much of each part moved."""
    if not found:
        return []
    frozen = ", ".join(found["freeze"]) or "nothing"
    until = f" for {found['thaw']} epochs" if found["thaw"] else ""
    said = f"From the bundle of {found['store']} (digest {found['bundle'][:12]}); frozen: {frozen}{until}."
    features = [[each["feature"], each["there"] or "none", each["found"]] for each in found["features"]]
    moved = [[each["part"], f"{each['moved']:,}", f"{each['new']:,}", each["why"]] for each in found["moved"]]
    return ["## What it started from", said, _table(("feature", "there", "found"), features), _table(("part", "moved", "new", "why"), moved)]


def _figure(value: Any) -> str:
    return "undefined" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _log(data: Data, facts: Mapping[str, Any]) -> str:
    log = data.stock.log
    if log is None or not len(log.item):
        return ""
    said = f"{len(log.item):,} events ({', '.join(log.behaviours)})"
    if log.clock == "time":
        said += f" from {text(int(log.time.min()))} to {text(int(log.time.max()))} (UTC)"
    since = facts.get("since")
    return said + (f"; the bundle answers as of {text(since) if log.clock == 'time' else since} or later." if since is not None else ".")


def _notes(facts: Mapping[str, Any]) -> str:
    own = [
        "Answers are computed in 32-bit floating point.",
        "An id that training did not see is answered by its features alone; a user without events by what such users did.",
        "A probability is that of the population that the samples stand for; a shop that changed needs a new training.",
    ]
    return "\n".join(f"- {note}" for note in [*own, *(str(n) for n in facts.get("notes") or [])])


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in [list(head), *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])

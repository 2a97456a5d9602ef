"""The data behind the model: what the store has, which rows it was trained on, what was noted about them, what has moved since."""

import asyncio

from banyan.serving.messages import FreshnessAnswer, OverviewAnswer, StoreAnswer
from banyan.serving.messages_console import EvaluationAnswer
from banyan.web.cards import tag
from banyan.web.console import calls
from banyan.web.console.aging import aging
from banyan.web.console.desk import Desk, number
from banyan.web.console.panels import figures, nothing, panel, table, trouble

COMMAND = "banyan check store.yaml"
NOTES = 200


async def page(desk: Desk) -> None:
    """Build the page."""
    store, judged, fresh, seen = await asyncio.gather(desk.ask(calls.STORE), desk.ask(calls.EVALUATION), desk.ask(calls.FRESHNESS), desk.ask(calls.OVERVIEW))
    if store.answer is None:
        trouble(store.trouble)
        return
    _store(desk, store.answer)
    with panel(desk.words("data.notes")):
        _notes(desk, judged.answer)
    with panel(desk.words("data.rows")):
        _rows(desk, judged.answer)
    with panel(desk.words("data.live")):
        _live(desk, fresh.answer, seen.answer)
    if fresh.answer is not None:
        aging(desk, fresh.answer)


def _store(desk: Desk, store: StoreAnswer) -> None:
    words = desk.words
    with panel(words("data.store")):
        figures([(name, number(count), words("data.features", count=len(store.entities.get(name, {})))) for name, count in store.rows.items()])
        facts = [(words("data.behaviours"), store.behaviours), (words("data.scenarios"), store.scenarios), (words("data.tasks"), list(store.tasks))]
        with tag("dl", "pairs"):
            for what, names in facts:
                tag("dt", "", what)
                tag("dd", "", ", ".join(names[:60]) + (" …" if len(names) > 60 else "") or "–")
            tag("dt", "", words("data.clock"))
            tag("dd", "", words(f"data.clock.{store.clock}") if words.known(f"data.clock.{store.clock}") else store.clock)
        for name, features in store.entities.items():
            with tag("details", "numbers"):
                tag("summary", "", words("data.columns", entity=name, count=len(features)))
                rows = [
                    [key, each.kind, ", ".join(each.values[:8]) or (f"{number(each.least)} … {number(each.most)}" if each.least is not None else "–")]
                    for key, each in features.items()
                ]
                table([words("feature"), words("data.kind"), words("data.values")], rows, name)


def _notes(desk: Desk, judged: EvaluationAnswer | None) -> None:
    words = desk.words
    if judged is not None and judged.notes:
        with tag("ul", "notes"):
            for each in judged.notes[:NOTES]:
                tag("li", "", each)
    else:
        nothing(words("data.no.notes"))
    tag("p", "note", words("data.check"))
    tag("code", "command", COMMAND, tabindex="0")


def _rows(desk: Desk, judged: EvaluationAnswer | None) -> None:
    words = desk.words
    if judged is None or not judged.rows:
        nothing(words("data.no.rows"))
        return
    parts = ("train", "valid", "test")
    rows = [[name, *(number(counts.get(part)) for part in parts)] for name, counts in judged.rows.items()]
    table([words("data.table"), *(words(f"data.{part}") for part in parts)], rows, words("data.rows"), numbers=(1, 2, 3))


def _live(desk: Desk, fresh: FreshnessAnswer | None, seen: OverviewAnswer | None) -> None:
    words = desk.words
    pairs = []
    if seen is not None:
        pairs.append((words("overview.events"), number(seen.events), words("data.since.start")))
    if fresh is not None:
        pairs += [
            (words("data.last"), number(fresh.last_event), ""),
            (words("data.through"), number(fresh.trained_through), ""),
            (words("data.waiting"), number(fresh.waiting), ""),
        ]
    figures(pairs)

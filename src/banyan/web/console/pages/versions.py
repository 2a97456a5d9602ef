"""Versions of the model: which answers, try one, let one answer, go back, take one in, delete one; who changed that and when."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from banyan.client import Call
from banyan.serving.messages import ChangeOut, ModelOut, ModelsAnswer
from banyan.web.cards import tag
from banyan.web.console import calls
from banyan.web.console.desk import Desk, Told, number
from banyan.web.console.panels import Cell, Field, badge, button, nothing, panel, sure, table, trouble

HISTORY = 50  # changes that are shown


async def page(desk: Desk) -> None:
    """Build the page."""
    found = tag("div", "", aria_live="polite")
    body = tag("div", "")

    async def fill() -> None:
        models, waiting = await asyncio.gather(desk.ask(calls.MODELS), desk.ask(calls.INCOMING))
        body.clear()
        with body:
            if models.answer is None:
                trouble(models.trouble)
                return
            _listed(desk, models.answer, do, check)
            _adding(desk, waiting.answer.folders if waiting.answer else [], do)
            _changes(desk, models.answer.changes)

    async def do(call: Call[Any], said: str) -> bool:
        told: Told[Any] = await desk.ask(call)
        found.clear()
        with found:
            if told.answer is None:
                trouble(told.trouble)
            else:
                tag("p", "fine", said)
        await fill()
        return told.answer is not None

    async def check(version: str) -> None:
        told = await desk.ask(calls.check(version))
        found.clear()
        with found:
            if told.answer is None:
                trouble(told.trouble)
                return
            asked = {name: number(value) for name, value in told.answer.figures.items()}
            about = desk.words("versions.tried", requests=asked.get("requests", "–"), milliseconds=asked.get("milliseconds", "–"))
            with panel(desk.words("versions.passed" if told.answer.passed else "versions.failed", version=version), "good" if told.answer.passed else "bad"):
                tag("p", "note", about)
                with tag("ul", ""):
                    for each in told.answer.findings:
                        tag("li", "", each)

    await fill()


Do = Callable[[Call[Any], str], Awaitable[bool]]


def _listed(desk: Desk, models: ModelsAnswer, do: Do, check: Callable[[str], Awaitable[None]]) -> None:
    words = desk.words
    before = previous(models)
    with panel(words("versions.kept")):
        if not models.versions:
            nothing(words("versions.none"))
            return
        if before:
            back = sure(desk, words("versions.back.sure", now=models.active, before=before), words("versions.back"),
                        lambda: do(calls.ROLL_BACK, words("versions.backed", version=before)), words("versions.sure.hint"))  # fmt: skip
            button(words("versions.back.to", version=before), back, "button quiet")
        heads = [words(f"versions.{key}") for key in ("version", "state", "added", "note", "time", "do")]
        rows: list[list[Cell]] = [
            [each.version, partial(_states, desk, each), desk.when(each.added), each.note or "–", milliseconds(each),
             partial(_acts, desk, each, do, check)]
            for each in models.versions
        ]  # fmt: skip
        table(heads, rows, words("versions.kept"), numbers=(4,))


def previous(models: ModelsAnswer) -> str:
    """The version that a roll back would let answer again; empty without one."""
    trail = (models.changes[0].after or {}).get("trail") if models.changes else None
    return str(trail[-1]) if trail else ""


def milliseconds(model: ModelOut) -> str:
    """The median time of an answer when the version was tried."""
    found = model.facts.get("milliseconds") or 0.0
    return number(found) if found else "–"


def _states(desk: Desk, model: ModelOut) -> None:
    if model.active:
        badge(desk.words("versions.answers"), "good")
    if model.shadow:
        badge(desk.words("versions.shadow"), "warn")
    if not model.active and not model.shadow:
        tag("span", "note", desk.words("versions.rests"))


def _acts(desk: Desk, model: ModelOut, do: Do, check: Callable[[str], Awaitable[None]]) -> None:
    words, version = desk.words, model.version

    def act(key: str, work: Callable[[], Awaitable[object]]) -> None:
        button(words(f"versions.{key}"), work, "button small quiet", label=f"{words(f'versions.{key}')}: {version}")

    with tag("div", "buttons"):
        act("check", lambda: check(version))
        if not model.active:
            promoting = partial(do, calls.promote(version), words("versions.promoted", version=version))
            act("promote", sure(desk, words("versions.promote.sure", version=version), words("versions.promote"), promoting, words("versions.sure.hint")))
        if model.shadow:
            act("shadow.end", lambda: do(calls.shadow("none"), words("versions.shadow.ended")))
        elif not model.active:
            act("shadow.begin", lambda: do(calls.shadow(version), words("versions.shadowed", version=version)))
            removing = partial(do, calls.remove(version), words("versions.removed", version=version))
            act("remove", sure(desk, words("versions.remove.sure", version=version), words("versions.remove"), removing))


def _adding(desk: Desk, folders: list[str], do: Do) -> None:
    words = desk.words
    with panel(words("versions.add")):
        if not folders:
            nothing(words("versions.no.incoming"), words("versions.incoming.hint"), "cp -r runs/next/bundle service/incoming/next")
            return
        folder = Field(words("versions.folder"), folders[0], kind="select", choices=[(each, each) for each in folders])
        note = Field(words("versions.note"), hint=words("versions.note.hint"), maxlength=500)
        button(words("versions.take"), lambda: do(calls.add(folder.value, note.value), words("versions.taken", folder=folder.value)))


def _changes(desk: Desk, changes: list[ChangeOut]) -> None:
    words = desk.words
    with panel(words("history")):
        if not changes:
            nothing(words("history.none"))
            return
        rows = [[desk.when(each.at), each.who, layout_change(desk, each)] for each in changes[:HISTORY]]
        table([words("at"), words("who"), words("what")], rows, words("history"))


def layout_change(desk: Desk, change: ChangeOut) -> str:
    """What a change of the layout did, in words."""
    words, before, after = desk.words, change.before or {}, change.after or {}
    said = []
    if before.get("active") != after.get("active"):
        said.append(words("change.active", before=before.get("active") or "–", after=after.get("active") or "–"))
    if (before.get("shadow") or "") != (after.get("shadow") or ""):
        said.append(words("change.shadow", version=after["shadow"]) if after.get("shadow") else words("change.shadow.end"))
    one, two = before.get("split") or {}, after.get("split") or {}
    if one.get("name") != two.get("name"):
        said.append(
            words("change.split", name=two["name"], version=two["version"], share=f"{two['share']:.0%}") if two else words("change.split.end", name=one["name"])
        )
    return "; ".join(said) or words("change.none")

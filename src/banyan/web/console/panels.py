"""What the console's pages are made of: panels, figures, tables, fields, buttons, questions before something is done. Every text is set as text."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from banyan.web.cards import tag
from banyan.web.console.desk import Desk

Cell = str | Callable[[], object]  # a text, or what makes the cell's content
TYPED = "(event) => emit(event.target.value)"
PAUSED = "(event) => {{ const text = event.target.value; clearTimeout(event.target.asking); event.target.asking = setTimeout(() => emit(text), {pause}) }}"
ROWS = 200  # of a table that are shown
LONG = 12  # letters of a figure from which it is written smaller


@contextmanager
def panel(title: str = "", classes: str = "", **props: Any) -> Iterator[TextElement]:
    """A part of a page with a heading."""
    with tag("section", f"panel {classes}".strip(), **({"aria_label": title} if title else {}), **props) as found:
        if title:
            tag("h2", "", title)
        yield found


def trouble(text: str) -> None:
    """Why a part of a page has nothing to show."""
    tag("p", "wrong", text, role="alert")


def nothing(text: str, hint: str = "", command: str = "") -> None:
    """There is nothing yet, and what would make it."""
    with tag("div", "nothing"):
        tag("p", "", text)
        if hint:
            tag("p", "note", hint)
        if command:
            tag("code", "command", command, tabindex="0")


def figures(pairs: Sequence[tuple[str, str, str]]) -> None:
    """(What, how much, a word on it) as tiles."""
    with tag("dl", "figures"):
        for what, much, word in pairs:
            with tag("div", "figure"):
                tag("dt", "", what)
                tag("dd", "long" if len(much) > LONG else "", much)
                if word:
                    tag("dd", "note", word)


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], label: str, *, numbers: Sequence[int] = (), most: int = ROWS, more: str = "") -> None:
    """A table that scrolls sideways where it must; the first cell of a row names it. `more` is said below where there are rows that are not shown."""
    with tag("div", "wide", tabindex="0", role="region", aria_label=label), tag("table", ""):
        with tag("thead", ""), tag("tr", ""):
            for place, head in enumerate(heads):
                tag("th", "number" if place in numbers else "", head, scope="col")
        with tag("tbody", ""):
            for row in rows[:most]:
                with tag("tr", ""):
                    for place, cell in enumerate(row):
                        _cell("th" if place == 0 else "td", "number" if place in numbers else "", cell)
    if len(rows) > most and more:
        tag("p", "note", more)


def _cell(name: str, classes: str, cell: Cell) -> None:
    props = {"scope": "row"} if name == "th" else {}
    if isinstance(cell, str):
        tag(name, classes, cell, **props)
        return
    with tag(name, classes, **props):
        cell()


def badge(text: str, kind: str = "") -> None:
    """A word on a coloured ground; the word says it, the colour only helps."""
    tag("span", f"badge {kind}".strip(), text)


def button(text: str, act: Callable[[], Awaitable[object]], classes: str = "button", label: str = "", **props: Any) -> TextElement:
    """A button that is switched off while what it began goes on."""
    found = tag("button", classes, text, type="button", **({"aria_label": label} if label else {}), **props)

    async def pressed() -> None:
        if "disabled" in found.props:
            return
        found.props["disabled"] = True
        found.update()
        try:
            await act()
        finally:
            if not found.is_deleted:
                del found.props["disabled"]
                found.update()

    found.mark("button").on("click", pressed)
    return found


def sure(desk: Desk, text: str, yes: str, act: Callable[[], Awaitable[object]], hint: str = "") -> Callable[[], Awaitable[None]]:
    """Asks before it does something; what is returned is a button's act."""

    async def ask() -> None:
        with ui.dialog() as dialog, tag("div", "ask", role="alertdialog", aria_modal="true", aria_label=text):
            tag("p", "strong", text)
            if hint:
                tag("p", "note", hint)
            with tag("div", "buttons"):
                tag("button", "button quiet", desk.words("cancel"), type="button", autofocus="autofocus").on("click", lambda: dialog.submit(False))
                tag("button", "button", yes, type="button").mark("yes").on("click", lambda: dialog.submit(True))
        if await dialog:
            await act()
        dialog.delete()

    return ask


class Field:
    """A text, or a choice, that an operator gives. Its value is what was typed; the page is never written over it."""

    def __init__(self, label: str, value: str = "", *, kind: str = "input", choices: Sequence[tuple[str, str]] = (), hint: str = "",
                 changed: Callable[[str], Awaitable[object]] | None = None, pause: int = 0, **props: Any) -> None:  # fmt: skip
        """`choices` are (value, text) of a `select`; `changed` is awaited with the new value, `pause` milliseconds after the last letter."""
        self.value, self._changed = value, changed
        with tag("label", "field"):
            tag("span", "", label)
            if kind == "input":
                self.element = tag("input", "", **({"^value": value} if value else {}), autocomplete="off", spellcheck="false", **props)
            else:
                self.element = tag(kind, "", value if kind == "textarea" else "", autocomplete="off", spellcheck="false", **props)
            if kind == "select":
                with self.element:
                    for each, text in choices:
                        tag("option", "", text, value=each, **({"selected": True} if each == value else {}))
            if hint:
                tag("small", "note", hint)
        self.element.mark(f"field-{kind}")
        self.element.on("change" if kind == "select" else "input", self._typed, js_handler=PAUSED.format(pause=pause) if pause else TYPED)

    async def _typed(self, event: GenericEventArguments) -> None:
        self.value = event.args if isinstance(event.args, str) else ""
        if self._changed is not None:
            await self._changed(self.value)


def look_up(desk: Desk, label: str, name: str, value: str, hint: str = "", **props: Any) -> None:
    """A form that asks for one page of the same kind."""
    with tag("form", "lookup", action=desk.here.partition("?")[0], method="get", role="search"):
        with tag("label", "field"):
            tag("span", "", label)
            tag("input", "", type="search", name=name, **({"^value": value} if value else {}), maxlength=200, autocomplete="off", required="required", **props)
            if hint:
                tag("small", "note", hint)
        tag("button", "button", desk.words("show"), type="submit")

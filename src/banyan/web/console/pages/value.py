"""The value model: its text for each scenario, checked while it is typed; what it would change; who changed it and when."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from nicegui.elements.mixins.text_element import TextElement

from banyan.decisions.value import Value
from banyan.errors import ConfigError
from banyan.serving.messages import ValueAnswer
from banyan.web.cards import tag
from banyan.web.console import calls
from banyan.web.console.changes import changed, difference, differences
from banyan.web.console.desk import CONFLICT, Desk
from banyan.web.console.panels import Field, button, nothing, panel, sure, trouble
from banyan.web.console.preview import K, previewed
from banyan.web.looks import readable

HISTORY, NAMES, USERS = 30, 300, 50
PAUSE = 300  # milliseconds without a letter before the text is read
INSERT = """(event) => { const box = document.getElementById('expression'), word = event.currentTarget.dataset.word;
box.setRangeText(word, box.selectionStart, box.selectionEnd, 'end'); box.focus(); box.dispatchEvent(new Event('input', {bubbles: true})) }"""


@dataclass
class Draft:
    """What is being written: for which scenario, over which version."""

    known: ValueAnswer
    scenario: str = ""
    box: Field | None = None
    redo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def kept(self) -> dict[str, str]:
        """Scenario -> expression, as it is in force."""
        return {each.scenario: each.expression for each in self.known.values}

    @property
    def text(self) -> str:
        """What stands in the box."""
        return self.box.value if self.box is not None else ""

    @property
    def version(self) -> int:
        """On which the change is made."""
        return self.known.version


async def page(desk: Desk) -> None:
    """Build the page."""
    told = await desk.ask(calls.VALUES)
    if told.answer is None:
        trouble(told.trouble)
        return
    draft = Draft(told.answer, _chosen(desk, told.answer))
    _scenarios(desk, draft)
    with tag("div", "two"):
        with panel(desk.words("value.text")):
            editor = tag("div", "")
        with panel(desk.words("value.names")):
            _names(desk, draft.known.names)
    said = tag("div", "", aria_live="assertive")
    seen = tag("div", "", aria_live="polite")
    history = tag("div", "")

    async def again() -> None:
        editor.clear()
        with editor:
            _editor(desk, draft, said, seen, again)
        await _history(desk, history)

    await again()


def _chosen(desk: Desk, known: ValueAnswer) -> str:
    wished = desk.query.get("scenario", "")
    return wished if wished in desk.store.scenarios or wished in {each.scenario for each in known.values} else ""


def _scenarios(desk: Desk, draft: Draft) -> None:
    names = list(dict.fromkeys(["", *draft.kept, *desk.store.scenarios]))
    with tag("nav", "choices", aria_label=desk.words("scenario")):
        for name in names[:100]:
            with tag(
                "a", "choice" + (" chosen" if name == draft.scenario else ""), href=desk.here.partition("?")[0] + (f"?scenario={name}" if name else "")
            ) as link:
                tag("span", "", readable(name) if name else desk.words("value.everywhere"))
                if name and name in draft.kept:
                    tag("small", "", desk.words("value.own"))
            if name == draft.scenario:
                link.props["aria-current"] = "true"


def _names(desk: Desk, names: Sequence[str]) -> None:
    tag("p", "note", desk.words("value.names.hint"))
    if not names:
        nothing(desk.words("value.no.names"))
    with tag("div", "choices names"):
        for name in names[:NAMES]:
            tag("button", "choice", name, type="button", data_word=name).on("click", lambda: None, js_handler=INSERT)
    tag("p", "note", desk.words("value.functions"))


def _editor(desk: Desk, draft: Draft, said: TextElement, seen: TextElement, again: Callable[[], Awaitable[None]]) -> None:
    words, own = desk.words, draft.kept.get(draft.scenario)
    if own is None:
        tag("p", "note", words("value.none" if not draft.scenario else "value.inherits", expression=draft.kept.get("", "–")))

    async def typed(text: str) -> None:
        found = wrong(text, draft.known.names)
        state.text = found or (words("value.same") if text == own else words("value.reads"))
        state.classes(add="wrong" if found else "fine", remove="fine" if found else "wrong")

    start = own or draft.kept.get("", "")
    draft.box = Field(
        words("value.expression"), start, kind="textarea", changed=typed, pause=PAUSE, id="expression", rows=4, maxlength=2000, aria_describedby="state"
    )
    state = tag("p", "fine" if start else "note", words("value.same") if own is not None else words("value.write"), id="state", role="status")

    async def save() -> None:
        await _save(desk, draft, said, again)

    async def drop() -> None:
        await _done(desk, draft, said, again, await desk.ask(calls.drop_value(draft.scenario)), words("value.dropped"))

    async def look() -> None:
        await _preview(desk, draft, users.value, seen)

    users = Field(words("value.users"), hint=words("value.users.hint"), maxlength=2000)
    with tag("div", "buttons"):
        button(words("value.preview"), look, "button quiet")
        button(words("value.save"), sure(desk, words("value.save.sure"), words("value.save"), save, words("value.save.hint")))
        if draft.scenario and own is not None:
            button(words("value.drop"), sure(desk, words("value.drop.sure"), words("value.drop"), drop), "button quiet")


def wrong(text: str, names: Sequence[str]) -> str:
    """Why an expression cannot be read, with the character; empty where it can."""
    try:
        Value.parse(text, names)
    except ConfigError as error:
        return str(error)
    return ""


async def _save(desk: Desk, draft: Draft, said: TextElement, again: Callable[[], Awaitable[None]]) -> None:
    if found := wrong(draft.text, draft.known.names):
        said.clear()
        with said:
            trouble(found)
        return
    told = await desk.ask(calls.change_value(draft.scenario, draft.text, draft.version))
    if told.status == CONFLICT:
        await _overtaken(desk, draft, said, again)
        return
    await _done(desk, draft, said, again, told, desk.words("value.saved"))


async def _done(desk: Desk, draft: Draft, said: TextElement, again: Callable[[], Awaitable[None]], told: object, fine: str) -> None:
    answer, why = getattr(told, "answer", None), getattr(told, "trouble", "")
    said.clear()
    with said:
        if answer is None:
            trouble(why)
            return
        tag("p", "fine", fine)
    draft.known = answer
    await again()


async def _overtaken(desk: Desk, draft: Draft, said: TextElement, again: Callable[[], Awaitable[None]]) -> None:
    """Somebody else changed it since this page was opened: say who, when and to what, and let the operator choose."""
    words = desk.words
    history, values = await desk.ask(calls.value_history(1)), await desk.ask(calls.VALUES)
    said.clear()
    with said, panel(words("value.overtaken"), "bad", role="alert"):
        if history.answer is not None and history.answer.changes:
            change = history.answer.changes[0]
            tag("p", "", words("value.overtaken.who", who=change.who, when=desk.when(change.at)))
            for scenario, before, after in differences(change):
                difference(desk, scenario, before, after)

        async def theirs() -> None:
            if values.answer is not None:
                draft.known = values.answer
                said.clear()
                await again()

        async def mine() -> None:
            if values.answer is not None:
                draft.known = values.answer
                await _save(desk, draft, said, again)

        with tag("div", "buttons"):
            button(words("value.theirs"), theirs, "button quiet")
            button(words("value.mine"), mine)


async def _preview(desk: Desk, draft: Draft, users: str, seen: TextElement) -> None:
    seen.clear()
    with seen:
        if found := wrong(draft.text, draft.known.names):
            trouble(found)
            return
        wait = tag("p", "note", desk.words("value.wait"))
    asked = [each.strip() for each in users.replace("，", ",").split(",") if each.strip()][:USERS]
    told = await desk.ask(calls.preview(draft.scenario, draft.text, asked, K))
    wait.delete()
    with seen, panel(desk.words("value.change")):
        if told.answer is None:
            trouble(told.trouble)
        else:
            await previewed(desk, told.answer)


async def _history(desk: Desk, place: TextElement) -> None:
    told = await desk.ask(calls.value_history(HISTORY))
    place.clear()
    with place, panel(desk.words("history")):
        if told.answer is None:
            trouble(told.trouble)
        else:
            changed(desk, told.answer)

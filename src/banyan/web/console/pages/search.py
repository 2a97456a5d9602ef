"""Search, tried out: a query for a user in a scenario, with what the model says of each item and why it stands where it stands."""

from urllib.parse import urlencode

from banyan.serving import messages as m
from banyan.web.cards import tag
from banyan.web.console import calls
from banyan.web.console.desk import Desk, number
from banyan.web.console.lists import ranked
from banyan.web.console.pages import address
from banyan.web.console.panels import badge, nothing, panel, trouble
from banyan.web.looks import readable

K = 20
LETTERS = 200


async def page(desk: Desk) -> None:
    """Build the page."""
    query, user, scenario = (desk.query.get(name, "").strip()[:LETTERS] for name in ("q", "user", "scenario"))
    _form(desk, query, user, scenario)
    if not query:
        nothing(desk.words("search.none"))
        return
    told = await desk.ask(calls.question("search", m.SearchBody, m.ItemsAnswer, query=query, user=user, scenario=scenario, k=K, explain=True))
    with panel(desk.words("search.found", query=query)):
        if told.answer is None:
            trouble(told.trouble)
        elif not told.answer.items:
            nothing(desk.words("search.nothing"))
        else:
            await _found(desk, told.answer, user, scenario, query)


def _form(desk: Desk, query: str, user: str, scenario: str) -> None:
    words = desk.words
    with tag("form", "lookup panel", action=address("search"), method="get", role="search"):
        for name, label, value, kind in (("q", "search.query", query, "search"), ("user", "search.user", user, "text")):
            with tag("label", "field"):
                tag("span", "", words(label))
                tag("input", "", type=kind, name=name, maxlength=LETTERS, autocomplete="off", **({"^value": value} if value else {}),
                    **({"required": "required"} if name == "q" else {}))  # fmt: skip
        if desk.store.scenarios:
            with tag("label", "field"):
                tag("span", "", words("scenario"))
                with tag("select", "", name="scenario"):
                    tag("option", "", words("search.anywhere"), value="")
                    for each in desk.store.scenarios[:200]:
                        tag("option", "", readable(each), value=each, **({"selected": True} if each == scenario else {}))
        tag("button", "button", words("search.go"), type="submit")


async def _found(desk: Desk, found: m.ItemsAnswer, user: str, scenario: str, query: str) -> None:
    words = desk.words
    names = await desk.names([each.item for each in found.items] + [why.item for each in found.items for why in each.why if why.item])
    if found.searched is not None:
        tag("p", "note", _told(desk, found.searched, query))
    with tag("p", "choices"):
        tag("span", "note", words("search.sources"))
        for source, count in found.sources.items():
            badge(f"{words(f'source.{source}') if words.known(f'source.{source}') else source} {number(count)}")
        if found.variant:
            badge(words("search.arm", arm=found.variant), "warn")
    explain = f"{address('users')}?{urlencode({'user': user, 'scenario': scenario, 'q': query})}&" if user else ""
    ranked(desk, found.items, names, words("search.found", query=query), explain=explain)


def _told(desk: Desk, searched: m.Searched, query: str) -> str:
    """How the search came to its answer."""
    words = desk.words
    step = words(f"step.{searched.step}") if words.known(f"step.{searched.step}") else searched.step
    said = [words("search.step", step=step, total=number(searched.total))]
    if searched.query.casefold() != query.casefold():
        said.append(words("search.mended", query=searched.query))
    if searched.alike:
        said.append(words("search.alike", words=", ".join(searched.alike)))
    if searched.weights:
        said.append(words("search.parts", parts=" + ".join(f"{weight:.2g} {part}" for part, weight in searched.weights.items())))
    return " ".join(said)

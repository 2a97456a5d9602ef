"""Who changed the value model, when, and from what to what."""

from banyan.serving.messages import ChangeOut, HistoryAnswer
from banyan.web.cards import tag
from banyan.web.console.desk import Desk
from banyan.web.console.panels import nothing, table
from banyan.web.looks import readable


def changed(desk: Desk, history: HistoryAnswer) -> None:
    """A table of changes, a line a scenario."""
    words = desk.words
    if not history.changes:
        nothing(words("history.none"))
        return
    rows = []
    for change in history.changes:
        for scenario, before, after in differences(change):
            rows.append([desk.when(change.at), change.who, readable(scenario) if scenario else words("value.everywhere"), before or "–", after or "–"])
    table([words("at"), words("who"), words("scenario"), words("value.before"), words("value.after")], rows, words("history"))


def differences(change: ChangeOut) -> list[tuple[str, str, str]]:
    """(Scenario, expression before, expression after) of those that a change changed."""
    before, after = change.before or {}, change.after or {}
    return [(name, before.get(name, ""), after.get(name, "")) for name in dict.fromkeys([*before, *after]) if before.get(name) != after.get(name)]


def difference(desk: Desk, scenario: str, before: str, after: str) -> None:
    """One change of one scenario, in a line."""
    with tag("p", ""):
        tag("span", "", f"{readable(scenario) if scenario else desk.words('value.everywhere')}: ")
        tag("code", "", before or "–")
        tag("span", "", " → ")
        tag("code", "", after or "–")

"""Items as an operator reads them: a ranked list with scores, answers and reasons; what moved a score, drawn as signed bars."""

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import urlencode

from banyan.serving.messages import PlacedItem, Reason
from banyan.web.cards import tag
from banyan.web.console.desk import Desk, number
from banyan.web.console.pages import address
from banyan.web.console.panels import Cell, table

ANSWERS = 6  # of an item that are shown beside it
REASONS = 6


def item_link(item: str, name: str) -> None:
    """An item's name on the way to its page; its id below where they differ."""
    tag("a", "link", name, href=f"{address('items')}?{urlencode({'item': item})}")
    if name != item:
        tag("small", "note id", item)


def ranked(desk: Desk, items: Sequence[PlacedItem], names: Mapping[str, str], label: str, *, explain: str = "") -> None:
    """Items, best first. `explain` is the address at which one item's reasons are shown, to which its id is added."""
    words = desk.words
    heads = ["#", words("item"), words("score"), words("answers"), words("sources"), words("why")]
    rows: list[list[Cell]] = [
        [
            str(place + 1),
            partial(item_link, each.item, names.get(each.item, each.item)),
            number(each.score),
            partial(_answers, each.answers),
            ", ".join(words(f"source.{name}") if words.known(f"source.{name}") else name for name in each.sources) or "–",
            partial(_why, desk, each, names, explain),
        ]
        for place, each in enumerate(items)
    ]
    table(heads, rows, label, numbers=(0, 2))


def _answers(answers: Mapping[str, float]) -> None:
    with tag("dl", "pairs"):
        for name, value in list(answers.items())[:ANSWERS]:
            tag("dt", "", name)
            tag("dd", "", number(value))
    if len(answers) > ANSWERS:
        with tag("details", "numbers"):
            tag("summary", "", f"+{len(answers) - ANSWERS}")
            with tag("dl", "pairs"):
                for name, value in list(answers.items())[ANSWERS:]:
                    tag("dt", "", name)
                    tag("dd", "", number(value))


def _why(desk: Desk, each: PlacedItem, names: Mapping[str, str], explain: str) -> None:
    reasons(desk, each.why[:REASONS], names)
    if explain:
        tag("a", "link", desk.words("why.more"), href=f"{explain}{urlencode({'item': each.item})}#why")


def reasons(desk: Desk, why: Sequence[Reason], names: Mapping[str, str]) -> None:
    """What each source of the row did to the score, to the right for up and to the left for down; then what of the past speaks for the item."""
    words = desk.words
    moved = [each for each in why if each.kind != "past"]
    largest = max((abs(each.weight) for each in moved), default=0.0) or 1.0
    if moved:
        with tag("div", "reasons", role="list"):
            for each in moved:
                what = words(f"reason.{each.kind}") if words.known(f"reason.{each.kind}") else each.kind
                with tag("div", "reason", role="listitem"):
                    tag("span", "what", f"{what} {each.detail}".strip())
                    with tag("span", "track", aria_hidden="true"):
                        share = 50 * abs(each.weight) / largest
                        side = f"left: {50 if each.weight >= 0 else 50 - share:.2f}%; width: {share:.2f}%"
                        tag("span", "fill up" if each.weight >= 0 else "fill down").style(side)
                    tag("span", "much", f"{each.weight:+.3g}")
    past = [names.get(each.item, each.item) for each in why if each.kind == "past" and each.item]
    if past:
        tag("p", "note", words("reason.past", items=", ".join(past)))
    if not why:
        tag("span", "note", "–")

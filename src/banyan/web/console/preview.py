"""What another value model would change, request by request, and what it would earn."""

from banyan.serving.messages import EstimateOut, PreviewAnswer, Shift
from banyan.web.cards import tag
from banyan.web.console import plots
from banyan.web.console.desk import Desk, number
from banyan.web.console.panels import figures, nothing
from banyan.web.looks import readable

SHOWN, K = 10, 10  # requests of a preview that are shown, and items of each list


async def previewed(desk: Desk, found: PreviewAnswer) -> None:
    """What would change, request by request."""
    words = desk.words
    if not found.shifts:
        nothing(words("value.no.requests"), words("value.no.requests.hint"))
        return
    moved = sum(each.before != each.after for each in found.shifts)
    figures(
        [
            (words("value.requests"), number(len(found.shifts)), ""),
            (words("value.moved"), number(moved), words("value.moved.share", share=f"{moved / len(found.shifts):.0%}")),
            (words("value.kept"), f"{found.kept:.0%}", words("value.kept.hint", k=K)),
        ]
    )
    _estimate(desk, found.estimate)
    shown = sorted(found.shifts, key=lambda each: each.kept)[:SHOWN]
    names = await desk.names(item for each in shown for item in (*each.before, *each.after))
    for each in shown:
        _shift(desk, each, names)


def _estimate(desk: Desk, found: EstimateOut | None) -> None:
    """What it would earn, from draws alone: by each estimator the gain with its interval, or why nothing can be said."""
    words = desk.words
    if found is None:
        return
    tag("h3", "", words("value.estimate", outcome=readable(found.outcome)))
    if found.refused:
        tag("p", "note", found.refused)
        return
    fine = [each for each in found.by if not each.refused]
    plots.whiskers([(words(f"value.estimate.{each.method}"), each.low, each.gain, each.high, "") for each in fine], words("value.preview"), zero=True)
    for each in found.by:
        if each.refused:
            tag("p", "note", f"{words(f'value.estimate.{each.method}')}: {each.refused}")
    tag("p", "note", words("value.estimate.hint", draws=number(found.draws), outcomes=number(found.outcomes), changed=f"{found.changed:.0%}"))


def _shift(desk: Desk, shift: Shift, names: dict[str, str]) -> None:
    words = desk.words
    with tag("details", "numbers", **({"open": True} if shift.before != shift.after else {})):
        tag(
            "summary",
            "",
            f"{words('value.user', user=shift.user) if shift.user else words('value.nobody')} · {words('value.stay', kept=shift.kept, of=len(shift.before))}",
        )
        with tag("div", "two even"):
            for key, items, others in (("before", shift.before, shift.after), ("after", shift.after, shift.before)):
                with tag("div", ""):
                    tag("h3", "", words(f"value.{key}"))
                    with tag("ol", "ranks"):
                        for place, item in enumerate(items):
                            _place(desk, names.get(item, item), place, others.index(item) if item in others else None, key)


def _place(desk: Desk, name: str, place: int, other: int | None, key: str) -> None:
    """One item of a list, and on the list after the change where it came from."""
    words = desk.words
    kind = "out" if other is None and key == "before" else "in" if other is None else ""
    with tag("li", kind):
        tag("span", "", name)
        if other is None:
            tag("small", "", words(f"value.{kind}"))
        elif key == "after" and other != place:
            tag("small", "", words("value.up" if other > place else "value.down", places=abs(other - place)))

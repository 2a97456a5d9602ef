"""Tasks: trained together against each alone, against the best simple baseline, by scenario, and whether their probabilities mean what they say."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from banyan.serving.messages_console import EvaluationAnswer
from banyan.web.cards import tag
from banyan.web.console import calls, plots
from banyan.web.console.desk import Desk, number
from banyan.web.console.panels import badge, nothing, panel, table, trouble
from banyan.web.looks import readable

KINDS = {"better": "good", "worse": "bad"}
FAMILIES, GAINS = 6, 60
TRAIN, AUDIT = "banyan train store.yaml --alone", "banyan audit store.yaml --out runs/audit"

Row = Mapping[str, Any]


async def page(desk: Desk) -> None:
    """Build the page."""
    told = await desk.ask(calls.EVALUATION)
    if told.answer is None:
        trouble(told.trouble)
        return
    _joint(desk, told.answer.table)
    _scenarios(desk, told.answer.by_scenario)
    _calibration(desk, told.answer)
    _warmth(desk, told.answer.table)


def relative(gain: Row | None, base: Any) -> tuple[plots.Number, plots.Number, plots.Number]:
    """(Low, value, high) of a gain in percent of a figure."""
    if not gain or not base:
        return None, None, None
    low, value, high = (None if (each := gain.get(key)) is None else 100 * each / abs(base) for key in ("low", "value", "high"))
    return low, value, high


def _joint(desk: Desk, rows: Sequence[Row]) -> None:
    words = desk.words
    with panel(words("tasks.joint")):
        if not rows:
            nothing(words("tasks.none"), words("tasks.none.hint"), TRAIN)
            return
        if not any(each.get("gain") for each in rows):
            nothing(words("tasks.no.alone"), words("tasks.none.hint"), TRAIN)
        for key, gain, verdict, base in (("alone", "gain", "verdict", "alone"), ("best", "over_best", "over_best_verdict", None)):
            drawn = []
            for each in rows:
                against = each.get(base) if base else (each.get("baselines") or {}).get(each.get("best_baseline"))
                low, value, high = relative(each.get(gain), against)
                if value is not None:
                    drawn.append((f"{each['task']} · {each['metric']}", low, value, high, KINDS.get(each.get(verdict) or "", "")))
            if drawn:
                tag("h3", "", words(f"tasks.{key}"))
                plots.whiskers(drawn, words(f"tasks.{key}"), zero=True)
        tag("p", "note", words("tasks.percent"))
        _table(desk, rows)


def _table(desk: Desk, rows: Sequence[Row]) -> None:
    words = desk.words
    keys = ("tasks.kind", "tasks.metric", "tasks.rows", "tasks.together", "tasks.by.itself", "tasks.verdict", "tasks.baseline", "tasks.verdict")
    heads = [words("task"), *(words(key) for key in keys)]
    found = []
    for each in rows:
        best = each.get("best_baseline")
        rising = "↑" if each.get("rising") else "↓"
        found.append(
            [each["task"], str(each.get("kind", "")), f"{each.get('metric', '')} {rising}", number(each.get("rows")),
             between(each.get("joint"), each.get("interval")), number(each.get("alone")), partial(_verdict, desk, each.get("verdict")),
             f"{best} {number((each.get('baselines') or {}).get(best))}" if best else "–", partial(_verdict, desk, each.get("over_best_verdict"))]
        )  # fmt: skip
    table(heads, found, words("tasks.joint"), numbers=(3, 4, 5))


def between(value: Any, interval: Row | None) -> str:
    """A figure with its interval."""
    return f"{number(value)} [{number(interval.get('low'))}, {number(interval.get('high'))}]" if interval else number(value)


def _verdict(desk: Desk, verdict: str | None) -> None:
    keys = {"better": "tasks.better", "worse": "tasks.worse", "no difference": "tasks.same"}
    badge(desk.words(keys[verdict]) if verdict in keys else str(verdict or "–"), KINDS.get(verdict or "", ""))


def _scenarios(desk: Desk, families: Sequence[Row]) -> None:
    words = desk.words
    with panel(words("tasks.scenarios")):
        if not families:
            nothing(words("tasks.no.scenarios"), words("tasks.no.scenarios.hint"), AUDIT)
            return
        for family in families[:FAMILIES]:
            tag("h3", "", words("tasks.family", audit=family["audit"], pair=family["pair"]))
            drawn = []
            for gain in family["gains"][:GAINS]:
                low, value, high = relative(gain.get("interval"), gain.get("theirs"))
                drawn.append((f"{gain['task']} · {readable(gain.get('scenario') or '')}", low, value, high, KINDS.get(gain.get("verdict"), "")))
            plots.whiskers(drawn, words("tasks.scenarios"), zero=True)
        tag("p", "note", words("tasks.percent"))


def _calibration(desk: Desk, found: EvaluationAnswer) -> None:
    words = desk.words
    rows = []
    for task, figures in found.metrics.items():
        said, seen = figures.get("mean"), figures.get("rate")
        if figures.get("calibration_error") is not None or (said is not None and seen is not None):
            before = ((found.calibration.get(task) or {}).get("before") or {}).get("calibration_error")
            rows.append((task, figures.get("calibration_error"), said, seen, before))
    with panel(words("tasks.calibration")):
        if not rows:
            nothing(words("tasks.no.calibration"), words("tasks.no.calibration.hint"))
            return
        tag("p", "note", words("tasks.calibration.hint"))
        plots.bars(words("tasks.error"), {task: 100 * error for task, error, *_ in rows if error is not None}, unit=" %")
        heads = [words("task"), words("tasks.error"), words("tasks.said"), words("tasks.seen"), words("tasks.before")]
        cells = [[task, percent(error), percent(said), percent(seen), percent(before)] for task, error, said, seen, before in rows]
        table(heads, cells, words("tasks.calibration"), numbers=range(1, 5))


def percent(share: Any) -> str:
    """A share in percent."""
    return "–" if share is None else f"{100 * share:.3g} %"


def _warmth(desk: Desk, rows: Sequence[Row]) -> None:
    groups = list(dict.fromkeys(name for each in rows for name in each.get("warmth") or {}))
    if not groups:
        return
    words = desk.words
    with panel(words("tasks.warmth")):
        tag("p", "note", words("tasks.warmth.hint"))
        cells = []
        for each in rows:
            of = each.get("warmth") or {}
            told = [of.get(name) or (0, None) for name in groups]
            cells.append([f"{each['task']} · {each['metric']}", *(f"{number(value)} ({number(count)})" if count else "–" for count, value in told)])
        named = {"warm user": "tasks.warm.user", "cold user": "tasks.cold.user", "warm item": "tasks.warm.item", "cold item": "tasks.cold.item"}
        table(
            [words("task"), *(words(named[name]) if name in named else name for name in groups)],
            cells,
            words("tasks.warmth"),
            numbers=range(1, 1 + len(groups)),
        )

"""How the model ages: what has drifted since it was trained, whether its probabilities still hold, when it is trained again and what came of that."""

from collections.abc import Sequence
from functools import partial

from banyan.serving.messages import CalibrationOut, DriftOut, FreshnessAnswer, RetrainedOut, ScheduleOut
from banyan.web.cards import tag
from banyan.web.console import plots
from banyan.web.console.desk import Desk, number
from banyan.web.console.pages import address
from banyan.web.console.panels import Cell, badge, figures, nothing, panel, table, trouble

DRAWN, RETRAININGS = 12, 10  # features, retrainings
COMMAND = "banyan train store.yaml --from-service service --every 24h"


def aging(desk: Desk, fresh: FreshnessAnswer) -> None:
    """All of it, a panel each."""
    with panel(desk.words("drift.title")):
        _drift(desk, fresh.drift, measuring=fresh.measuring)
    with panel(desk.words("again.title")):
        _schedule(desk, fresh.schedule)
        _retrained(desk, fresh.retrained)
    if fresh.calibration is not None:
        with panel(desk.words("still.title")):
            _calibration(desk, fresh.calibration)


def _drift(desk: Desk, found: DriftOut | None, *, measuring: bool) -> None:
    words = desk.words
    if found is None:
        nothing(words("drift.measuring" if measuring else "drift.none"))
        return
    tag("p", "note", words("drift.at", when=desk.when(found.at), version=found.version))
    if not found.now:
        nothing(words("drift.no.events"))
        return
    shares = [(words("drift.users"), f"{found.new_users:.1%}", ""), (words("drift.items"), f"{found.new_items:.1%}", "")]
    figures([(words("drift.before"), number(found.before), ""), (words("drift.now"), number(found.now), ""), *shares])
    alarms = [each.feature for each in found.features if each.alarm]
    if alarms:
        trouble(words("drift.alarm", features=", ".join(alarms)))
    else:
        tag("p", "fine", words("drift.fine"))
    drawn = found.features[:DRAWN]
    plots.bars(words("drift.title"), {each.feature: each.psi for each in drawn}, marks={each.feature: each.chance for each in drawn})
    tag("p", "note", words("drift.hint"))
    rows = [[each.feature, number(each.psi), "; ".join(f"{one.value}: {one.before:.1%} → {one.now:.1%}" for one in each.moved)] for each in found.features]
    with tag("details", "numbers"):
        tag("summary", "", words("figures"))
        table([words("feature"), words("drift.psi"), words("drift.moved")], rows, words("drift.title"), numbers=(1,))


def _schedule(desk: Desk, found: ScheduleOut | None) -> None:
    words = desk.words
    if found is None:
        nothing(words("again.none"), words("again.none.hint"), COMMAND)
        return
    tag("p", "", words("again.every", every=desk.span(found.every_seconds), when=desk.when(found.next)))
    if found.overdue:
        trouble(words("again.overdue"))
    if found.failed:
        trouble(words("again.failed", why=found.failed))


def _retrained(desk: Desk, found: Sequence[RetrainedOut]) -> None:
    words = desk.words
    if not found:
        return
    rows: list[list[Cell]] = [
        [
            desk.when(each.at), partial(tag, "a", "link", each.version, href=address("versions")), partial(_came, desk, each),
            "; ".join(each.reasons) or "–", number(each.events), desk.span(each.seconds),
        ]
        for each in found[:RETRAININGS]
    ]  # fmt: skip
    heads = [words("at"), words("versions.version"), words("versions.state"), words("why"), words("again.events"), words("again.time")]
    table(heads, rows, words("again.title"), numbers=(4,))
    newest = found[0]
    drawn = [(f"{each.task} · {each.metric}", each.low, each.gain, each.high, "" if each.fine else "bad") for each in newest.tasks]
    if drawn:
        tag("h3", "", words("again.tasks", version=newest.version, against=newest.against))
        plots.whiskers(drawn, words("again.title"), zero=True)


def _came(desk: Desk, found: RetrainedOut) -> None:
    badge(desk.words("again.promoted" if found.promoted else "again.refused"), "good" if found.promoted else "warn")


def _calibration(desk: Desk, found: CalibrationOut) -> None:
    words = desk.words
    tag("p", "note", words("still.at", when=desk.when(found.at), version=found.version))
    alarms = [f"{each.task}.{each.column}" for each in found.columns if each.alarm]
    if alarms:
        trouble(words("still.alarm", columns=", ".join(alarms)))
    heads = [words("task"), words("data.rows.count"), words("tasks.said"), words("tasks.seen"), words("still.errors"), words("tasks.error")]
    rows = [
        [f"{each.task}.{each.column}", number(each.rows), number(each.predicted), number(each.observed), f"{each.errors:+.1f}", number(each.error)]
        for each in found.columns
    ]
    table(heads, rows, words("still.title"), numbers=range(1, 6))

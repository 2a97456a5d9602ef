"""Experiments: a second model in the shadow, or for a share of the users; what differs, with an interval that may be looked at any time."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from banyan.client import Call
from banyan.serving.messages import ExperimentOut, ModelsAnswer
from banyan.serving.messages_console import SeriesAnswer, ShadowAnswer
from banyan.web.cards import tag
from banyan.web.console import calls, plots
from banyan.web.console.desk import Desk, number
from banyan.web.console.pages import address
from banyan.web.console.panels import Cell, Field, badge, button, figures, nothing, panel, sure, table, trouble
from banyan.web.looks import readable

UNEVEN = 0.001  # p value of the arms' sizes below which the rest must not be believed
VERDICTS = {"better": "good", "worse": "bad"}
KEYS = {"too early": "early", "no difference seen": "none", "better": "better", "worse": "worse"}
PAST = 20
SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
Do = Callable[[Call[Any], str], Awaitable[bool]]


async def page(desk: Desk) -> None:
    """Build the page."""
    said = tag("div", "", aria_live="assertive")
    body = tag("div", "")

    async def fill() -> None:
        asked = (desk.ask(calls.EXPERIMENTS), desk.ask(calls.MODELS), desk.ask(calls.SHADOW), desk.ask(calls.STORE))
        tests, models, shadow, store = await asyncio.gather(*asked)
        found = tests.answer.experiments if tests.answer else []
        wished = desk.query.get("name", "")
        chosen = next((each for each in found if each.name == wished), next((each for each in found if each.running), found[0] if found else None))
        series = await desk.ask(calls.series(chosen.name)) if chosen else None
        body.clear()
        with body:
            if tests.answer is None or models.answer is None:
                trouble(tests.trouble or models.trouble)
                return
            if chosen is not None:
                _experiment(desk, chosen, series.answer if series else None, do)
            _past(desk, found, chosen)
            _beginning(desk, models.answer, found, store.answer.behaviours if store.answer else [], do)
            _shadow(desk, shadow.answer)

    async def do(call: Call[Any], fine: str) -> bool:
        told = await desk.ask(call)
        said.clear()
        with said:
            trouble(told.trouble) if told.answer is None else tag("p", "fine", fine)
        await fill()
        return told.answer is not None

    await fill()


def _experiment(desk: Desk, found: ExperimentOut, series: SeriesAnswer | None, do: Do) -> None:
    words, results = desk.words, found.results
    users = results.get("users") or {}
    with panel(found.name):
        badge(words("experiments.runs" if found.running else "experiments.over"), "warn" if found.running else "")
        tag("p", "", words("experiments.about", version=found.version, against=found.against, share=f"{found.share:.0%}", outcome=found.outcome))
        tag(
            "p",
            "note",
            words("experiments.began", when=desk.when(found.began)) + (f" {words('experiments.ended', when=desk.when(found.ended))}" if found.ended else ""),
        )
        evenness = results.get("evenness")
        if evenness is not None and evenness < UNEVEN:
            trouble(words("experiments.uneven"))
        sides = (("control", found.against), ("candidate", found.version), ("waiting", words("experiments.waiting.hint")))
        counts = {"waiting": results.get("waiting", 0)} | users
        figures([(words(f"experiments.{side}"), number(counts.get(side, 0)), about) for side, about in sides])
        for outcome, each in (results.get("differences") or {}).items():
            _difference(desk, outcome, each)
        _series(desk, series)
        if found.running:
            ending = sure(
                desk, words("experiments.stop.sure", name=found.name), words("experiments.stop"), lambda: do(calls.STOP, words("experiments.stopped"))
            )
            button(words("experiments.stop"), ending, "button quiet")


def _difference(desk: Desk, outcome: str, found: dict[str, Any]) -> None:
    words, verdict = desk.words, str(found.get("verdict", ""))
    with tag("h3", ""):
        tag("span", "", words("experiments.outcome", outcome=readable(outcome)) + " ")
        badge(words(f"experiments.verdict.{KEYS[verdict]}") if verdict in KEYS else verdict, VERDICTS.get(verdict, ""))
    pairs = [(words("experiments.mean.control"), number(found.get("control")), ""), (words("experiments.mean.candidate"), number(found.get("candidate")), ""),
             (words("experiments.gap"), number(found.get("estimate")), f"p {number(found.get('p'))}")]  # fmt: skip
    figures(pairs)
    if found.get("low") is not None:
        plots.whiskers([(words("experiments.gap"), found["low"], found.get("estimate"), found.get("high"), VERDICTS.get(verdict, ""))], outcome, zero=True)


def _series(desk: Desk, series: SeriesAnswer | None) -> None:
    words = desk.words
    if series is None or len(series.points) < 2:
        tag("p", "note", words("experiments.no.series"))
        return
    points = series.points
    x = [f"{desk.when(each.at)[5:16]} · {each.users:,}" for each in points]
    columns = ([each.estimate for each in points], [each.low for each in points], [each.high for each in points])
    last = points[-1]
    about = words("experiments.series.about", estimate=number(last.estimate), low=number(last.low), high=number(last.high), users=number(last.users))
    plots.band(words, words("experiments.series"), x, *columns, (words("experiments.gap"), words("experiments.interval")), about=about)


def _past(desk: Desk, found: list[ExperimentOut], chosen: ExperimentOut | None) -> None:
    words = desk.words
    with panel(words("experiments.all")):
        if not found:
            nothing(words("experiments.none"), words("experiments.none.hint"))
            return
        rows: list[list[Cell]] = [
            [
                partial(_name, each, chosen), words("experiments.runs" if each.running else "experiments.over"), each.version, each.against,
                f"{each.share:.0%}", each.outcome, desk.when(each.began),
            ]
            for each in found[:PAST]
        ]  # fmt: skip
        table(
            [words(f"experiments.{key}") for key in ("name", "state", "candidate", "control", "share", "counted", "begun")],
            rows,
            words("experiments.all"),
            numbers=(4,),
        )


def _name(each: ExperimentOut, chosen: ExperimentOut | None) -> None:
    link = tag("a", "link", each.name, href=f"{address('experiments')}?name={each.name}")
    if each is chosen:
        link.props["aria-current"] = "true"


def _beginning(desk: Desk, models: ModelsAnswer, found: list[ExperimentOut], behaviours: list[str], do: Do) -> None:
    words = desk.words
    others = [each.version for each in models.versions if not each.active]
    with panel(words("experiments.begin")):
        if not others:
            nothing(words("experiments.one.version"), words("experiments.one.version.hint"))
            return
        with tag("div", "form"):
            name = Field(words("experiments.name"), hint=words("experiments.name.hint"), maxlength=64)
            version = Field(words("experiments.candidate"), others[0], kind="select", choices=[(each, each) for each in others])
            share = Field(words("experiments.share"), "0.1", kind="select", choices=[(str(each), f"{each:.0%}") for each in SHARES])
            counted = behaviours or [desk.store.deeds.buy]
            usual = desk.store.deeds.buy if desk.store.deeds.buy in counted else counted[-1]
            outcome = Field(words("experiments.counted"), usual, kind="select", choices=[(each, readable(each)) for each in counted])

        async def begin() -> None:
            try:
                call = calls.begin(name.value.strip(), version.value, float(share.value), outcome.value)
            except msgspec.ValidationError:
                desk.say(words("experiments.name.wrong"))
                return
            await do(call, words("experiments.started", name=name.value))

        hint = words("experiments.ends.other") if any(each.running for each in found) else ""
        button(words("experiments.begin"), sure(desk, words("experiments.begin.sure"), words("experiments.begin"), begin, hint))


def _shadow(desk: Desk, found: ShadowAnswer | None) -> None:
    words = desk.words
    with panel(words("experiments.shadow")):
        tag("p", "note", words("experiments.shadow.hint"))
        if found is None or not found.version:
            nothing(words("experiments.no.shadow"))
            tag("a", "link", words("page.versions"), href=address("versions"))
            return
        if not found.reports:
            nothing(words("experiments.shadow.waits", version=found.version))
        for report in found.reports:
            _report(desk, report)


def _report(desk: Desk, report: dict[str, Any]) -> None:
    words = desk.words
    tag("h3", "", f"{report['shadow']} · {report['serving']}")
    missed = words("experiments.missed", failed=number(report["failed"]), left=number(report["left_out"]))
    figures([(words("experiments.asked"), number(report["requests"]), missed),
             (words("experiments.common"), f"{report['common']:.0%}", ""), (words("experiments.first"), f"{report['same_first']:.0%}", ""),
             (words("experiments.time"), f"{number(report['milliseconds'])} ms", "")])  # fmt: skip
    gaps = report.get("gaps") or {}
    if gaps:
        rows = [[name, number(each["items"]), number(each["mean"]), number(each["root_mean_square"])] for name, each in gaps.items()]
        table(
            [words("answers"), words("experiments.items"), words("experiments.mean"), words("experiments.rms")],
            rows,
            words("experiments.gaps"),
            numbers=(1, 2, 3),
        )

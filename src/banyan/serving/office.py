"""What the store's team asks of the service: what a value model would change, experiments, the service at a glance. Knows no HTTP."""

import time
from dataclasses import replace
from typing import Any

from banyan.decisions.value import Values
from banyan.serving import splits, wire
from banyan.serving.asking import Ask
from banyan.serving.messages import (
    ExperimentBody,
    ExperimentOut,
    LatencyOut,
    OverviewAnswer,
    PreviewAnswer,
    PreviewBody,
    Shift,
)
from banyan.serving.service import CACHE, Service
from banyan.serving.unseen import unseen

RECORDED = 50  # requests that a preview looks at where no users are named
FAILING = 0.01  # share of requests that fail from which it is an alarm
SLOW = 0.1  # seconds of the 99th percentile from which it is an alarm
ANSWERS = ("/v1/recommend", "/v1/search", "/v1/rank")


def preview(service: Service, body: PreviewBody) -> PreviewAnswer:
    """The lists of the users named, or of those who asked last, by the value model in force and by another. Raises ConfigError for one that cannot be read."""
    asks = [Ask(user=user, scenario=body.scenario, k=body.k) for user in body.users]
    if not asks:
        asked = [each for each in service.journal.recorded(RECORDED * 4) if each.method == "recommend"]
        asks = [replace(wire.again(each), k=body.k, explain=False) for each in asked]
        asks = [each for each in asks if each.scenario == body.scenario][-RECORDED:]
    shifts = []
    with service.live.serving(scenario=body.scenario) as serving:
        value = Values.parse({"": body.expression}, serving.engine.names).of("")
        engine: Any = serving.engine
        for each in asks:
            before, after = ([one.item for one in engine.recommend(each, chosen).items] for chosen in (serving.value, value))
            shifts.append(Shift(user=each.user, before=before, after=after, kept=len(set(before) & set(after))))
        estimate = unseen(service.journal, serving, value, body.scenario, body.outcome or last_behaviour(engine), body.predicted)
    kept = sum(each.kept / max(len(each.before), 1) for each in shifts) / len(shifts) if shifts else 1.0
    return PreviewAnswer(scenario=body.scenario, expression=body.expression, shifts=shifts, kept=kept, estimate=estimate)


def experiments(service: Service) -> list[ExperimentOut]:
    """The experiments, newest first, with what they have shown."""
    return [
        ExperimentOut(
            name=about["name"], version=about["version"], against=about["against"], share=about["share"], outcome=about["outcome"], running=runs,
            began=wire.moment(about["since"]), ended=wire.moment(about["ended"]) if about["ended"] else None, results=shown,
        )
        for about, runs, shown in splits.listed(service.journal, service.registry)
    ]  # fmt: skip


def begin(service: Service, body: ExperimentBody, who: str) -> None:
    """Begin an experiment; its outcome is the last behaviour of the store's unless named."""
    with service.live.serving() as serving:
        outcome = body.outcome or last_behaviour(serving.engine)
    splits.begin(service.journal, service.registry, body.name, body.version, body.share, outcome, who)


def last_behaviour(engine: Any) -> str:
    """What counts as an outcome unless it is named."""
    known = list(engine.bundle.plan.behaviours)
    return known[-1] if known else "purchase"


def overview(service: Service) -> OverviewAnswer:
    """Traffic, latency, events and what is wrong, over all workers."""
    metrics, alarms = service.metrics, [service.trouble] if service.trouble else []
    alarms += [f"{part}: {said}" for part, said in service.parts().items() if said != "ok"]
    requests = {}
    for route, (count, middle, late) in metrics.latency().items():
        errors = sum(int(metrics.total("banyan_requests_total", route=route, status=str(status))) for status in (500, 503))
        requests[route] = LatencyOut(count=count, errors=errors, p50_ms=middle * 1e3, p99_ms=late * 1e3)
        if count >= 100 and errors > FAILING * count:
            alarms.append(f"{route}: {errors} of {count} requests failed")
        if count >= 100 and late > SLOW and route.endswith(ANSWERS):
            alarms.append(f"{route}: one in a hundred takes longer than {late * 1e3:.0f} ms")
    return OverviewAnswer(
        up_seconds=time.time() - service.began,
        workers=sum(time.time() - each["at"] < 10 for each in metrics.all()),
        requests=requests,
        events=int(metrics.total("banyan_events_total", outcome="accepted")),
        cache=cache(service),
        alarms=alarms,
    )


def cache(service: Service) -> dict[str, float]:
    """Looks for users' events over all workers: `whole`, `grown`, `missing` how many found them so, `share` the part that found them at all."""
    found = {what: service.metrics.total(CACHE, found=what) for what in service.users.looks.counts()}
    looks = sum(found.values())
    return found | ({"share": 1 - found["missing"] / looks} if looks else {})

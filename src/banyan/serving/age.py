"""How old the model is and how far the world has moved, in the wire's words: events not trained on, drift, calibration, the schedule, what came of it."""

import time
from typing import Any

import msgspec

from banyan.serving import wire
from banyan.serving.freshness import RETRAIN, SCHEDULE, due
from banyan.serving.messages import CalibrationOut, ColumnJudged, DriftOut, FeatureMoved, FreshnessAnswer, RetrainedOut, ScheduleOut, TaskJudged, ValueMoved
from banyan.serving.moving import Look
from banyan.serving.service import Service
from banyan.serving.state import Journal

FEATURES = 50  # that moved furthest
RETRAININGS = 20  # the newest


def freshness(service: Service) -> FreshnessAnswer:
    """What is known of it now; drift is measured beside the requests, and asked for again when it is old."""
    journal, last = service.journal, service.journal.last()
    with service.live.serving() as serving:
        engine: Any = serving.engine
        bundle = engine.bundle
        look, measuring = service.moving.newest(serving.version, bundle)
    now = bundle.now if bundle.plan.clock == "time" else None
    through = int(bundle.facts.get("through", 0))
    return FreshnessAnswer(
        trained_through=through,
        last_event=last,
        waiting=max(0, last - through),
        age_seconds=None if now is None else max(0.0, time.time() - now / 1e6),
        drift=None if look is None else _drift(look),
        measuring=measuring,
        calibration=_calibration(journal),
        schedule=_schedule(journal),
        retrained=[_retrained(each.after) for each in reversed(journal.changes(RETRAIN, RETRAININGS)) if each.after],
    )


def _drift(look: Look) -> DriftOut:
    about = look.drift
    features = [
        FeatureMoved(
            feature=each["feature"], psi=each["psi"], divergence=each["divergence"], chance=each["chance"], alarm=each["alarm"],
            moved=[ValueMoved(value=value, before=before, now=now) for value, before, now in each["moved"]],
        )
        for each in about["shifts"][:FEATURES]
    ]  # fmt: skip
    return DriftOut(
        at=wire.moment(int(look.at * 1e6)), version=look.version, before=about["before"], now=about["now"], new_users=about["new_users"],
        new_items=about["new_items"], alarms=sum(each["alarm"] for each in about["shifts"]), features=features,
    )  # fmt: skip


def _calibration(journal: Journal) -> CalibrationOut | None:
    """Of the newest retraining that had a version to judge."""
    for each in reversed(journal.changes(RETRAIN, RETRAININGS)):
        if each.after and each.after["calibration"]:
            columns = msgspec.convert(each.after["calibration"], list[ColumnJudged])
            return CalibrationOut(at=wire.moment(each.after["at"]), version=each.after["against"], columns=columns)
    return None


def _retrained(value: dict[str, Any]) -> RetrainedOut:
    fields = {name: value[name] for name in ("version", "against", "promoted", "reasons", "events", "seconds", "margin")}
    return RetrainedOut(at=wire.moment(value["at"]), tasks=msgspec.convert(value["tasks"], list[TaskJudged]), **fields)


def _schedule(journal: Journal) -> ScheduleOut | None:
    value = journal.setting(SCHEDULE)[1]
    if not value:
        return None
    now, newest = time.time(), journal.setting(RETRAIN)[1]
    overdue = bool(newest) and newest["at"] / 1e6 + value["every"] < now
    following = wire.moment(int((now + due(journal, value["every"], now)) * 1e6))
    return ScheduleOut(every_seconds=value["every"], next=following, overdue=overdue, failed=value["failed"])

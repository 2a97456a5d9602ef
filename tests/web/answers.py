"""The service as the console meets it, without a socket: an httpx transport that answers from a table, small, large or empty."""

import json
from typing import Any

import httpx
import msgspec

from banyan.serving import messages as m
from banyan.serving import messages_console as c

KEY, OTHER = "banyan_0123456789ab_admin", "banyan_0123456789ab_other"
AT = "2026-01-02T03:04:05Z"
NASTY = "<script>alert(1)</script>"


ESTIMATE = m.EstimateOut(
    outcome="purchase", draws=500, outcomes=80, changed=0.4,
    by=[m.Estimated(method="ips", now=0.1, new=0.12, gain=0.02, low=-0.01, high=0.05), m.Estimated(method="dr", refused="Too few draws.")],
)  # fmt: skip


def interval(value: float) -> dict[str, float]:
    return {"low": value - 0.01, "value": value, "high": value + 0.01}


def row(n: int) -> dict[str, Any]:
    return {
        "task": f"task{n}", "kind": "binary", "metric": "auc", "rising": True, "rows": 1000, "joint": 0.8, "interval": interval(0.8), "alone": 0.79,
        "gain": interval(0.01 * (n % 3 - 1)), "verdict": ("worse", "no difference", "better")[n % 3], "baselines": {"popularity": 0.6, "trees": 0.78},
        "best_baseline": "trees", "over_best": interval(0.02), "over_best_verdict": "better", "warmth": {"warm user": [900, 0.8], "cold user": [0, None]},
    }  # fmt: skip


def gain(n: int) -> dict[str, Any]:
    return {"task": f"task{n}", "scenario": f"s{n}", "metric": "auc", "ours": 0.8, "theirs": 0.79, "interval": interval(0.01), "verdict": "better"}


def placed(n: int) -> m.PlacedItem:
    why = [m.Reason(kind="user", weight=0.2), m.Reason(kind="history", weight=-0.1), m.Reason(kind="past", weight=0.5, item=f"i{n + 1}")]
    return m.PlacedItem(item=f"i{n}", score=1.0 - n / 100, answers={f"task{k}.p": k / 10 for k in range(9)}, sources=["words", "elsewhere"], why=why)


def features(n: int) -> dict[str, Any]:
    return {"title": f"Item {n} {NASTY}", "category": "shoes", "price": 9.5, "tags": ["a", "b"], "empty": None}


def change(version: int, before: Any, after: Any) -> m.ChangeOut:
    return m.ChangeOut(version=version, at="2026-01-02T03:04:05Z", who=f"ann {NASTY}", before=before, after=after)


def experiment(n: int, running: bool) -> m.ExperimentOut:
    found = {"control": 0.1, "candidate": 0.12, "estimate": 0.02, "low": 0.01, "high": 0.03, "p": 0.01, "verdict": "better", "users": [900, 950]}
    results = {
        "users": {"control": 900, "candidate": 950},
        "waiting": 12,
        "evenness": 0.0001,
        "least_p": {"purchase": 0.01},
        "differences": {"purchase": found},
    }
    return m.ExperimentOut(
        name=f"e{n}", version="0002-b", against="0001-a", share=0.1, outcome="purchase", running=running, began="2026-01-02T03:04:05Z",
        ended=None if running else "2026-02-02T03:04:05Z", results=results,
    )  # fmt: skip


def aged(n: int) -> m.FreshnessAnswer:
    if not n:
        return m.FreshnessAnswer(trained_through=0, last_event=0, waiting=0, age_seconds=None)
    moved = [m.ValueMoved(value="v", before=0.1, now=0.4)]
    features = [m.FeatureMoved(feature=f"f{k}", psi=0.3 / (k + 1), divergence=None, chance=0.1, alarm=k == 0, moved=moved) for k in range(min(n, 50))]
    tasks = [m.TaskJudged(task="task0", metric="auc", rows=9, candidate=0.8, serving=0.79, gain=0.01, low=-0.01, high=0.03, fine=True)]
    column = m.ColumnJudged(task="task0", column="p", rows=9, predicted=0.1, observed=0.2, errors=4.0, error=0.1, alarm=True)
    retrained = m.RetrainedOut(at=AT, version="0002-b", against="0001-a", promoted=True, reasons=["fine"], events=9, seconds=60.0, margin=0.01, tasks=tasks)
    return m.FreshnessAnswer(
        trained_through=n, last_event=2 * n, waiting=n, age_seconds=3600.0 * n, calibration=m.CalibrationOut(at=AT, version="0002-b", columns=[column]),
        drift=m.DriftOut(at=AT, version="0002-b", before=9, now=n, new_users=0.1, new_items=0.2, alarms=1, features=features),
        schedule=m.ScheduleOut(every_seconds=86400.0, next=AT, overdue=True, failed="no disk"), retrained=[retrained] * min(n, 20),
    )  # fmt: skip


def layout(active: str, *trail: str) -> dict[str, Any]:
    return {"active": active, "trail": list(trail), "shadow": "0003-c", "split": {"name": "e0", "version": "0002-b", "share": 0.1, "salt": "s", "since": 1}}


class Answers(httpx.AsyncBaseTransport):
    """`many` is how much of everything there is; 0 is a store on its first day. `away` answers nobody. What was asked is in `asked`."""

    def __init__(self, many: int = 3, *, away: bool = False) -> None:
        self.many, self.away = many, away
        self.asked: list[tuple[str, str, Any]] = []
        self.values = {"": "task0.p"} if many else {}
        self.value_version = 7 if many else 0
        self.refusals: dict[str, tuple[int, str]] = {}
        self.active = "0002-b" if many else ""
        self.overtaking = 0  # changes of the value model that somebody else makes first

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("nobody is there")
        body = json.loads(request.content) if request.content else None
        path = request.url.path
        self.asked.append((request.method, path, body))
        if request.headers["authorization"] == f"Bearer {OTHER}" and path not in ("/v1/store", "/v1/search"):
            return self._no(403, "forbidden")
        if request.headers["authorization"] not in (f"Bearer {KEY}", f"Bearer {OTHER}", "Bearer pages"):
            return self._no(401, "unauthorized")
        if path in self.refusals:
            return self._no(*self.refusals[path])
        if request.method == "PUT" and self.overtaking:
            self.overtaking, self.value_version = self.overtaking - 1, self.value_version + 1
            return self._no(409, "conflict")
        found = self.answer(request.method, path, body)
        return self._no(404, "not_found") if found is None else httpx.Response(200, content=msgspec.json.encode(found))

    def _no(self, status: int, code: str) -> httpx.Response:
        return httpx.Response(status, content=msgspec.json.encode(m.Problem(error=m.Wrong(code=code, message=f"No: {code}.", request_id="r"))))

    def answer(self, method: str, path: str, body: Any) -> Any:
        n = self.many
        match path.removeprefix("/v1/").split("/"):
            case ["overview"]:
                routes = {f"POST /v1/route{k}": m.LatencyOut(count=100 * k, errors=k, p50_ms=1.5, p99_ms=9.0) for k in range(n)}
                return m.OverviewAnswer(
                    up_seconds=90061.0, workers=2, requests=routes, events=5 * n, cache={}, alarms=[f"trouble {NASTY}"] * min(n, 50), model=self.active
                )
            case ["traffic"]:
                spell = c.SpellOut(count=60, errors=0, p50_ms=1.0, p99_ms=9.5)
                minutes = [
                    c.MinuteOut(at=f"2026-01-02T{k // 60 % 24:02}:{k % 60:02}:00Z", routes={f"POST /v1/route{k % 9}": spell}) for k in range(min(n, 180))
                ]
                return c.TrafficAnswer(minutes=minutes)
            case ["freshness"]:
                return aged(n)
            case ["training"]:
                curve = [{"step": float(10 * k), **{f"task{t}": 1.0 / (k + 1) for t in range(min(n, 12))}} for k in range(min(n, 200))]
                metrics = {"epoch": 1, "valid": {f"task{t}": {"auc": 0.8, "note": "x"} for t in range(min(n, 12))}}
                return m.TrainingAnswer(
                    runs=[
                        m.ProgressOut(
                            run=f"run{k} {NASTY}",
                            state=("running", "done", "stopped")[k % 3],
                            step=100,
                            of=500,
                            losses={"task0": 0.5},
                            metrics=metrics,
                            curve=curve,
                            changed="2026-01-02T03:04:05Z",
                        )
                        for k in range(min(n, 50))
                    ]
                )
            case ["evaluation"]:
                figures = {"auc": 0.8, "calibration_error": 0.01, "mean": 0.1, "rate": 0.11}
                return c.EvaluationAnswer(
                    table=[row(k) for k in range(min(n, 60))], metrics={f"task{k}": figures for k in range(min(n, 60))},
                    calibration={"task0": {"before": {"calibration_error": 0.05}}} if n else {},
                    rows={f"t{k}": {"train": 9, "valid": 5, "test": 4} for k in range(min(n, 60))},
                    notes=[f"note {k} {NASTY}" for k in range(n)], packages={"torch": "2"},
                    by_scenario=[{"audit": "audit", "pair": "joint - alone", "gains": [gain(k) for k in range(min(n, 90))]}] if n else [],
                )  # fmt: skip
            case ["store"]:
                entity = {
                    "title": m.FeatureOut(kind="text"),
                    "category": m.FeatureOut(kind="category", values=["shoes", "tea"]),
                    "price": m.FeatureOut(kind="number", least=1, most=9),
                }
                return m.StoreAnswer(
                    store="corner_shop", entities={"item": entity, "user": {}} if n else {"item": {}}, rows={"item": n, "user": n},
                    behaviours=["view", "purchase"] if n else [],
                    scenarios=[f"scenario {k} {NASTY}" for k in range(min(n, 40))],
                    tasks={f"task{k}": m.TaskOut(kind="binary", samples="s", columns=["p"]) for k in range(min(n, 60))},
                    tables={}, clock="time",
                )  # fmt: skip
            case ["value"] if method == "GET":
                return self.valued()
            case ["value", "history"]:
                return m.HistoryAnswer(name="value", changes=[change(k, {"": "task0.p"}, {"": f"2*task0.p {NASTY}"}) for k in range(min(n, 1000))])
            case ["value", "preview"]:
                before = [f"i{k}" for k in range(10)]
                shifts = [m.Shift(user=f"u{k}", before=before, after=[*before[:8][::-1], "i90", "i91"], kept=8) for k in range(min(n, 50))]
                return m.PreviewAnswer(scenario=body["scenario"], expression=body["expression"], shifts=shifts, kept=0.8, estimate=ESTIMATE)
            case ["value", *scenario] if method in ("PUT", "DELETE"):
                name = scenario[0] if scenario else ""
                self.values.pop(name, None) if method == "DELETE" else self.values.update({name: body["expression"]})
                self.value_version += 1
                return self.valued()
            case ["models", *rest]:
                if rest[1:] == ["check"]:
                    return m.CheckAnswer(version=rest[0], passed=True, findings=[], figures={"requests": 10.0, "milliseconds": 5.0})
                if rest[1:] == ["promote"]:
                    self.active = rest[0]
                if rest == ["roll_back"]:
                    self.active = "0001-a"
                facts = {"milliseconds": 4.5}
                versions = [
                    m.ModelOut(version=name, added="2026-01-02T03:04:05Z", active=name == self.active, shadow=name == "0003-c", note=f"n {NASTY}", facts=facts)
                    for name in self.named()
                ]
                return m.ModelsAnswer(active=self.active, versions=versions, changes=[change(1, layout("0001-a"), layout(self.active, "0001-a"))] if n else [])
            case ["incoming"]:
                return c.IncomingAnswer(folders=[f"next{k}" for k in range(min(n, 500))])
            case ["shadow"]:
                report = {
                    "serving": "0001-a",
                    "shadow": "0003-c",
                    "requests": 10,
                    "failed": 1,
                    "left_out": 2,
                    "common": 0.5,
                    "same_first": 0.25,
                    "milliseconds": 4.0,
                }
                gaps = {f"task{k}.p": {"items": 5, "mean": 0.01, "root_mean_square": 0.02} for k in range(min(n, 60))}
                return c.ShadowAnswer(version="0003-c" if n else "", reports=[report | {"gaps": gaps}] if n else [])
            case ["experiments", _, "series"]:
                points = [
                    c.PointOut(
                        at=f"2026-01-{1 + k % 28:02}T00:00:00Z",
                        users=k,
                        control=0.1,
                        candidate=0.12,
                        estimate=0.02,
                        low=None if k < 2 else 0.0,
                        high=None if k < 2 else 0.04,
                    )
                    for k in range(min(n, 1000))
                ]
                return c.SeriesAnswer(name="e0", outcome="purchase", points=points)
            case ["experiments", *_]:
                return m.ExperimentsAnswer(experiments=[experiment(k, k == 0) for k in range(min(n, 200))])
            case ["items"]:
                return m.BrowseAnswer(items=[m.ItemOut(item=f"i{k}", features=features(k)) for k in range(min(n, 30))], total=n, next="30" if n > 30 else None)
            case ["items", item]:
                return m.ItemAnswer(item=item, features=features(0), popularity={"events": 5.0}) if n else None
            case ["recommend" | "search" | "similar"]:
                return m.ItemsAnswer(items=[placed(k) for k in range(min(n, 20))], sources={"words": n}, variant="candidate")
            case ["explain"]:
                return m.ExplainAnswer(user=body["user"], item=body["item"], score=0.5, answers={"task0.p": 0.5}, why=placed(0).why)
            case ["users", user, "profile"]:
                traits = [
                    m.TraitOut(task=f"task{k}", kind="classes", shares=[m.ShareOut(name=f"c{j}", probability=0.1) for j in range(9)], missing=["x"])
                    for k in range(min(n, 20))
                ]
                return m.ProfileAnswer(
                    user=user,
                    known=bool(n),
                    features={"city": NASTY} if n else {},
                    answers={},
                    tastes={"category": {"shoes": 0.7, "tea": 0.3}} if n else {},
                    events=n,
                    traits=traits,
                )
            case ["users", user, "events"]:
                events = [
                    m.EventOut(id=str(k), user=user, behaviour="view", item=f"i{k % 9}", time=f"2026-01-{1 + k % 28:02}T00:00:00Z", scenario="home")
                    for k in range(min(n, 1000))
                ]
                return m.UserEvents(user=user, events=events)
        return None

    def named(self) -> list[str]:
        return ["0003-c", "0002-b", "0001-a"] + [f"00{k:02}-z" for k in range(4, min(self.many, 60))] if self.many else []

    def valued(self) -> m.ValueAnswer:
        names = [f"task{k}.p" for k in range(min(self.many, 300))] + ["item.price"]
        return m.ValueAnswer(
            version=self.value_version, values=[m.ValueOut(scenario=s, expression=e) for s, e in self.values.items()], names=names, value=self.value_version
        )

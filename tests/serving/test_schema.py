"""Requests made from the service's own description, right ones and wrong ones (schemathesis): never 500, always the one shape of errors.

Somebody else's events and requests are there too: no answer names them, unless the question did.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

FAST, MANY = 200, 2_000
BROKEN = ("/v1/recommend",)  # whose rules are broken in the fast test too: preparing to break those of one route takes seconds
THREADS = pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
MINE, OTHERS = "mine-7f3a", "others-91bc"


def cases(visit: Any, broken: bool) -> st.SearchStrategy[Any]:
    """One request of any route; where its rules may be broken, half of them break one."""
    schema = schemathesis.openapi.from_dict(visit.client.get("/v1/openapi.json").json())
    right, wrong = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    found = []
    for route in (each.ok() for each in schema.get_all_operations()):
        if route.path_parameters or route.query or route.body:
            found.append(route.as_strategy(generation_mode=right))
            if broken or route.path in BROKEN:
                found.append(route.as_strategy(generation_mode=wrong))
    return st.one_of(*found)


def sent(visit: Any, case: Any, key: str) -> None:
    told = case.as_transport_kwargs(base_url="http://testserver")
    told["headers"] = {name: value for name, value in dict(told.get("headers") or {}).items() if value.isascii()} | {"Authorization": f"Bearer {key}"}
    told.pop("cookies", None)
    if (data := told.pop("data", None)) is not None:
        told["content"] = data
    answer = visit.client.request(**told)
    about = (case.method, case.formatted_path, case.query, case.body)
    assert answer.status_code < 500 or answer.json()["error"]["code"] == "unavailable", (about, answer.text)
    assert OTHERS not in answer.text or OTHERS in repr(about), about
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"code", "message", "request_id", "details"}, about


def run(visit: Any, count: int, *, broken: bool) -> None:
    limits = {role: {"per_second": 1e5, "burst": 10**6} for role in ("events", "answers", "admin")}
    visit.service.journal.set("limits", limits, "test")
    visit.service.follow()
    events = [{"id": f"{who}-{n}", "user": who, "session": f"{who}-visit", "item": "i1", "behaviour": "buy"} for who in (MINE, OTHERS) for n in range(3)]
    assert visit("POST", "/v1/events", {"events": events}).status_code == 200
    visit("POST", "/v1/recommend", {"user": OTHERS, "session": f"{OTHERS}-visit"})
    _, key = visit.house.keys().add("mine", ["events", "answers"])

    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases(visit, broken))
    def each(case: Any) -> None:
        sent(visit, case, key)

    each()


@THREADS
def test_requests_of_the_description_are_answered_in_the_services_own_words(standing: Any) -> None:
    run(standing, FAST, broken=False)


@pytest.mark.slow
@THREADS
def test_thousands_of_requests_that_break_any_rule_of_the_description(standing: Any) -> None:
    run(standing, MANY, broken=True)

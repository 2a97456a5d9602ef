"""Whatever comes in, the service answers in its own words: never 500, always the one shape of errors, never anything of another's."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from banyan.serving.examples import EXAMPLES

MANY = 600

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def routes(house: Any) -> list[tuple[str, str, Any]]:
    document = house.client.get("/v1/openapi.json").json()
    found = []
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            body = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            if not path.startswith(("/v1/items", "/v1/store")):  # which need a real bundle: see test_house
                found.append((method.upper(), path, body))
    return found


def mutated(draw: Any, example: Any) -> Any:
    """The example with one or two of its values replaced, left out or put in."""
    value = msgspec.json.decode(msgspec.json.encode(example))
    for _ in range(draw(st.integers(1, 2))):
        at: Any = value
        while isinstance(at, (dict, list)) and at and draw(st.booleans()):
            step = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[step], (dict, list)) or not at[step]:
                break
            at = at[step]
        if isinstance(at, dict) and at:
            key = draw(st.sampled_from(sorted(at)) | st.text(max_size=10))
            if draw(st.integers(0, 4)) == 0:
                at.pop(key, None)
            else:
                at[key] = draw(json_values)
        elif isinstance(at, list):
            at.append(draw(json_values))
    return value


@st.composite
def requests(draw: Any, known: list[tuple[str, str, Any]]) -> dict[str, Any]:
    method, path, example = draw(st.sampled_from(known))
    while "{" in path:
        name = draw(st.text(max_size=12) | st.sampled_from(["u1", "..", "%2e%2e", "a/b", "none", "\x00", "é" * 250]))
        path = path[: path.index("{")] + httpx_quoted(name) + path[path.index("}") + 1 :]
    if draw(st.integers(0, 9)) == 0:
        path += "?" + draw(st.sampled_from(["most=0", "most=x", "most=1&most=2", "a=b", "most=%00", "=", "&&&"]))
    kind = draw(st.integers(0, 5))
    if kind == 0 or example is None:
        content = draw(st.binary(max_size=60))
    elif kind == 1:
        text = msgspec.json.encode(example)
        content = text[: draw(st.integers(0, len(text)))]
    elif kind == 2:
        content = msgspec.json.encode(draw(json_values))
    else:
        content = msgspec.json.encode(mutated(draw, example))
    headers = (
        {"content-type": "application/json"}
        if draw(st.integers(0, 9))
        else {"content-type": draw(st.sampled_from(["", "text/html", "application/json; charset=x"]))}
    )
    role = draw(st.sampled_from(["events", "answers", "admin", "admin", "admin", None]))
    return {"method": method, "path": path, "content": content, "headers": headers, "role": role}


def httpx_quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "x"


def sent(house: Any, asked: dict[str, Any]) -> None:
    told = house.headers(asked["role"]) if asked["role"] else {}
    answer = house.client.request(asked["method"], asked["path"], content=asked["content"], headers=told | asked["headers"])
    assert answer.status_code < 500, (asked, answer.text)
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"code", "message", "request_id", "details"}, (asked, answer.text)
        assert not any(secret.split("_", 2)[2] in answer.text for secret in house.keys.values())


def run(house: Any, count: int) -> None:
    house.service.limits = {role: msgspec.structs.replace(limit, per_second=1e5, burst=10**6) for role, limit in house.service.limits.items()}
    house.service.journal.set("limits", {role: msgspec.to_builtins(limit) for role, limit in house.service.limits.items()}, "test")
    known = routes(house)

    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(requests(known))
    def each(asked: dict[str, Any]) -> None:
        sent(house, asked)

    each()


# the service's own threads may draw a random number while a request is made up
THREADS = pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")


@THREADS
def test_malformed_requests_are_refused_in_the_services_own_words(house: Any) -> None:
    run(house, MANY)


@pytest.mark.slow
@THREADS
def test_ten_thousand_malformed_requests(house: Any) -> None:
    run(house, 10_000)


def test_a_header_cannot_put_another_into_the_answer(house: Any) -> None:
    for told in ("abcdefgh\r\nset-cookie: a=b", "abcdefgh\nx: y", "abcdefgh%0d%0ax: y"):
        try:
            answer = house.client.get("/healthz", headers={"x-request-id": told})
        except Exception:  # the client itself may refuse to send it
            continue
        assert "set-cookie" not in answer.headers
        assert "x" not in answer.headers


def test_the_examples_cover_every_body(house: Any) -> None:
    assert len([body for _, _, body in routes(house) if body is not None]) >= 10
    assert EXAMPLES

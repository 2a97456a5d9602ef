"""What the console asks of the service: each address of `/v1` as a call. Knows no page."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from banyan.client import Call
from banyan.serving import messages as m
from banyan.serving import messages_console as c

OVERVIEW = Call("GET", "/v1/overview", m.OverviewAnswer)
FRESHNESS = Call("GET", "/v1/freshness", m.FreshnessAnswer)
TRAINING = Call("GET", "/v1/training", m.TrainingAnswer)
EVALUATION = Call("GET", "/v1/evaluation", c.EvaluationAnswer)
SHADOW = Call("GET", "/v1/shadow", c.ShadowAnswer)
INCOMING = Call("GET", "/v1/incoming", c.IncomingAnswer)
STORE = Call("GET", "/v1/store", m.StoreAnswer)
VALUES = Call("GET", "/v1/value", m.ValueAnswer)
MODELS = Call("GET", "/v1/models", m.ModelsAnswer)
ROLL_BACK = Call("POST", "/v1/models/roll_back", m.ModelsAnswer, again=False)
EXPERIMENTS = Call("GET", "/v1/experiments", m.ExperimentsAnswer)
STOP = Call("POST", "/v1/experiments/stop", m.ExperimentsAnswer, again=False)


def traffic(minutes: int) -> Call[c.TrafficAnswer]:
    """Requests by the minute."""
    return Call("GET", "/v1/traffic", c.TrafficAnswer, query={"minutes": minutes})


def series(name: str) -> Call[c.SeriesAnswer]:
    """An experiment over time."""
    return Call("GET", f"/v1/experiments/{_path(name)}/series", c.SeriesAnswer)


def begin(name: str, version: str, share: float, outcome: str) -> Call[m.ExperimentsAnswer]:
    """Begin an experiment."""
    body = {"name": name, "version": version, "share": share, "outcome": outcome}
    return Call("POST", "/v1/experiments", m.ExperimentsAnswer, msgspec.convert(body, m.ExperimentBody), again=False)


def add(folder: str, note: str) -> Call[m.ModelsAnswer]:
    """Take a bundle in."""
    return Call("POST", "/v1/models", m.ModelsAnswer, msgspec.convert({"folder": folder, "note": note}, m.AddModelBody), again=False)


def promote(version: str) -> Call[m.ModelsAnswer]:
    """Let a version answer."""
    return Call("POST", f"/v1/models/{_path(version)}/promote", m.ModelsAnswer, again=False)


def check(version: str) -> Call[m.CheckAnswer]:
    """Try a version on recorded requests."""
    return Call("POST", f"/v1/models/{_path(version)}/check", m.CheckAnswer, again=False)


def shadow(version: str) -> Call[m.ModelsAnswer]:
    """Put a version in the shadow; `none` ends it."""
    return Call("POST", f"/v1/models/{_path(version)}/shadow", m.ModelsAnswer, again=False)


def remove(version: str) -> Call[m.ModelsAnswer]:
    """Delete a version."""
    return Call("DELETE", f"/v1/models/{_path(version)}", m.ModelsAnswer, again=False)


def change_value(scenario: str, expression: str, expected: int) -> Call[m.ValueAnswer]:
    """Change a scenario's value model; "" is the one that holds wherever there is no other."""
    path = f"/v1/value/{_path(scenario)}" if scenario else "/v1/value"
    return Call("PUT", path, m.ValueAnswer, msgspec.convert({"expression": expression, "expected": expected}, m.ValueBody), again=False)


def drop_value(scenario: str) -> Call[m.ValueAnswer]:
    """Drop a scenario's own value model."""
    return Call("DELETE", f"/v1/value/{_path(scenario)}", m.ValueAnswer, again=False)


def value_history(most: int) -> Call[m.HistoryAnswer]:
    """Who changed the value model, and when."""
    return Call("GET", "/v1/value/history", m.HistoryAnswer, query={"most": most})


def preview(scenario: str, expression: str, users: Sequence[str], k: int) -> Call[m.PreviewAnswer]:
    """What an expression would change."""
    body = {"scenario": scenario, "expression": expression, "users": list(users), "k": k}
    return Call("POST", "/v1/value/preview", m.PreviewAnswer, msgspec.convert(body, m.PreviewBody), again=False)


def question(name: str, kind: type[m.Asked], answer: Any, **fields: Any) -> Call[Any]:
    """A question of those that the store's own pages ask: recommend, search, similar, explain."""
    return Call("POST", f"/v1/{name}", answer, msgspec.convert(fields, kind))


def item(item: str) -> Call[m.ItemAnswer]:
    """One item."""
    return Call("GET", f"/v1/items/{_path(item)}", m.ItemAnswer)


def items(**query: Any) -> Call[m.BrowseAnswer]:
    """A page of items."""
    return Call("GET", "/v1/items", m.BrowseAnswer, query=query)


def profile(user: str) -> Call[m.ProfileAnswer]:
    """What is known and guessed of a user."""
    return Call("GET", f"/v1/users/{_path(user)}/profile", m.ProfileAnswer)


def events(user: str, most: int) -> Call[m.UserEvents]:
    """A user's newest events."""
    return Call("GET", f"/v1/users/{_path(user)}/events", m.UserEvents, query={"most": most})


def _path(word: str) -> str:
    return quote(word, safe="")

"""The stock as named arrays and back: entities' columns, the log cut to what answers need, the statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from banyan import parts
from banyan.bundle import counts
from banyan.features import collaborative
from banyan.features.columns import ID, Values
from banyan.features.pairs import spans
from banyan.features.plan import Plan
from banyan.features.statistics import Counts, Snapshots
from banyan.features.stock import Stock
from banyan.signals import World
from banyan.store.shop import EventLog
from banyan.types import Array

LOG = ("item", "behaviour", "time", "scenario", "value")


def of_values(values: Values) -> dict[str, Array]:
    """One entity's columns by name."""
    found = {"ids": values.ids, "numbers": values.numbers, "known": values.known, "bins": values.bins}
    for key, (offsets, ids) in values.bags.items():
        found |= {f"offsets/{key}": offsets, f"bag/{key}": ids}
    return {**found, **{f"dense/{key}": each for key, each in values.dense.items()}}


def to_values(found: dict[str, Array]) -> Values:
    """What `of_values` named."""
    bags = {key.removeprefix("bag/"): (found[f"offsets/{key.removeprefix('bag/')}"], each) for key, each in found.items() if key.startswith("bag/")}
    dense = {key.removeprefix("dense/"): each for key, each in found.items() if key.startswith("dense/")}
    return Values(found["ids"], found["numbers"], found["known"], found["bins"], bags, dense)


def take(values: Values, rows: Array) -> Values:
    """The columns of some rows."""
    bags = {}
    for key, (offsets, ids) in values.bags.items():
        at, _ = spans(offsets[rows], offsets[rows + 1])
        bags[key] = (np.concatenate([[0], np.cumsum(offsets[rows + 1] - offsets[rows])]).astype(np.int64), ids[at])
    return Values(values.ids[rows], values.numbers[rows], values.known[rows], values.bins[rows], bags, {key: each[rows] for key, each in values.dense.items()})


def joined(first: Values, second: Values) -> Values:
    """The rows of both."""
    bags = {
        key: (np.concatenate([offsets, second.bags[key][0][1:] + offsets[-1]]), np.concatenate([ids, second.bags[key][1]]))
        for key, (offsets, ids) in first.bags.items()
    }
    both = {key: np.concatenate([getattr(first, key), getattr(second, key)]) for key in ("ids", "numbers", "known", "bins")}
    return Values(**both, bags=bags, dense={key: np.concatenate([each, second.dense[key]]) for key, each in first.dense.items()})


def strangers(values: Values, plan: Plan, entity: str, count: int) -> Values:
    """Rows of ids that training never saw, all features missing: what an id without a row of its own has in training too."""
    found = take(values, np.zeros(count, np.int64))
    categories = plan.entities[entity].categories
    if ID in categories:
        found.ids[:, list(categories).index(ID)] = plan.books[categories[ID]].unseen
    return found


@dataclass(frozen=True)
class Kept:
    """The events that a bundle holds, and from when on its answers are those of the whole log."""

    log: EventLog
    since: int | None  # microseconds or order; None: at any moment


def kept(stock: Stock, since: int) -> Kept:
    """The log without the events that no row from `since` on reads.

    Of each user stay: all events from `since` on, the `pair_last` newest before it, and the `length` newest before it that histories hold.
    Without a clock every row reads the end of the log, so the same holds from there.
    """
    log, narrowed = stock.log, stock.narrowed
    assert log is not None
    assert narrowed is not None
    users = np.arange(len(log.start) - 1)
    edge = log.before(users, np.full(len(users), since, np.int64))
    at = np.arange(len(log.item))
    keep = at >= np.repeat(edge - stock.pair_last, np.diff(log.start))
    if stock.places is None:
        keep |= at >= np.repeat(edge - stock.length, np.diff(log.start))
    else:
        mine = np.diff(stock.places) > 0
        oldest = np.repeat(stock.places[edge] - stock.length, np.diff(log.start))
        keep |= mine & (stock.places[:-1] >= oldest)
    start = np.concatenate([[0], np.cumsum(keep)])[log.start].astype(np.int64)
    return Kept(replace(log, start=start, **{key: getattr(log, key)[keep] for key in LOG}), None if log.clock == "none" else since)


def of_log(log: EventLog) -> dict[str, Array]:
    """The log's arrays by name."""
    return {"start": log.start, **{key: getattr(log, key) for key in LOG}}


def to_log(found: dict[str, Array], plan: Plan) -> EventLog:
    """What `of_log` named. Raises ValueError where the arrays cannot be a log."""
    start = found["start"]
    if len(start) < 2 or start[0] != 0 or (np.diff(start) < 0).any() or any(len(found[key]) != start[-1] for key in LOG):
        raise ValueError("the events do not fit their users")
    return EventLog(start, **{key: found[key] for key in LOG}, behaviours=plan.behaviours, scenarios=plan.scenarios, clock=plan.clock)


def of_snapshots(snapshots: Snapshots, since: int | None) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays, facts) of the statistics that rows from `since` on read."""
    number = int(since // snapshots.span) if since is not None and snapshots.clocked else None
    arrays: dict[str, Array] = {}
    facts: dict[str, Any] = {"span": snapshots.span, "wide": snapshots.wide}
    for key in ("items", "users", "own"):
        found: Counts | None = getattr(snapshots, key)
        if found is not None:
            small = counts.since(found, number)
            assert small.total is not None
            arrays |= {f"{key}/code": small.sorted, f"{key}/total": small.total}
            facts[key] = {"behaviours": small.behaviours, "first": small.first, "boundaries": small.boundaries}
    return arrays, facts


def to_snapshots(arrays: dict[str, Array], facts: dict[str, Any], log: EventLog) -> Snapshots:
    """What `of_snapshots` gave."""
    found = {}
    for key in ("items", "users", "own"):
        if key in facts:
            own = facts[key]
            found[key] = Counts(arrays[f"{key}/code"], int(own["behaviours"]), int(own["first"]), int(own["boundaries"]), arrays[f"{key}/total"])
    return Snapshots.of(log, int(facts["span"]), found["items"], found["users"], found.get("own"), int(facts["wide"]))


def of_signals(signals: collaborative.Fitted) -> tuple[dict[str, Array], dict[str, Any]]:
    """(arrays, facts) of the newest fit of every signal."""
    found = {f"{i}/{key}": each for i, signal in enumerate(signals.fits[-1]) for key, each in signal.arrays().items()}
    return found, {"since": signals.since[-1], "items": signals.world.items, "count": len(signals.names)}


def to_signals(arrays: dict[str, Array], facts: dict[str, Any], specs: Mapping[str, parts.Spec], plan: Plan) -> collaborative.Fitted:
    """What `of_signals` gave."""
    own = [{key.partition("/")[2]: each for key, each in arrays.items() if key.partition("/")[0] == str(i)} for i in range(int(facts["count"]))]
    return collaborative.restored(specs, World(int(facts["items"]), plan.behaviours, plan.clock != "none"), int(facts["since"]), own)

"""Labelled rows: from a table of the shop's own (`table.py`) or by a recipe over the events (one file each), then split and pointed at the log."""

from collections.abc import Callable

import numpy as np

from banyan.store.entities import newest
from banyan.store.samples import attributes, counts, maturity, next_item, outcomes, table
from banyan.store.samples.raw import Raw
from banyan.store.schema import Store
from banyan.store.sections import section
from banyan.store.shop import EntityFrame, EventLog, SampleTable
from banyan.store.split import Cut, cut, how, of, parts_of_ids, split
from banyan.types import TEST, TRAIN, VALID, Array

RECIPES: dict[str, Callable[..., Raw]] = {"outcomes": outcomes.make, "next_item": next_item.make, "counts": counts.make, "attributes": attributes.make}
_LATEST = np.iinfo(np.int64).max


def read_samples(
    store: Store, entities: dict[str, EntityFrame], log: EventLog | None, notes: list[str], merged: bool = False
) -> tuple[dict[str, SampleTable], EventLog | None, tuple[str, ...], Cut | None]:
    """(tables, log, scenarios, cut). `entities` grow by ids that only a table knows, `notes` by what was dropped.

    The log comes back with the scenarios of all tables, and without the events that are set aside: those of cold items, and without a
    clock the labelled events of rows that do not train. With `merged` the rows of validation train too. Raises ConfigError and DataError.
    """
    scenarios = list(log.scenarios) if log else [""]
    raws = _raws(store, entities, log, scenarios)
    for raw in raws.values():
        notes.extend(raw.notes)
    where = cut(store, log, raws)
    where = (where[1], where[1]) if merged and where is not None else where
    split_ = {name: split(name, raw, how(store, name), where, entities) for name, raw in raws.items()}
    if merged:
        split_ = {name: (np.where(part == VALID, TRAIN, part).astype(np.int8), dropped) for name, (part, dropped) in split_.items()}
    if log is not None:
        _grow(log, entities["user"])
        log.scenarios = tuple(scenarios)
        log = _without_held(store, log, raws, {name: part for name, (part, _) in split_.items()}, entities, notes)
    tables = {name: _table(name, raw, *split_[name], log, entities, where) for name, raw in raws.items()}
    for name, raw in raws.items():
        if raw.delays and log is not None:
            tables[name].labels, tables[name].maturity, told = maturity.settled(name, raw, tables[name].part, where[0] if where else int(log.time.max()) + 1)
            notes.extend(told)
    notes.extend(_said(tables, merged))
    return tables, log, tuple(scenarios), where


def _raws(store: Store, entities: dict[str, EntityFrame], log: EventLog | None, scenarios: list[str]) -> dict[str, Raw]:
    """Tables first: they may know ids and scenarios that the recipes then count with."""
    found: dict[str, Raw] = {}
    for name, samples in store.samples.items():
        if samples.table is not None:
            with section(f"samples.{name}"):
                found[name] = table.make(name, samples, store, entities, log, scenarios)
    if log is not None:
        _grow(log, entities["user"])
        log.scenarios = tuple(scenarios)
    for name, samples in store.samples.items():
        if samples.recipe is not None:
            with section(f"samples.{name}"):
                found[name] = RECIPES[samples.recipe](name, samples, store, entities, log)
    return {name: found[name].filled() for name in store.samples}


def _grow(log: EventLog, users: EntityFrame) -> None:
    """Users that only a table knows have no events."""
    log.start = np.append(log.start, np.full(len(users) + 1 - len(log.start), log.start[-1], np.int64))


def _without_held(store: Store, log: EventLog, raws: dict[str, Raw], parts: dict[str, Array], entities: dict[str, EntityFrame], notes: list[str]) -> EventLog:
    held = np.zeros(len(log.item), bool)
    for name, raw in raws.items():
        rule = how(store, name)
        if rule.by == "cold_item" and of(rule) == "item":
            held |= (parts_of_ids(entities["item"], rule) != TRAIN)[log.item]
        elif log.clock == "none" and rule.by != "user" and raw.exclude is not None:
            held[raw.exclude[(parts[name] != TRAIN) & (raw.exclude >= 0)]] = True
    if not held.any():
        return log
    notes.append(f"events: {int(held.sum())} of {len(held)} are set aside, being what validation and test rows ask about; no history holds them.")
    place = np.where(held, -1, np.cumsum(~held) - 1)
    for raw in raws.values():
        if raw.exclude is not None:
            raw.exclude = np.where(raw.exclude >= 0, place[raw.exclude], -1)
    start = np.concatenate([[0], np.cumsum(~held)])[log.start].astype(np.int64)
    keep = ~held
    return EventLog(start, log.item[keep], log.behaviour[keep], log.time[keep], log.scenario[keep], log.value[keep], log.behaviours, log.scenarios, log.clock)


def _table(name: str, raw: Raw, part: Array, dropped: dict[str, int], log: EventLog | None, entities: dict[str, EntityFrame], where: Cut | None) -> SampleTable:
    scenario, weight, rate, exclude = (each for each in (raw.scenario, raw.weight, raw.rate, raw.exclude) if each is not None)
    end = _end(raw, part, log, entities, where)
    features: dict[str, object] = dict(raw.features)
    return SampleTable(
        name, raw.entities, raw.time, scenario, raw.context, raw.labels, weight, rate, part, end, exclude, raw.targets, features=features, dropped=dropped
    )


def _end(raw: Raw, part: Array, log: EventLog | None, entities: dict[str, EntityFrame], where: Cut | None) -> Array:
    """(n,) int64: where each row's user's events end. A row without a time sees what training may see: the events before the first cut."""
    if log is None or "user" not in raw.entities:
        return np.full(len(raw), -1, np.int64)
    user = newest(entities["user"])[raw.entities["user"]]
    time = raw.time if raw.time is not None else np.full(len(raw), where[0] if where else _LATEST)
    return np.where(user > 0, log.before(user, time), -1)


def _said(tables: dict[str, SampleTable], merged: bool) -> list[str]:
    """What the splits lost."""
    said = [f"samples.{name}: {count} of {len(t)} rows are in no part ({reason})." for name, t in tables.items() for reason, count in t.dropped.items()]
    wanted = (("test", TEST),) if merged else (("validation", VALID), ("test", TEST))
    empty = [(name, word) for name, t in tables.items() for word, code in wanted if not (t.part == code).any()]
    return said + [f"samples.{name}: no row is left for {word}; nothing can be said there." for name, word in empty]

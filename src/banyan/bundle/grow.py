"""New rows of entities and new events join a stock; what was there keeps its row numbers, and the strangers' row stays last."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from banyan.bundle import arrays, counts
from banyan.bundle.rows import Reader
from banyan.errors import ConfigError, DataError
from banyan.features import columns as layouts
from banyan.features.columns import Values
from banyan.features.statistics import Snapshots
from banyan.features.stock import ITEM, USER, Stock
from banyan.features.texts import Texts
from banyan.store import columns
from banyan.store.entities import ALWAYS
from banyan.store.hints import hint
from banyan.store.schema import Events
from banyan.store.shop import EventLog
from banyan.store.times import microseconds, order, refuse
from banyan.types import Array


def with_rows(reader: Reader, entity: str, frame: pl.DataFrame, texts: Texts, where: str) -> Stock:
    """The stock with the frame's rows: the id column, and a column a feature, as the store describes them; other columns are not read.

    Raises ConfigError for an unknown entity, DataError for a missing column, an id that is missing, stands twice or is known already.
    """
    spec = reader.store.entities.get(entity)
    if spec is None:
        raise ConfigError(f"The bundle has no entity {entity!r}.{hint(entity, reader.store.entities)}")
    layout = reader.plan.entities[entity]
    named = {key: spec.features[key].column or key for key in layout.features}
    for column in (spec.id, *named.values()):
        if column not in frame.columns:
            raise DataError(f"{where}: there is no column {column!r} of {entity}.{hint(column, frame.columns)}")
    ids = columns.ids(frame[spec.id], f"{where}, column {spec.id}")
    at = f"{where}, column {spec.id}"
    refuse(frame[spec.id], at, ids.is_null(), "every row needs an id")
    refuse(frame[spec.id], at, ids.is_duplicated(), "an id stands in one row only")
    refuse(frame[spec.id], at, ids.is_in(pl.Series(reader.stock.ids[entity], dtype=pl.String).implode()), f"this {entity} is in the bundle already")
    typed = pl.DataFrame(
        [reader.typed(frame[column], layout.features[key], layout.dense.get(key), f"{where}, column {column}").rename(key) for key, column in named.items()]
    )
    grown = _grown(reader, entity, ids, layouts.apply(layout, _tall(typed, len(ids)), reader.plan.books, texts, ids))
    if entity == ITEM and grown.lexis is not None:
        grown.lexis = grown.lexis.saying(typed)
    return grown


def _tall(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """A frame without columns has no height of its own; an entity may have no features."""
    return frame if frame.width else pl.DataFrame({"\0": np.zeros(rows, np.int8)})


def _grown(reader: Reader, entity: str, ids: pl.Series, values: Values) -> Stock:
    stock, plan = reader.stock, reader.plan
    old = stock.entities[entity]
    kept = arrays.take(old, np.arange(len(old) - 1))
    grown = replace(
        stock,
        entities={**stock.entities, entity: arrays.joined(arrays.joined(kept, values), arrays.strangers(old, plan, entity, 1))},
        ids={**stock.ids, entity: np.concatenate([stock.ids[entity], ids.to_numpy()])},
        since=dict(stock.since),
    )
    if entity in grown.since:
        grown.since[entity] = np.append(grown.since[entity], np.full(len(ids), ALWAYS))
    if entity == ITEM and grown.lexis is not None:
        grown.lexis = grown.lexis.longer(len(ids))
    log = stock.log
    if log is not None:
        start = np.append(log.start, np.full(len(ids), log.start[-1])) if entity == USER else log.start
        _placed(grown, replace(log, start=start), stock.snapshots, reader.store.model.behaviours)
    return grown


def _placed(stock: Stock, log: EventLog, snapshots: Snapshots | None, behaviours: Sequence[str] | None) -> None:
    """Put a log and its statistics into a stock; `behaviours` are those that histories hold."""
    stock.log = log
    stock.narrow(behaviours)
    if snapshots is not None:
        wide = max(snapshots.wide, len(stock.entities[ITEM]))
        own = snapshots.own
        if own is not None and wide > snapshots.wide:
            own = counts.widened(own, snapshots.wide, wide)
        stock.snapshots = Snapshots.of(log, snapshots.span, snapshots.items, snapshots.users, own, wide)


def with_events(reader: Reader, frame: pl.DataFrame, where: str) -> Stock:
    """The stock with the frame's events, whose columns are those of the store's own events. Ids that are new get rows with all features missing.

    Raises DataError for a missing column or value and for a behaviour that training did not see.
    """
    events = reader.store.events
    if events is None or reader.stock.log is None:
        raise ConfigError("The store describes no events; there is no log that new ones could join.")
    fresh = _read(events, reader, frame, where)
    for entity in (USER, ITEM):
        reader = replace(reader, stock=_with_ids(reader, entity, fresh[entity]))
    stock = replace(reader.stock)
    log, span = stock.log, stock.snapshots.span if stock.snapshots else 1
    assert log is not None
    time = fresh["time"].to_numpy()
    user = reader.of_events(reader.row_numbers(USER, fresh[USER]))
    item = reader.row_numbers(ITEM, fresh[ITEM], time if log.clock == "time" else None)
    both = _merged(log, user, item, fresh)
    snapshots = stock.snapshots
    if snapshots is not None:
        number = time // span if snapshots.clocked else np.zeros_like(time)
        snapshots = _counted(snapshots, user, reader.newest(ITEM)[item], fresh["behaviour"].to_numpy(), number)
    _placed(stock, both, snapshots, reader.store.model.behaviours)
    return stock


def _read(events: Events, reader: Reader, frame: pl.DataFrame, where: str) -> pl.DataFrame:
    clock = events.time or events.order
    for column in (events.user, events.item, *(c for c in (events.behaviour, clock) if c)):
        if column not in frame.columns:
            raise DataError(f"{where}: there is no column {column!r}, which events have.{hint(column, frame.columns)}")
    user, item = (columns.ids(frame[c], f"{where}, column {c}").alias(name) for name, c in ((USER, events.user), (ITEM, events.item)))
    found = [user, item, _coded(frame, events.behaviour, reader.plan.behaviours, where, "behaviour", events.all)]
    stamps = (microseconds if events.time else order)(frame[clock], f"{where}, column {clock}") if clock else pl.Series([0] * frame.height, dtype=pl.Int64)
    for column, series in ((events.user, user), (events.item, item), *([(clock, stamps)] if clock else [])):
        refuse(frame[column], f"{where}, column {column}", series.is_null(), "every event needs one")
    value = columns.numbers(frame[events.value], f"{where}, column {events.value}") if events.value in frame.columns else pl.Series([None] * frame.height)
    scenario = events.scenario if events.scenario in frame.columns else None
    found += [stamps.alias("time"), _coded(frame, scenario, reader.plan.scenarios, where, "scenario", ""), value.cast(pl.Float32).alias("value")]
    return pl.DataFrame(found)


def _coded(frame: pl.DataFrame, column: str | None, known: Sequence[str], where: str, name: str, default: str) -> pl.Series:
    words = columns.words(frame[column], f"{where}, column {column}") if column else pl.Series([default] * frame.height, dtype=pl.String)
    code = words.replace_strict(list(known), list(range(len(known))), default=0 if name == "scenario" else -1, return_dtype=pl.Int32)
    if name == "behaviour" and column:
        right = f"a behaviour is one that training saw: {', '.join(known)}"
        refuse(frame[column], f"{where}, column {column}", (code.fill_null(-1) < 0), right)
    return code.fill_null(0).alias(name)


def _with_ids(reader: Reader, entity: str, ids: pl.Series) -> Stock:
    distinct = ids.unique().sort()
    unknown = distinct.filter(~distinct.is_in(pl.Series(reader.stock.ids[entity], dtype=pl.String).implode()))
    if not len(unknown):
        return reader.stock
    return _grown(reader, entity, unknown, arrays.strangers(reader.stock.entities[entity], reader.plan, entity, len(unknown)))


def _merged(log: EventLog, user: Array, item: Array, fresh: pl.DataFrame) -> EventLog:
    """Both logs as one, sorted by user, then time; at one time, what was there before stands first."""
    new = {"item": item, **{key: fresh[key].to_numpy() for key in ("behaviour", "time", "scenario", "value")}}
    whole = {key: np.concatenate([getattr(log, key), new[key].astype(getattr(log, key).dtype)]) for key in arrays.LOG}
    owner = np.concatenate([log.user, user])
    by = np.lexsort((whole["time"], owner))
    start = np.zeros(len(log.start), np.int64)
    np.cumsum(np.bincount(owner, minlength=len(log.start) - 1), out=start[1:])
    sorted_: dict[str, Any] = {key: each[by] for key, each in whole.items()}
    return replace(log, start=start, **sorted_)


def _counted(found: Snapshots, user: Array, item: Array, behaviour: Array, number: Array) -> Snapshots:
    own = found.own
    if own is not None:
        own = counts.grown(own, user.astype(np.int64) * found.wide + item, behaviour, number)
    items, users = counts.grown(found.items, item, behaviour, number), counts.grown(found.users, user, behaviour, number)
    return Snapshots.of(found.log, found.span, items, users, own, found.wide)

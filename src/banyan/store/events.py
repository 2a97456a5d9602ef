"""The events table -> a log sorted by user, then time."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from banyan.errors import DataError
from banyan.store import columns
from banyan.store.entities import extended, lookup, newest
from banyan.store.schema import Events, Store
from banyan.store.sections import section
from banyan.store.shop import EntityFrame, EventLog
from banyan.store.sources import read
from banyan.store.times import microseconds, order
from banyan.types import Array

LOOKED = 2_000_000  # events, of the first users, whose order in the file is looked at
DISORDER, FEW = 0.05, 100  # share and number of neighbours in time that a file must hold the other way round to be worth a word
LOST = {
    "order": "The events have an order and no time: `before` is kept, but recency in days, spans of time and snapshots are not known.",
    "none": "The events have neither time nor order: the log is a set. A row's history holds all of the user's events except the labelled one, "
    "and no answer is evidence about the future.",
}


def read_events(store: Store, entities: dict[str, EntityFrame], notes: list[str] | None = None) -> EventLog:
    """The sorted log. Events without user, item, behaviour or time are left out; an id that its entity's table does not know gets a
    row of its own there with all features missing (`entities` is changed). Both are counted in `notes`.

    Raises ConfigError and DataError that name the file, the column and the row.
    """
    events = store.events
    if events is None:
        raise DataError("The store describes no events.")
    said: list[str] = [] if notes is None else notes
    clock = "time" if events.time else "order" if events.order else "none"
    with section("events"):
        frame = _complete(described(events, store), events, clock, said)
    for name in ("user", "item"):
        entities[name], new = extended(entities[name], frame[name])
        if new and (table := store.entities[name].table) is not None:
            said.append(f"events: {new} ids of {name} have no row in {table.label}; each got a row with all features missing.")
    if clock in LOST:
        said.append(LOST[clock])
    return _sorted(frame, entities, clock, said)


def described(events: Events, store: Store) -> pl.DataFrame:
    """The described columns, typed, under the log's own names, in the order of the file: user, item, and those that there are of behaviour, time, ..."""
    clock = events.time or events.order
    wanted = {"user": events.user, "item": events.item, "behaviour": events.behaviour, "time": clock, "scenario": events.scenario, "value": events.value}
    label = events.table.label
    words = {name: column for name, column in wanted.items() if name in ("user", "item", "behaviour", "scenario")}
    raw = read(events.table, store.folder, [c for c in wanted.values() if c], plain=True, coded=words.values())
    at = {name: f"{label}, column {column}" for name, column in wanted.items()}
    found = [_words(raw[events.user], at["user"], columns.ids).alias("user"), _words(raw[events.item], at["item"], columns.ids).alias("item")]
    if events.behaviour:
        found.append(_words(raw[events.behaviour], at["behaviour"], columns.words).alias("behaviour"))
    if clock:
        found.append((microseconds if events.time else order)(raw[clock], at["time"]).alias("time"))
    if events.scenario:
        found.append(_words(raw[events.scenario], at["scenario"], columns.words).alias("scenario"))
    if events.value:
        found.append(columns.numbers(raw[events.value], at["value"]).alias("value"))
    return pl.DataFrame(found)


def _words(column: pl.Series, where: str, typed: Callable[[pl.Series, str], pl.Series]) -> pl.Series:
    """Text stays coded, for a log is long and its words are few; other columns become what `typed` makes of them."""
    return column if isinstance(column.dtype, pl.Categorical) else typed(column, where)


def _complete(frame: pl.DataFrame, events: Events, clock: str, notes: list[str]) -> pl.DataFrame:
    needed = [c for c in ("user", "item", "behaviour", "time") if c in frame.columns]
    for column in needed:
        if lost := frame[column].null_count():
            shown = clock if column == "time" else column
            notes.append(f"events: {lost} of {frame.height} rows of {events.table.label} have no {shown} and were left out.")
    frame = frame.drop_nulls(needed)
    if not frame.height:
        raise DataError(f"{events.table.label}: no row has all of {', '.join(needed)}.")
    absent = [pl.lit(value, dtype=kind).alias(name) for name, value, kind in _DEFAULTS if name not in frame.columns]
    absent += [pl.lit(events.all).alias("behaviour")] if "behaviour" not in frame.columns else []
    return frame.with_columns(absent)


_DEFAULTS: tuple[tuple[str, int | None, pl.DataType], ...] = (("time", 0, pl.Int64()), ("scenario", None, pl.String()), ("value", None, pl.Float64()))


def _sorted(frame: pl.DataFrame, entities: dict[str, EntityFrame], clock: str, notes: list[str]) -> EventLog:
    time = frame["time"].to_numpy()
    as_of = time if clock == "time" else None
    user = newest(entities["user"])[lookup(entities["user"], frame["user"])]
    item = lookup(entities["item"], frame["item"], as_of)
    behaviours, behaviour = coded(frame["behaviour"])
    if len(behaviours) > np.iinfo(np.int16).max:
        raise DataError(f"events: {len(behaviours)} different behaviours; a behaviour is one of a few words such as view and purchase.")
    scenarios, scenario = coded(frame["scenario"], ("",))
    by = pl.DataFrame({"user": user, "time": time}).select(pl.arg_sort_by("user", "time", maintain_order=True)).to_series().to_numpy()
    notes.extend(_disorder(user[by[:LOOKED]], by[:LOOKED]) if clock == "time" else [])
    start = np.zeros(len(entities["user"]) + 1, np.int64)
    np.cumsum(np.bincount(user, minlength=len(entities["user"])), out=start[1:])
    value = frame["value"].to_numpy().astype(np.float32)
    return EventLog(start, item[by], behaviour[by].astype(np.int16), time[by], scenario[by], value[by], behaviours, scenarios, clock)


def _disorder(user: Array, place: Array) -> list[str]:
    """What to say of a file in which the events of a user stand neither in the order of time nor against it; `place` (n,) are rows of the file."""
    same = user[1:] == user[:-1]
    back = np.count_nonzero(same & (place[1:] < place[:-1]))
    share = back / max(int(np.count_nonzero(same)), 1)
    if not DISORDER < share < 1 - DISORDER or back < FEW:
        return []
    return [
        f"events: a user's events stand in no order of time in the file ({share:.0%} of neighbours in time stand the other way round); they were sorted. "
        "If the file was written as things happened, clocks differ: check the times."
    ]


def coded(column: pl.Series, known: Sequence[str] = ()) -> tuple[tuple[str, ...], Array]:
    """(words, (n,) int32 codes): `known` words first, then new ones in order of the text; null gets code 0."""
    fresh = sorted(set(column.unique().drop_nulls().to_list()) - set(known))
    names = (*known, *fresh)
    codes = columns.matched(column, pl.Series(names, dtype=pl.String), np.arange(len(names), dtype=np.int32))
    return names, codes.fill_null(0).to_numpy()

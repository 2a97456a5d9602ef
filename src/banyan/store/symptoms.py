"""What may be wrong with entities and events: each function looks for one thing."""

import re
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from banyan.store import pictures
from banyan.store.finding import Finding, share, some
from banyan.store.schema import Source, Store
from banyan.store.shop import EntityFrame, EventLog, Shop
from banyan.store.sources import scan
from banyan.store.times import text
from banyan.types import Array

PICTURES = 300  # of a column, that are decoded
SAMPLE = 2_000_000  # events that duplicates are looked for in
HEAVY = 1000  # times the median user's events
EARLY = 631_152_000_000_000  # 1990-01-01 in microseconds
CHANGING = re.compile(
    r"(^|_)(last|latest|total|lifetime|cumulative|avg|average|mean|count|num|balance|recency|frequency|monetary|rfm|churn(ed)?|ltv|days_since|so_far)(_|$)"
    r"|(最近|累计|总|平均|次数|余额)"
)


def entity_findings(shop: Shop, now: int) -> Iterator[Finding]:
    """All about entities."""
    for name, entity in shop.entities.items():
        where = f"entities.{name}"
        described = f" with {_listed(shop.store.entities[name].features)}" if shop.store.entities[name].features else ""
        yield Finding("info", where, f"{len(entity.ids):,} rows{described}.")
        yield from _missing(where, entity)
        yield from _changing(shop, name, entity, now)
        for key, feature in shop.store.entities[name].features.items():
            if feature.kind == "image":
                yield from _pictures(f"entities.{name}.{key}", entity.frame[key], entity.ids)
        if (table := shop.store.entities[name].table) is not None:
            yield from float_ids(where, shop.store, table, [shop.store.entities[name].id])


def _listed(names: Iterable[str]) -> str:
    words = list(names)
    return ", ".join(words[:12]) + (f" and {len(words) - 12} more" if len(words) > 12 else "")


def _missing(where: str, entity: EntityFrame) -> Iterator[Finding]:
    yield from missing(where, entity.frame.select(pl.exclude(entity.frame.columns[0])))


def missing(where: str, frame: pl.DataFrame) -> Iterator[Finding]:
    """How much of each column is missing: one info, a warning above half, an error for a column that is empty throughout."""
    if not frame.height:
        return
    shares = {name: count / frame.height for name, count in frame.null_count().row(0, named=True).items()}
    for name, part in shares.items():
        if part == 1:
            yield Finding("error", f"{where}.{name}", "every value is missing.", "Leave the feature out, or correct its column.")
        elif part > 0.5:
            yield Finding(
                "warning", f"{where}.{name}", f"{share(part)} of the values are missing.", "Check the column; a feature that is mostly missing says little."
            )
    if few := [f"{name} {share(part)}" for name, part in shares.items() if 0 < part <= 0.5]:
        yield Finding("info", where, f"missing values: {', '.join(few)}. Each is a learned vector of its own.")


def _changing(shop: Shop, name: str, entity: EntityFrame, now: int) -> Iterator[Finding]:
    """Columns that look as if they are overwritten as time goes on, in a table with one row an id."""
    if entity.valid_from is not None or shop.log is None or shop.log.clock != "time" or name not in ("user", "item"):
        return
    cure = "Give the table `valid_from` and one row for each state, or leave the column out: a training row would see what was only known later."
    counts = np.diff(shop.log.start)[1:] if name == "user" else np.bincount(shop.log.item, minlength=len(entity))[1:]
    for feature, described in shop.store.entities[name].features.items():
        if feature in shop.hidden.get(name, set()):
            continue
        where, column = f"entities.{name}.{feature}", entity.frame[feature]
        if described.kind == "time" and shop.cut and (late := int((column > shop.cut[0]).sum()) / max(len(column), 1)) > 0.05:
            yield Finding("warning", where, f"{share(late)} of the times lie after training ends ({text(shop.cut[0])}).", cure)
        elif described.kind == "number" and (follows := _rank_correlation(column, counts)) > 0.95:
            yield Finding("warning", where, f"it follows the number of events of each {name} in the whole log (rank correlation {follows:.2f}).", cure)
        elif CHANGING.search(feature.lower()):
            yield Finding("warning", where, "its name sounds like something that changes with time.", cure)


def _pictures(where: str, column: pl.Series, ids: Array) -> Iterator[Finding]:
    """Pictures that cannot be read, among a few hundred that are decoded: which rows, and why."""
    there = np.flatnonzero(column.is_not_null().to_numpy())
    rows = there[some(len(there), PICTURES, 0)]
    broken = dict(pictures.looked_at(column, rows))
    if not broken:
        return
    first = "; ".join(f"{ids[row]!r}: {reason}" for row, reason in list(broken.items())[:5])
    found = f"{len(broken)} of {len(rows)} pictures that were looked at cannot be read: {first}."
    if len(broken) > pictures.MOST_BROKEN * len(rows):
        yield Finding("error", where, found, "Correct the column, or name the folder that holds the files as what the feature is `under`.")
    else:
        yield Finding("warning", where, found, "They count as missing; fetch or convert those files if they should be seen.")


def _rank_correlation(column: pl.Series, counts: Array) -> float:
    frame = pl.DataFrame({"a": column, "b": counts}).drop_nulls()
    if frame.height < 30 or frame["a"].n_unique() < 5 or frame["b"].n_unique() < 5:
        return 0.0
    return float(frame.select(pl.corr("a", "b", method="spearman")).item() or 0.0)


def float_ids(where: str, store: Store, table: Source, columns: list[str]) -> Iterator[Finding]:
    """Id columns that the file holds as decimals: above 2^53 two ids become one."""
    if table.sql is not None:
        return
    schema = scan(table, store.folder).collect_schema()
    for column in columns:
        if column in schema and schema[column].is_float():
            yield Finding(
                "warning",
                where,
                f"the id column {column} of {table.label} holds decimals ({schema[column]}); long ids lose their last digits so.",
                "Write ids as text or whole numbers. A column of whole numbers with gaps becomes decimals in pandas; use its Int64 type.",
            )


def event_findings(shop: Shop, now: int) -> Iterator[Finding]:
    """All about the log."""
    log, events = shop.log, shop.store.events
    if log is None or events is None or not len(log.item):
        return
    yield Finding("info", "events", _summary(log))
    yield from _clock(log, now)
    yield from _heavy(shop, log)
    yield from _duplicates(log)
    yield from float_ids("events", shop.store, events.table, [events.user, events.item])


def _summary(log: EventLog) -> str:
    counts = np.bincount(log.behaviour, minlength=len(log.behaviours))
    behaviours = ", ".join(f"{name} {count:,}" for name, count in zip(log.behaviours, counts.tolist(), strict=True))
    span = f" from {text(int(log.time.min()))} to {text(int(log.time.max()))}" if log.clock == "time" else ""
    users = int(np.count_nonzero(np.diff(log.start)))
    return f"{len(log.item):,} events of {users:,} users with {len(np.unique(log.item)):,} items{span}: {behaviours}."


def _clock(log: EventLog, now: int) -> Iterator[Finding]:
    if log.clock != "time":
        return
    if late := int(np.count_nonzero(log.time > now)):
        found = f"{late:,} events lie in the future, up to {text(int(log.time.max()))}."
        yield Finding("error", "events.time", found, "Correct the times or the unit; the split counts back from the last event.")
    if early := int(np.count_nonzero(log.time < EARLY)):
        found = f"{early:,} events lie before 1990, from {text(int(log.time.min()))} on."
        yield Finding("warning", "events.time", found, "A time of 0 often stands for a missing one; leave such rows out or give them a time.")
    if (day := float(np.mean(log.time % 86_400_000_000 == 0))) > 0.9:
        found = f"{share(day)} of the times are whole days."
        yield Finding("info", "events.time", found, "All that a user does in a day is one basket, and what came first in it is not known.")


def _heavy(shop: Shop, log: EventLog) -> Iterator[Finding]:
    counts = np.diff(log.start)
    median = float(np.median(counts[counts > 0]))
    if heavy := int(np.count_nonzero(counts > HEAVY * median)):
        worst = int(counts.argmax())
        name = shop.entities["user"].ids[worst - 1]
        found = f"{heavy} users have more than {HEAVY} times the median of {median:.0f} events; {name!r} has {int(counts[worst]):,}."
        yield Finding("warning", "events.user", found, "Such a user is often a robot, a shop terminal, or what stands for 'no user'; leave it out if so.")


def _duplicates(log: EventLog) -> Iterator[Finding]:
    if log.clock == "none":
        return
    ends = log.start[1:]
    limit = len(log.item) if len(log.item) <= SAMPLE else int(ends[np.searchsorted(ends, SAMPLE)])
    take = np.arange(limit)  # whole users, so that an event's double is there too
    frame = pl.DataFrame({"u": log.user[take], "i": log.item[take], "b": log.behaviour[take], "t": log.time[take], "v": log.value[take]})
    if limit and (part := 1 - frame.n_unique() / limit) > 0:
        found = f"{share(part)} of the events stand twice (same user, item, behaviour, time and value)."
        cure = "Keep one of each if they come from a file read twice; leave them if a customer can do the same thing twice at one time."
        yield Finding("warning" if part > 0.01 else "info", "events", found, cure)

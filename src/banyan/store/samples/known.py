"""What is known ahead of time (promotions, prices, holidays), joined to the periods that a row forecasts."""

import polars as pl

from banyan.errors import DataError
from banyan.store import columns
from banyan.store.entities import lookup, newest
from banyan.store.samples.panel import Periods
from banyan.store.schema import Feature, Samples, Store
from banyan.store.shop import EntityFrame, EventLog
from banyan.store.sources import read
from banyan.store.times import microseconds, refuse
from banyan.types import Array

PERIOD = "period"  # the column of the table that says when: a date or a time in the period


def known_table(name: str, samples: Samples, store: Store, by: list[str], entities: dict[str, EntityFrame], log: EventLog, span: Periods) -> pl.DataFrame:
    """The shop's table with its keys as the panel has them and `period` as a number; other columns as text, as they stand.

    A key column is named as in `by`, with `.` or `_`; keys that it leaves out (holidays have none) are joined on the rest. Raises
    DataError without a column `period`, with a date that is none, or when a key and period stand in it twice.
    """
    assert samples.known is not None
    label = samples.known.label
    table = read(samples.known, store.folder, plain=True).rename(lambda column: column.replace(".", "_"))
    if PERIOD not in table.columns:
        raise DataError(f"samples.{name}: {label} has no column {PERIOD!r}, a date in the period. Columns: {', '.join(table.columns)}.")
    stamps = microseconds(table[PERIOD], f"{label}, column {PERIOD}")
    refuse(table[PERIOD], f"{label}, column {PERIOD}", stamps.is_null(), "every row needs a date in its period")
    present = [each for each in by if each.replace(".", "_") in table.columns]
    keys = [_key(each, table[each.replace(".", "_")], label, entities, log) for each in present]
    table = table.with_columns(pl.Series(PERIOD, span.number(stamps.to_numpy()), dtype=pl.Int64), *keys)
    twice = table.select(PERIOD, *(each.name for each in keys)).is_duplicated()
    refuse(stamps, f"{label}, {', '.join([*present, PERIOD])}", twice, "a key and a period stand in one row only")
    return table


def _key(by: str, column: pl.Series, label: str, entities: dict[str, EntityFrame], log: EventLog) -> pl.Series:
    at = f"{label}, column {by}"
    if by in ("user", "item"):
        rows = newest(entities[by])[lookup(entities[by], columns.ids(column, at))]
        return pl.Series(by, rows, dtype=pl.Int32)
    words = columns.words(column, at)
    if by == "scenario":
        return words.replace_strict(list(log.scenarios), list(range(len(log.scenarios))), default=-1, return_dtype=pl.Int32).alias(by)
    return words.alias(by.replace(".", "_"))


def ahead_columns(samples: Samples, table: pl.DataFrame, keys: pl.DataFrame, period: Array) -> tuple[pl.DataFrame, dict[str, Feature]]:
    """Each column of the table for each target period, named `price_1` for the first period ahead; null where the table has no row.

    `keys` are the rows' keys, `period` the number of their last observed period.
    """
    by = [each for each in keys.columns if each in table.columns]
    values = [each for each in table.columns if each not in (*by, PERIOD)]
    described = {each: samples.features.get(each, _guess(table[each])) for each in values}
    typed = table.with_columns(columns.typed(table[each], f, f"{samples.known.label if samples.known else ''}, column {each}") for each, f in described.items())
    found = []
    for ahead in range(1, samples.ahead + 1):
        asked = keys.select(by).with_columns(pl.Series(PERIOD, period + ahead, dtype=pl.Int64))
        joined = asked.join(typed, on=[*by, PERIOD], how="left", maintain_order="left").select(values)
        found.append(joined.rename({each: f"{each}_{ahead}" for each in values}))
    features = {f"{each}_{ahead}": f for ahead in range(1, samples.ahead + 1) for each, f in described.items()}
    return pl.concat(found, how="horizontal"), features


def _guess(column: pl.Series) -> Feature:
    filled = column.cast(pl.String).replace("", None).drop_nulls()
    numeric = len(filled) > 0 and filled.cast(pl.Float64, strict=False).is_not_null().all()
    return Feature(kind="number") if numeric else Feature(kind="category")

"""The recipe `counts`: how much of a behaviour each key will see in the periods ahead.

A row is a key and an origin, the end of a whole period, from the period of the key's first event on; periods without an event count 0.
Labels `ahead_1` ... `ahead_A` are the numbers of events (or the sum of their values) in the periods after the origin, null where the log
does not reach; so the newest origin has no labels at all and is the row to forecast from. Inputs are known at the origin: the key's own
lags and means, the same period a year before each target, its age, the calendar of the first target, and the columns of `known` for every target.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.samples.behaviours import codes, of_behaviours, require_log
from banyan.store.samples.known import ahead_columns, known_table
from banyan.store.samples.panel import DAY, Panel, Periods, fill, lagged, periods, rolling
from banyan.store.samples.raw import Raw
from banyan.store.samples.versions import as_of, one_row_an_item
from banyan.store.schema import Feature, Samples, Store
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array

MEANS = (4, 13, 26, 52)  # periods of the rolling means; those that the log is long enough for
YEAR = 364 * DAY  # whole weeks, so that weekdays stay
SOLAR = 365.2425 * DAY
SEASONS = 548 * DAY  # of a log from which a model can learn seasons: in a shorter one the held-out months are months that training never saw


def make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None) -> Raw:
    """Rows of key x origin. Raises ConfigError without a clock, for an unknown behaviour, or for a column that makes no key."""
    log = one_row_an_item(require_log(name, "counts", log), entities["item"])
    if log.clock != "time":
        raise ConfigError(f"samples.{name}: the recipe counts needs events with a time; name its column as `events.time`.")
    position = of_behaviours(log, codes(name, "of", [str(samples.of)], log))
    span = periods(name, str(samples.every), log.time)
    by = samples.by or []
    columns = pl.DataFrame({_column(each): _values(name, each, position, entities, log) for each in by})
    value = np.nan_to_num(log.value[position]) if samples.total == "value" else np.ones(len(position), np.float32)
    panel = fill(name, columns, span.number(log.time[position]), value, span.whole)
    key, period = _rows(panel)
    inputs = _inputs(panel, key, period, span, samples)
    shared = {_column(each): each for each in by if "." in each}
    features = {column: Feature(kind="category", like=each) for column, each in shared.items()}
    features |= {each: Feature(kind="category" if each in ("month", "weekday") else "number") for each in inputs}
    context = pl.DataFrame(inputs, nan_to_null=True).select(*(panel.keys[column][key].cast(pl.String) for column in shared), pl.all())
    if samples.known is not None:
        table = known_table(name, samples, store, by, entities, log, span)
        known, described = ahead_columns(samples, table, panel.keys[key], period)
        context, features = pl.concat([context, known], how="horizontal"), features | described
    time = span.begin(period + 1)
    ahead = {f"ahead_{a}": lagged(panel, key, period, -a) for a in range(1, samples.ahead + 1)}
    return Raw(
        entities={each: as_of(entities[each], panel.keys[each].to_numpy()[key], time) for each in by if each in ("user", "item")},
        time=time,
        scenario=panel.keys["scenario"].to_numpy().astype(np.int32)[key] if "scenario" in by else None,
        labels=pl.DataFrame(ahead, nan_to_null=True),
        context=context,
        features=features,
        window=samples.ahead * span.length,
    )


def _column(by: str) -> str:
    return by.replace(".", "_")


def _values(name: str, by: str, position: Array, entities: dict[str, EntityFrame], log: EventLog) -> pl.Series:
    """The column `by` of the events; null where it is missing."""
    if by == "scenario":
        return pl.Series(log.scenario[position])
    source, _, feature = by.partition(".")
    if source not in ("user", "item") or (feature and feature not in entities[source].frame.columns[1:]):
        known = [f"{each}.{column}" for each in ("user", "item") for column in entities[each].frame.columns[1:]]
        raise ConfigError(f"samples.{name}: by: {by!r} makes no key. Known: user, item, scenario, {', '.join(known)}.")
    rows = log.user[position] if source == "user" else log.item[position]
    if not feature:
        return pl.Series(rows.astype(np.int32))
    return entities[source].frame[feature][pl.Series(rows.astype(np.int64) - 1)]  # row r is the frame's row r - 1; no event names row 0 here


def _rows(panel: Panel) -> tuple[Array, Array]:
    """Key and period of every row, period by period: every whole period since the key's first event."""
    period = np.arange(panel.cells.shape[1])
    there = panel.first[None, :] <= period[:, None]
    found, key = np.nonzero(there)
    return key, found


def forecasts(columns: Sequence[str]) -> list[str]:
    """Those inputs that are a forecast by themselves: the last period's count, moving means, the same periods a year ago."""
    return [name for name in columns if name == "lag_1" or name.startswith(("mean_", "year_ago_"))]


def _inputs(panel: Panel, key: Array, period: Array, span: Periods, samples: Samples) -> dict[str, Array | pl.Series]:
    """What is known at the origin; nan where the key or the log is too young."""
    length = panel.cells.shape[1]
    out: dict[str, Array | pl.Series] = {f"lag_{lag}": lagged(panel, key, period, lag - 1) for lag in range(1, samples.lags + 1)}
    out |= {f"mean_{width}": rolling(panel, key, period, width) for width in MEANS if width < length}
    year = round(YEAR / span.length)
    if year > samples.ahead and length > year * 9 // 8:  # else it would be missing almost everywhere
        out |= {f"year_ago_{a}": lagged(panel, key, period, year - a) for a in range(1, samples.ahead + 1)}
    out["age"] = ((period - panel.first[key]) * (span.length / DAY)).astype(np.float32)
    middle = span.begin(period + 1) + span.length // 2
    stamp = pl.Series(middle).cast(pl.Datetime("us"))
    if length * span.length >= SEASONS:
        angle = 2 * np.pi * ((middle / SOLAR) % 1.0)
        out["season_sin"], out["season_cos"] = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
        out["month"] = stamp.dt.month().cast(pl.String)
    if span.length < 7 * DAY:
        out["weekday"] = stamp.dt.weekday().cast(pl.String)
    return out

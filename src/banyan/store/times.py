"""Time columns of any honest form -> int64 microseconds since 1970, UTC."""

import numpy as np
import polars as pl

from banyan.errors import DataError
from banyan.store.figures import span

_UNITS = ((10**8, 10**11, "seconds", 1_000_000), (10**11, 10**14, "milliseconds", 1_000), (10**14, 10**17, "microseconds", 1))
_RIGHT = "a time is ISO text such as 2024-03-31 or 2024-03-31T10:15:00Z, a date column, or a number of seconds, milliseconds or microseconds since 1970"


def microseconds(column: pl.Series, where: str) -> pl.Series:
    """Int64 microseconds since 1970, null where the column is null or empty.

    Text without a zone is UTC. Numbers are seconds, milliseconds or microseconds, told apart by their magnitude.
    Raises DataError that names `where` (file and column), the row and the value.
    """
    kind = column.dtype
    if kind == pl.Null:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Int64)
    if isinstance(kind, pl.Datetime):
        # polars holds zoned times as UTC instants, so that the stored number is right with and without a zone
        return column.dt.epoch("us")
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).dt.epoch("us")
    if kind.is_integer() or kind.is_float():
        return _numbers(column, where)
    if kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum)):
        return _text(column.cast(pl.String), where)
    raise DataError(f"{where} holds {kind}; {_RIGHT}.")


def order(column: pl.Series, where: str) -> pl.Series:
    """An order column as Int64: whole numbers, times or dates. Raises DataError."""
    if column.dtype.is_temporal():
        return microseconds(column, where)
    numbers = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else column
    whole = numbers.cast(pl.Int64, strict=False)
    fits = whole.is_not_null() & (whole.cast(pl.Float64) == numbers.cast(pl.Float64))
    refuse(column, where, column.is_not_null() & ~fits.fill_null(False), "an order is a whole number")
    return column.cast(pl.Int64) if column.dtype == pl.String else whole


def refuse(column: pl.Series, where: str, bad: pl.Series, right: str) -> None:
    """Raise DataError for the first row that is `bad`; rows count from 1, a header not counted."""
    if bad.any():
        row = int(bad.arg_max() or 0)
        value = column[row].to_list() if isinstance(column[row], pl.Series) else column[row]
        raise DataError(f"{where}, row {row + 1}: found {repr(value)[:80]}; {right}. Such values in {int(bad.sum())} of {len(column)} rows.")


def _text(column: pl.Series, where: str) -> pl.Series:
    text = column.str.strip_chars().replace("", None).str.replace(r"^(\d{4}-\d\d-\d\d) (\d)", "${1}T${2}")
    if (number := text.drop_nulls().head(100).str.contains(r"^-?\d{6,}(\.\d+)?$")).len() and number.all():
        parsed = text.cast(pl.Float64, strict=False)
        refuse(column, where, text.is_not_null() & parsed.is_null(), "the first rows hold numbers, and all must")
        return _numbers(parsed, where)
    known = _parse(text)
    refuse(column, where, text.is_not_null() & known.is_null(), _RIGHT)
    return known


_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%:z")


def _parse(text: pl.Series) -> pl.Series:
    """Int64 microseconds of ISO text, null where no form fits."""
    naive = [text.str.to_datetime(form, time_unit="us", strict=False).dt.epoch("us") for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("us")
    utc = text.str.replace("Z$", "+00:00")
    zoned = [utc.str.to_datetime(form, time_unit="us", strict=False).dt.epoch("us") for form in _ZONED]
    return pl.select(pl.coalesce(day, *naive, *zoned)).to_series().rename(text.name)


def _numbers(column: pl.Series, where: str) -> pl.Series:
    if column.dtype.is_float():
        refuse(column, where, column.is_infinite().fill_null(False), _RIGHT)
        column = column.fill_nan(None)
    seen = column.drop_nulls()
    if not len(seen):
        return column.cast(pl.Int64)
    low, high = span(seen)
    for least, end, _, factor in _UNITS:
        if least <= low and high < end:
            return (column.cast(pl.Float64) * factor).round().cast(pl.Int64) if column.dtype.is_float() else column.cast(pl.Int64) * factor
    raise DataError(
        f"{where} holds numbers from {low:.0f} to {high:.0f}, which are neither seconds, milliseconds nor microseconds since 1970 (between 1973 and 5138). "
        f"If they only say what came first, describe the column as `order` instead of `time`; else {_RIGHT}."
    )


def text(stamp: int) -> str:
    """Microseconds as a date and time for messages."""
    return str(np.datetime64(int(stamp), "us")).replace("T", " ")[:16]

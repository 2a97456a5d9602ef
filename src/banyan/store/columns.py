"""A raw column -> what its kind promises: ids and categories as text, finite numbers, times in microseconds, lists of tags, vectors of one length."""

from pathlib import Path

import polars as pl

from banyan.errors import DataError
from banyan.store import pictures
from banyan.store.schema import Feature
from banyan.store.times import microseconds, refuse
from banyan.types import Array

_TRUE, _FALSE = ("true", "t", "yes", "y"), ("false", "f", "no", "n")


def ids(column: pl.Series, where: str) -> pl.Series:
    """Ids as text, so that 17 and "17" are one id; empty text is no id. Whole decimals (17.0) read as 17; other decimals are a DataError."""
    kind = column.dtype
    if kind.is_float():
        column = column.fill_nan(None)
        refuse(column, where, (column != column.round()).fill_null(False), "an id is a whole number or text; decimals cannot be compared safely")
        column = column.cast(pl.Int64)
    elif kind.is_nested() or kind in (pl.Binary, pl.Boolean):
        raise DataError(f"{where} holds {kind}; an id is text or a whole number.")
    # distinct values first: turning a million distinct ids into text is cheap, every row of a log is not
    return _by_distinct(column) if column.dtype != pl.String else column.replace("", None)


def words(column: pl.Series, where: str) -> pl.Series:
    """Categories as text; empty text is missing. Whole decimals read as whole numbers, so that a column with gaps keeps its codes."""
    kind = column.dtype
    if kind.is_nested() or kind == pl.Binary:
        raise DataError(f"{where} holds {kind}; a category is text, a number or true/false. Lists of values are of the kind `tags`.")
    if kind == pl.Boolean:
        return pl.Series(column.name, column.cast(pl.Int8)).replace_strict({0: "false", 1: "true"}, return_dtype=pl.String, default=None)
    if kind.is_float():
        column = column.fill_nan(None)
        if bool((column == column.round()).all()) and not bool(column.is_infinite().any()):
            column = column.cast(pl.Int64, strict=False)
    return _by_distinct(column) if column.dtype != pl.String else column.replace("", None)


def matched(column: pl.Series, words: pl.Series, values: Array) -> pl.Series:
    """For each row of text (String or Categorical) the value that stands beside its word in `words`, each there once; null where none does."""
    if isinstance(column.dtype, pl.Categorical):
        distinct = column.unique().drop_nulls()
        found = matched(distinct.cast(pl.String), words, values)
        return column.to_physical().replace_strict(distinct.to_physical(), found, default=None, return_dtype=found.dtype)
    table = pl.DataFrame({"word": words, "value": values})
    return column.to_frame("word").join(table, on="word", how="left", maintain_order="left")["value"]


def _by_distinct(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, (pl.Categorical, pl.Enum)) or column.dtype == pl.Null:
        return column.cast(pl.String).replace("", None)
    distinct = column.unique().drop_nulls().to_frame("value").with_columns(pl.col("value").cast(pl.String).alias("text"))
    found = column.to_frame("value").join(distinct, on="value", how="left", maintain_order="left")["text"]
    return found.rename(column.name)


def numbers(column: pl.Series, where: str) -> pl.Series:
    """Float64, null where missing (NaN counts as missing). Raises DataError for text that is no number and for infinities."""
    kind = column.dtype
    if kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum)):
        raw = column.cast(pl.String).str.strip_chars().replace("", None)
        low = raw.str.to_lowercase()
        parsed = raw.cast(pl.Float64, strict=False)
        flags = pl.select(pl.when(low.is_in(_TRUE)).then(1.0).when(low.is_in(_FALSE)).then(0.0)).to_series()
        missing = low.is_in(("nan", "na", "null", "none", "n/a"))
        parsed = pl.select(pl.coalesce(parsed, flags)).to_series()
        refuse(column, where, raw.is_not_null() & parsed.is_null() & ~missing.fill_null(False), "it must be a number")
    elif kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        parsed = column.cast(pl.Float64)
    else:
        raise DataError(f"{where} holds {kind}; it must hold numbers.")
    parsed = parsed.fill_nan(None)
    refuse(column, where, parsed.is_infinite().fill_null(False), "a number must be finite")
    return parsed.rename(column.name)


def tags(column: pl.Series, where: str, separator: str) -> pl.Series:
    """Lists of text: a list column, or text split at `separator`; spaces around a tag and empty tags go."""
    kind = column.dtype
    if isinstance(kind, (pl.List, pl.Array)):
        listed = column.cast(pl.List(pl.String))
    elif kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum)):
        listed = column.cast(pl.String).replace("", None).str.split(separator)
    elif kind == pl.Null:
        return column.cast(pl.List(pl.String))
    else:
        raise DataError(f"{where} holds {kind}; tags are a list, or text with {separator!r} between the values.")
    bare = pl.col("t").list.eval(pl.element().str.strip_chars())
    tidy = listed.to_frame("t").select(bare.list.eval(pl.element().filter(pl.element().is_not_null() & (pl.element() != ""))))
    return tidy["t"].rename(column.name)


def vectors(column: pl.Series, where: str) -> pl.Series:
    """Array(Float32, n): a list or array column, or JSON text such as [0.1, 0.2]; all of one length, all entries finite."""
    kind = column.dtype
    if kind == pl.String:
        try:
            column = column.replace("", None).str.json_decode(pl.List(pl.Float64))
        except pl.exceptions.ComputeError as error:
            raise DataError(f"{where} holds text that is no list of numbers; write vectors as [0.1, 0.2, ...].") from error
    elif not isinstance(kind, (pl.List, pl.Array)) or not kind.inner.is_numeric():
        raise DataError(f"{where} holds {kind}; a vector is a list of numbers.")
    column = column.cast(pl.List(pl.Float32))
    lengths = column.list.len()
    if not len(seen := lengths.drop_nulls()):
        raise DataError(f"{where} holds no vector at all; leave the feature out.")
    width = int(seen.mode()[0])
    refuse(lengths, where, (lengths != width).fill_null(False), f"every vector has the same number of entries, here {width}")
    bad = column.to_frame("v").select((~pl.col("v").list.eval(pl.element().is_finite().fill_null(False)).list.all()).fill_null(False))["v"]
    refuse(column, where, bad, "every entry of a vector is a finite number")
    return column.cast(pl.Array(pl.Float32, width))


def typed(column: pl.Series, feature: Feature, where: str, folder: Path = Path()) -> pl.Series:
    """A feature's column as its kind promises: category and text String, number Float64, tags List(String), time Int64 microseconds, vector Array(Float32),
    image Binary or String (the path of a file, which begins at what the feature is `under`, and that at `folder`).

    Missing is null everywhere. Raises DataError that names `where`, the row and the value.
    """
    match feature.kind:
        case "number":
            return numbers(column, where)
        case "time":
            return microseconds(column, where)
        case "tags":
            return tags(column, where, feature.separator)
        case "vector":
            return vectors(column, where)
        case "image":
            return pictures.column(column, where, folder / (feature.under or ""))
        case _:
            return words(column, where)

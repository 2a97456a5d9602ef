"""Tables where they lie -> polars: Parquet, CSV, JSON lines, patterns of files. SQL is the business of `sql.py`."""

import glob
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from banyan.errors import ConfigError, DataError
from banyan.store.hints import hint
from banyan.store.schema import Source

INFER_ROWS = 10_000  # rows of a CSV or JSON file that its column types are guessed from
_PARQUET, _CSV, _JSON = (".parquet", ".pq"), (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson", ".json")
_FORMS = "Parquet (.parquet), CSV (.csv, .tsv, .csv.gz) and JSON lines (.jsonl, .ndjson)"


def scan(source: Source, folder: Path, *, plain: bool = False) -> pl.LazyFrame:
    """The whole table, lazily; relative paths begin at `folder`. Nothing is read yet, but for an SQL query.

    `plain` leaves every column of a CSV file as text, so that 007 stays 007 and each column can be parsed as what it is described to be.
    Otherwise types are guessed from the first rows. Raises ConfigError where there is no such file, DataError where it cannot be read.
    """
    if source.sql is not None:
        from banyan.store.sql import query

        return query(source, folder).lazy()
    found = files(source, folder)
    form = _form(found[0], source)
    if different := [each for each in found if _form(each, source) != form]:
        raise ConfigError(f"{source.label} names files of more than one form: {found[0].name} and {different[0].name}. Describe them as two tables.")
    names = [str(each) for each in found]
    try:
        if form == "parquet":
            return pl.scan_parquet(names, glob=False)
        if form == "csv":
            return _csv(source, found, plain)
        return pl.scan_ndjson(names, infer_schema_length=INFER_ROWS)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(source, error) from error


def read(source: Source, folder: Path, columns: Sequence[str] | None = None, *, plain: bool = False, coded: Collection[str | None] = ()) -> pl.DataFrame:
    """The table, or those columns of it (each once), in the order of the file.

    Text in a column of `coded` comes as Categorical: each value once, and a code a row, a quarter of the memory where values repeat. Empty text is null.

    Raises ConfigError for a missing file or column (with a suggestion), DataError for an unreadable or empty table.
    """
    if source.sql is not None:
        from banyan.store.sql import query

        answer = query(source, folder, lambda present: _wanted(source, present, columns))
        return answer.with_columns(_codes(answer.schema, coded))
    lazy = scan(source, folder, plain=plain)
    wanted = _wanted(source, columns_of(source, lazy), columns)
    try:
        chosen = lazy.select(wanted)
        frame = chosen.with_columns(_codes(chosen.collect_schema(), coded)).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(source, error) from error
    if not frame.height:
        raise DataError(f"{source.label} holds no rows; a table needs at least one.")
    return frame


def _codes(schema: Mapping[str, Any], coded: Collection[str | None]) -> list[pl.Expr]:
    """Each column has codes of its own, which go when it goes."""
    texts = [name for name, kind in schema.items() if name in coded and kind == pl.String]
    return [pl.when(pl.col(name) != "").then(pl.col(name)).cast(pl.Categorical(pl.Categories.random())) for name in texts]


def _wanted(source: Source, present: list[str], columns: Sequence[str] | None) -> list[str]:
    wanted = list(dict.fromkeys(columns)) if columns is not None else present
    for column in wanted:
        if column not in present:
            raise ConfigError(f"{source.label} has no column {column!r}.{hint(column, present)}")
    return wanted


def columns_of(source: Source, lazy: pl.LazyFrame) -> list[str]:
    """The names of the table's columns. Raises DataError where the file cannot be read."""
    try:
        return lazy.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        if isinstance(error, pl.exceptions.NoDataError):
            raise DataError(f"{source.label} is empty; a table needs a header and at least one row.") from error
        raise _unreadable(source, error) from error


def files(source: Source, folder: Path) -> list[Path]:
    """The files that a path or pattern names, sorted. Raises ConfigError where there is none."""
    path = str(source.path)
    whole = folder / Path(path).expanduser()
    if whole.is_file():
        return [whole]
    if whole.is_dir():
        raise ConfigError(f"{path} is a folder; name its files, such as {path.rstrip('/')}/*.parquet.")
    found = sorted(Path(each) for each in glob.glob(str(whole), recursive=True) if Path(each).is_file())
    if not found:
        siblings = sorted(each.name for each in whole.parent.iterdir() if each.is_file()) if whole.parent.is_dir() else []
        place = f"no file {path} in {folder.resolve()}" if not Path(path).is_absolute() else f"no file {path}"
        raise ConfigError(f"There is {place}.{hint(whole.name, siblings) if siblings else ' The folder does not exist or is empty.'}")
    return found


def _form(path: Path, source: Source) -> str:
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    for form, endings in (("parquet", _PARQUET), ("csv", _CSV), ("json", _JSON)):
        if name.endswith(endings):
            return form
    raise ConfigError(f"{source.label}: {path.name} is of no form that can be read; tables are {_FORMS}.")


def _csv(source: Source, found: Sequence[Path], plain: bool) -> pl.LazyFrame:
    separator = "\t" if source.separator == "," and found[0].name.lower().removesuffix(".gz").endswith(".tsv") else source.separator
    if len(separator.encode()) != 1:
        raise ConfigError(f"{source.label}: separator is {separator!r}; it is one character.")
    schema_rows = 0 if plain else INFER_ROWS
    names = [str(each) for each in found]
    return pl.scan_csv(names, separator=separator, infer_schema_length=schema_rows, infer_schema=not plain, glob=False)


def _unreadable(source: Source, error: Exception) -> DataError:
    said = " ".join(str(error).split())[:400]
    return DataError(f"{source.label} cannot be read: {said}. If a later row does not fit its column's type, mend the row or write the column as text.")

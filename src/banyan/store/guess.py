"""Guesses from a table's first rows: what its columns hold, and which table is users, items or events. Knows no YAML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from banyan.errors import BanyanError
from banyan.store.figures import mean
from banyan.store.schema import Source
from banyan.store.sources import scan
from banyan.store.times import microseconds

ROWS = 10_000  # first rows that are looked at
USER = ("user", "customer", "client", "member", "household", "visitor", "buyer", "shopper", "uid", "account", "people", "person")
ITEM = ("item", "product", "sku", "article", "asin", "goods", "stockcode", "iid", "offer", "listing", "catalogue", "catalog")
TIME = ("ts", "time", "timestamp", "datetime", "date", "day", "created", "createdat", "eventtime", "invoicedate", "orderdate", "at", "when")
ORDER = ("order", "sequence", "seq", "step", "position")
BEHAVIOUR = ("behaviour", "behavior", "event", "eventtype", "action", "type", "activity", "behaviortype", "behaviourtype")
SCENARIO = ("scenario", "page", "channel", "store", "storeid", "country", "device", "platform", "site", "domain")
VALUE = ("value", "amount", "salesvalue", "revenue", "total", "price", "sales", "quantity", "qty", "units")
LABEL = ("label", "target", "y", "relevance", "grade", "rating", "score", "class", "outcome", "clicked", "bought", "purchased", "converted")
TEXT = ("title", "name", "description", "text", "review", "comment", "body", "summary")
PRIVATE = re.compile(r"e?mail|phone|mobile|password|passwd|address|surname|first_?name|last_?name|full_?name|iban|card_?n|ssn|passport", re.I)


@dataclass(frozen=True)
class Guess:
    """One column: the kind of feature that it would make, or None with the reason why it makes none."""

    column: str
    kind: str | None
    why: str


@dataclass(frozen=True)
class Peek:
    """The first rows of one file."""

    path: Path
    head: pl.DataFrame

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self.head.columns

    def called(self, words: Sequence[str], exact: bool = True) -> str | None:
        """The first column with one of these names (or, not `exact`, that begins with one and may end in id, no, key or code)."""
        plain = {re.sub(r"[^a-z]", "", column.lower()): column for column in reversed(self.columns)}
        for word in words:
            for form in [word] if exact else [f"{word}{end}" for end in ("id", "", "no", "key", "code", "number", "nr")]:
                if form in plain:
                    return plain[form]
        return None

    def unique(self, column: str) -> bool:
        """Whether every row has a value of its own."""
        return self.head[column].n_unique() == self.head.height and not self.head[column].null_count()


def peek(path: Path) -> Peek:
    """Read the first rows. Raises ConfigError for a missing file and DataError for an unreadable one."""
    lazy = scan(Source(path=str(path)), Path())
    return Peek(path, lazy.head(ROWS).collect())


def id_column(table: Peek, words: Sequence[str]) -> str | None:
    """The column of ids of a user or item; a plain `id` counts in a file that is named after them."""
    found = table.called(words, exact=False)
    if found is None and any(word in table.path.stem.lower() for word in words):
        return table.called(("id", "code", "key"))
    return found


def time_column(table: Peek) -> str | None:
    """The column that says when, by its type or by a name and values that read as times."""
    named = [c for c in (table.called([word]) for word in TIME) if c]
    typed = [c for c in table.columns if table.head[c].dtype in (pl.Date, pl.Datetime)]
    return next((c for c in [*named, *typed] if _reads_as_time(table.head[c])), None)


def _reads_as_time(column: pl.Series) -> bool:
    if column.null_count() == len(column):
        return False
    try:
        return microseconds(column, "").null_count() < len(column)
    except BanyanError:
        return False


def kind(table: Peek, column: str) -> Guess:
    """What kind of feature a column makes."""
    values = table.head[column]
    known = values.drop_nulls()
    if PRIVATE.search(column):
        return Guess(column, None, "looks personal")
    if known.n_unique() < 2:
        return Guess(column, None, "holds one value")
    if values.dtype == pl.Boolean:
        return Guess(column, "category", "true or false")
    if values.dtype in (pl.Date, pl.Datetime):
        return Guess(column, "time", "dates")
    if values.dtype.is_numeric():
        return _number(column, known)
    if isinstance(values.dtype, (pl.List, pl.Array)):
        inner = values.dtype.inner
        numeric = isinstance(inner, pl.DataType) and inner.is_numeric()
        return Guess(column, "vector", "lists of numbers") if numeric and known.list.len().n_unique() == 1 else Guess(column, "tags", "lists")
    if values.dtype == pl.String:
        return _words(column, known)
    return Guess(column, None, f"holds {values.dtype}")


def _number(column: str, known: pl.Series) -> Guess:
    few = known.dtype.is_integer() and known.n_unique() <= 10
    if few and re.search(r"(^|_)(id|code|type|class|group|flag|is)(_|$)", column.lower()):
        return Guess(column, "category", f"a code of {known.n_unique()} values")
    if known.dtype.is_integer() and re.search(r"(_id|Id|ID)$", column):
        return Guess(column, "category", "a numbered code")
    return Guess(column, "number", "numbers")


def _words(column: str, known: pl.Series) -> Guess:
    distinct, length = known.n_unique(), mean(known.str.len_chars())
    spaced, barred = mean(known.str.contains(r"\S\s+\S")), mean(known.str.contains("|", literal=True))
    if _reads_as_time(known):
        return Guess(column, "time", "dates as text")
    if mean(known.str.contains(r"^https?://|\.(jpe?g|png|webp)$")) > 0.5:
        return Guess(column, None, "holds addresses of files")
    if barred > 0.2 and distinct > 2:
        return Guess(column, "tags", "values with | between them")
    wordy = distinct > 0.3 * len(known) and (spaced > 0.3 or length > 25)
    if wordy or (column.lower() in TEXT and distinct > 0.5 * len(known)):
        return Guess(column, "text", f"{distinct:,} different texts in {len(known):,} rows")
    if len(known) > 100 and distinct > 0.9 * len(known):
        return Guess(column, None, "nearly every row has a value of its own")
    return Guess(column, "category", f"{distinct:,} different values")

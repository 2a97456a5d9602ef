"""Published text files -> polars, block by block: little memory, progress in bytes, and a broken line named by its number. Knows no set."""

import csv
import gzip
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from banyan.errors import DataError

BLOCK = 1 << 23  # bytes that are parsed at a time
SHOWN = 60  # characters of a value that a message shows
FIELD = "\x1f"  # stands for a separator of several characters
Tell = Callable[[str, int, int], None]  # what is read, bytes done, bytes in all
Schema = Mapping[str, Any]  # column -> its polars type


def silent(what: str, done: int, of: int) -> None:
    """Hears of the progress and says nothing."""


class Published(ABC):
    """A text file as its authors published it. `rows` is what the last complete reading found."""

    def __init__(self, path: Path, schema: Schema, needed: Collection[str]) -> None:
        self.path, self.schema, self.needed = path, dict(schema), tuple(needed)
        self.rows = 0
        self.label = path.name.removesuffix(".gz")  # what it is called where several files have one name
        self.tell: Tell = silent

    @abstractmethod
    def parse(self, block: bytes, line: int) -> pl.DataFrame:
        """The rows of whole lines; `line` is the number of the first, from 1. Raises DataError that names file, line and column."""

    def begin(self, first: bytes) -> bool:
        """Look at the first line; whether it is a header."""
        return False

    def scan(self) -> pl.LazyFrame:
        """The whole file, lazily, in its order; every reading begins again."""
        return register_io_source(self._batches, schema=dict(self.schema), validate_schema=False)

    def _batches(self, columns: list[str] | None, predicate: pl.Expr | None, most: int | None, size: int | None) -> Iterator[pl.DataFrame]:
        rows = 0
        for line, block in self._blocks():
            frame = self.parse(block, line)
            self._complete(frame, line)
            frame = frame if most is None else frame.head(most - rows)
            rows += frame.height
            frame = frame if columns is None else frame.select(columns)
            yield frame if predicate is None else frame.filter(predicate)
            if most is not None and rows >= most:
                return
        self.rows = rows

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """(number of the first line, bytes of whole lines); a header is left out."""
        total, line, rest = max(self.path.stat().st_size, 1), 1, b""
        with self.path.open("rb") as raw:
            file: BufferedIOBase = gzip.GzipFile(fileobj=raw) if self.path.name.endswith(".gz") else raw
            first = file.readline().removeprefix(b"\xef\xbb\xbf")
            if self.begin(first):
                line = 2
            else:
                rest = first
            while piece := self._more(file, line):
                cut = piece.rfind(b"\n") + 1
                block, rest = (rest + piece[:cut], piece[cut:]) if cut else (b"", rest + piece)
                if block:
                    yield line, block
                    line += block.count(b"\n")
                self.tell(self.path.name, raw.tell(), total)
            if rest.strip():
                yield line, rest
        self.tell(self.path.name, total, total)

    def _more(self, file: BufferedIOBase, line: int) -> bytes:
        try:
            return file.read(BLOCK)
        except (EOFError, gzip.BadGzipFile) as error:
            raise DataError(f"{self.path}, after line {line}: the compressed file is broken or incomplete ({error}). Download it again.") from error

    def _complete(self, frame: pl.DataFrame, line: int) -> None:
        for name in self.needed:
            if frame[name].null_count():
                at = line + int(frame[name].is_null().arg_max() or 0)
                raise DataError(f"{self.path}, line {at}: {name} is empty; every row has one. {self.form()}")

    def form(self) -> str:
        """What a line is, for messages."""
        return f"A line holds {', '.join(self.schema)}."


class Separated(Published):
    """Fields between separators; with or without a header.

    `schema` names the columns: all of them in the file's order without a header, those wanted with one. `missing` are spellings of nothing
    beside empty text. Without `quote` no sign is special. `words` are all the values that a column can have.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        needed: Collection[str] = (),
        separator: str = ",",
        header: bool = False,
        encoding: str = "utf-8",
        quote: str | None = None,
        missing: Sequence[str] = (),
        trim: bool = False,
        words: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        super().__init__(path, schema, needed)
        self.words = {name: list(each) for name, each in (words or {}).items()}
        self.separator, self.header, self.encoding, self.quote, self.missing, self.trim = separator, header, encoding, quote, list(missing), trim
        self.fields: dict[str, Any] = dict(schema)  # the file's own columns, in its order

    def begin(self, first: bytes) -> bool:
        """Read the header, where there is one. Raises DataError where a column is not in it."""
        if not self.header:
            return False
        found = self._split(first)
        if absent := [name for name in self.schema if name not in found]:
            raise DataError(f"{self.path}, line 1: the header has no {', '.join(absent)}; it has {', '.join(found)[:400]}.")
        self.fields = {name: self.schema.get(name, pl.String) for name in found}
        return True

    def parse(self, block: bytes, line: int) -> pl.DataFrame:
        """Values as the schema says."""
        if self.encoding != "utf-8":
            block = block.decode(self.encoding).encode()
        if len(self.separator) > 1:
            block = block.replace(self.separator.encode(), FIELD.encode())
        form: dict[str, Any] = {"separator": self._sign, "quote_char": self.quote, "null_values": self.missing or None}
        try:
            frame = pl.read_csv(block, has_header=False, schema=self.fields, columns=self._wanted, **form).select(list(self.schema))
        except pl.exceptions.PolarsError as error:
            raise self._broken(block, line, error) from error
        frame = frame.with_columns(pl.col(pl.String).str.strip_chars().replace("", None)) if self.trim else frame
        for name, known in self.words.items():
            if (strange := ~frame[name].is_in(known).fill_null(True)).any():
                at = int(strange.arg_max() or 0)
                raise DataError(f"{self.path}, line {line + at}, column {name}: found {frame[name][at]!r}; it is one of {', '.join(known)}. {self.form()}")
        return frame

    @property
    def _wanted(self) -> list[int]:
        """Places of the columns that the schema names."""
        return [at for at, name in enumerate(self.fields) if name in self.schema]

    @property
    def _sign(self) -> str:
        return self.separator if len(self.separator) == 1 else FIELD

    def _split(self, line: bytes) -> list[str]:
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        fields = next(csv.reader([text], delimiter=self._sign, quotechar=self.quote)) if self.quote else text.split(self._sign)
        return [each.strip() for each in fields]

    def _broken(self, block: bytes, line: int, error: Exception) -> DataError:
        """The first line that is not of the published form."""
        for number, each in enumerate(block.split(b"\n"), line):
            fields = self._split(each)
            if each.strip() and len(fields) != len(self.fields):
                return DataError(f"{self.path}, line {number}: found {len(fields)} fields in {_shown(each)}; there are {len(self.fields)}. {self.form()}")
            for name, value in zip(self.fields, fields, strict=False):
                if not self._fits(name, value):
                    return DataError(f"{self.path}, line {number}, column {name}: found {value[:SHOWN]!r}; it must be a number. {self.form()}")
        return DataError(f"{self.path}, after line {line}: {' '.join(str(error).split())[:300]}. {self.form()}")

    def _fits(self, name: str, value: str) -> bool:
        kind = self.fields[name]
        if value in ("", *self.missing) or not kind.is_numeric():
            return True
        return pl.Series([value]).cast(kind, strict=False).null_count() == 0

    def form(self) -> str:
        """The columns, and what stands between them."""
        names = list(self.fields)
        listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        return f"A line holds {listed}, with {self.separator!r} between them{' and a header on top' if self.header else ' and no header'}."


class JsonLines(Published):
    """One JSON object a line; keys that the schema does not name are not read."""

    def parse(self, block: bytes, line: int) -> pl.DataFrame:
        """Values as the schema says; a key that a line lacks is null."""
        try:
            return pl.read_ndjson(block, schema=dict(self.schema))
        except pl.exceptions.PolarsError as error:
            raise self._broken(block, line, error) from error

    def _broken(self, block: bytes, line: int, error: Exception) -> DataError:
        for number, each in enumerate(block.split(b"\n"), line):
            try:
                json.loads(each or b"{}")
            except ValueError as wrong:
                return DataError(f"{self.path}, line {number}: {_shown(each)} is no JSON object ({wrong}).")
        return DataError(f"{self.path}, after line {line}: {' '.join(str(error).split())[:300]}.")


def respelled(column: str, words: Mapping[str, str]) -> pl.Expr:
    """A column with each word in place of its key; null for others. Row by row, which `replace_strict` is not: that would hold the whole file."""
    return pl.coalesce([pl.when(pl.col(column) == key).then(pl.lit(word)) for key, word in words.items()])


def _shown(line: bytes) -> str:
    return repr(line[:SHOWN].decode("utf-8", errors="replace"))

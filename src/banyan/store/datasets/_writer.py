"""Tables on their way into a folder: each written whole, all moved into place at the end; what a stopped run has finished is kept."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from banyan.disk import aside_of, sync, whole
from banyan.store.datasets._text import Published, Tell

FORM = 1  # of the tables; what a run of another form has finished is made again
STATE = "finished.json"  # tables of a run that is not over, and what they were made of
ROWS = 1 << 17  # rows of a Parquet group
SEED = 20_17  # of the draw of users; one for all sets and runs


class Writer:
    """Takes lazy tables and streams them to disk. `counts` are rows a table; `notes` are sentences for the user."""

    def __init__(self, target: Path, published: Mapping[str, int], share: float | None, tell: Tell) -> None:
        self.target, self.published, self.share, self.tell = target, published, share, tell
        self.folder = aside_of(target.absolute())
        self.folder.mkdir(parents=True, exist_ok=True)
        self.counts: dict[str, int] = {}
        self.notes: list[str] = []
        self._finished = _read(self.folder / STATE)

    def some(self, frame: pl.LazyFrame, key: str) -> pl.LazyFrame:
        """The rows of the share of `key` values that was asked for, all rows of each; the same values each time."""
        if self.share is None or self.share >= 1:
            return frame
        return frame.filter(draw(key, SEED) < self.share)

    def table(self, name: str, frame: pl.LazyFrame, reads: Sequence[Published] = ()) -> pl.LazyFrame:
        """Stream a table to `name`.parquet; returns it as it stands on disk.

        `reads` are the files that it is made of: a table that a stopped run made of the same files is not made again, and a file whose number
        of rows is not the published one is told.
        """
        path = self.folder / f"{name}.parquet"
        made_of = self._made_of(reads)
        known = self._finished.get(name)
        if not (reads and known and known["made_of"] == made_of and path.exists()):
            for each in reads:
                each.tell = self.tell
            with whole(path) as aside:
                frame.sink_parquet(aside, row_group_size=ROWS, compression="zstd", compression_level=1)
            known = {"made_of": made_of, "read": {each.label: each.rows for each in reads}}
            self._keep(name, known)
        self.counts[name] = pl.scan_parquet(path).select(pl.len()).collect().item()
        self._as_published(known["read"])
        return pl.scan_parquet(path)

    def read(self, name: str) -> int:
        """Rows of the files that a table is made of."""
        return sum(self._finished[name]["read"].values())

    def left_out(self, name: str, why: str) -> None:
        """Tell how many rows of its files a table does not hold; nothing where it holds all, or where only a share was asked for."""
        if self.share is None and (lost := self.read(name) - self.counts[name]):
            self.notes.append(f"{lost:,} of {self.read(name):,} rows are not in {name}: {why}.")

    def _made_of(self, reads: Sequence[Published]) -> list[Any]:
        files = [[str(each.path.resolve()), each.path.stat().st_size, each.path.stat().st_mtime_ns] for each in reads]
        return [FORM, self.share, *files]

    def _keep(self, name: str, known: dict[str, Any]) -> None:
        self._finished[name] = known
        with whole(self.folder / STATE) as aside:
            aside.write_text(json.dumps(self._finished), encoding="utf-8")

    def _as_published(self, read: Mapping[str, int]) -> None:
        for file, rows in read.items():
            expected = self.published.get(file, rows)
            note = f"{file} has {rows:,} rows; as published it has {expected:,}: this is a part of it, or another release."
            if rows != expected and note not in self.notes:
                self.notes.append(note)

    def finish(self, page: str, text: str) -> Path:
        """Move the tables into place, then the page; returns where the page is."""
        with whole(self.folder / page) as aside:
            aside.write_text(text, encoding="utf-8")
        self.target.mkdir(parents=True, exist_ok=True)
        for name in self.counts:
            (self.folder / f"{name}.parquet").replace(self.target / f"{name}.parquet")
        (self.folder / page).replace(self.target / page)
        sync(self.target)
        shutil.rmtree(self.folder)
        return self.target / page


def draw(key: str, seed: int) -> pl.Expr:
    """A number in [0, 1) fixed by the value of a column and the seed."""
    return pl.col(key).hash(seed).cast(pl.Float64) / 2.0**64


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found)

"""Answers into a file that appears when it is whole; a job of many blocks goes on after a kill where it stopped."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from banyan.disk import whole
from banyan.errors import ConfigError

FORMS = (".parquet", ".csv", ".jsonl", ".ndjson")
Progress = Callable[[int, int], None]  # (done, of)


def form(path: Path) -> str:
    """The file's ending. Raises ConfigError for one that cannot be written."""
    if path.suffix.lower() not in FORMS:
        raise ConfigError(f"{path.name}: answers are written as {', '.join(FORMS)}; found the ending {path.suffix!r}.")
    return path.suffix.lower()


def write(frame: pl.DataFrame | pl.LazyFrame, path: Path) -> Path:
    """Write a frame as Parquet, CSV or JSON lines, by the ending of `path`: aside, synced, renamed. Lists in a CSV file are joined by `|`."""
    kind = form(path)
    lazy = frame.lazy()
    with whole(path) as aside:
        if kind == ".parquet":
            lazy.sink_parquet(aside)
        elif kind == ".csv":
            lists = [name for name, each in lazy.collect_schema().items() if isinstance(each, (pl.List, pl.Array))]
            lazy.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|") for name in lists).sink_csv(aside)
        else:
            lazy.sink_ndjson(aside)
    return path


def resumable(path: Path, job: Mapping[str, Any], blocks: int, make: Callable[[int], pl.DataFrame], progress: Progress | None = None) -> Path:
    """Write the blocks `make(0)` ... `make(blocks - 1)`, one after the other, as one file.

    Each finished block lies in the folder `.NAME.parts` beside `path` until all are there. `job` (JSON) says what is asked for: parts
    of the same job are kept, those of another are thrown away.
    """
    form(path)
    parts = path.with_name(f".{path.name}.parts")
    _opened(parts, job)
    for number in range(blocks):
        part = parts / f"{number:08d}.parquet"
        if not part.is_file():
            write(make(number), part)
        if progress is not None:
            progress(number + 1, blocks)
    write(pl.scan_parquet([str(parts / f"{number:08d}.parquet") for number in range(blocks)], glob=False), path)
    shutil.rmtree(parts)
    return path


def _opened(parts: Path, job: Mapping[str, Any]) -> None:
    stated, wanted = parts / "job.json", json.dumps(job, sort_keys=True)
    if parts.is_dir() and not (stated.is_file() and stated.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(parts)
    if not parts.is_dir():
        parts.mkdir(parents=True)
        with whole(stated) as aside:
            aside.write_text(wanted, encoding="utf-8")

"""Entity tables -> numbered rows, and ids -> row numbers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from banyan.errors import DataError
from banyan.store import columns
from banyan.store.schema import Entity, Feature, Store
from banyan.store.sections import section
from banyan.store.segments import first_not_less
from banyan.store.shop import EntityFrame
from banyan.store.sources import read
from banyan.store.times import microseconds
from banyan.types import Array

ALWAYS = np.iinfo(np.int64).min  # valid_from of an id that has no row of its own: since ever


def read_entities(store: Store, notes: list[str] | None = None) -> dict[str, EntityFrame]:
    """Every entity's table, sorted by id, then valid_from; features renamed and typed. An entity without a table has no rows yet.

    What was dropped is said in `notes`. Raises ConfigError and DataError that name the file, the column and the row.
    """
    said: list[str] = [] if notes is None else notes
    found = {}
    for name, entity in store.entities.items():
        with section(f"entities.{name}"):
            found[name] = _read(name, entity, store.folder, said)
    return found


def _read(name: str, entity: Entity, folder: Path, notes: list[str]) -> EntityFrame:
    if entity.table is None:
        return EntityFrame(name, pl.DataFrame({entity.id: pl.Series([], dtype=pl.String)}), np.zeros(0, object))
    if entity.id in entity.features:
        raise DataError(f"entities.{name}: {entity.id!r} is the id and a feature; the id is an input already, unless embed_id is false. Rename the feature.")
    label = entity.table.label
    sources = [entity.id, *([entity.valid_from] if entity.valid_from else []), *(f.column or key for key, f in entity.features.items())]
    raw = read(entity.table, folder, sources, plain=True)
    keys = columns.ids(raw[entity.id], f"{label}, column {entity.id}")
    since = microseconds(raw[entity.valid_from], f"{label}, column {entity.valid_from}") if entity.valid_from else None
    typed = features(raw, entity.features, label, folder)
    frame = pl.DataFrame({entity.id: keys}).hstack(typed).with_columns(pl.Series("\0row", np.arange(1, raw.height + 1)))
    if since is not None:
        frame = frame.with_columns(since.alias("\0since"))
    frame = _without_nulls(frame, entity, name, label, notes)
    _distinct(frame, entity, label)
    frame = frame.sort([entity.id, "\0since"] if since is not None else [entity.id])
    starts = frame["\0since"].to_numpy() if since is not None else None
    return EntityFrame(name, frame.drop("\0row", "\0since", strict=False), frame[entity.id].to_numpy(), starts)


def features(raw: pl.DataFrame, wanted: Mapping[str, Feature], label: str, folder: Path) -> list[pl.Series]:
    """The typed columns of described features, each under its feature's name; files of pictures begin at `folder`. Raises DataError."""
    return [columns.typed(raw[f.column or key], f, f"{label}, column {f.column or key}", folder).rename(key) for key, f in wanted.items()]


def _without_nulls(frame: pl.DataFrame, entity: Entity, name: str, label: str, notes: list[str]) -> pl.DataFrame:
    for column, shown in ((entity.id, entity.id), ("\0since", entity.valid_from)):
        if column in frame.columns and (lost := frame[column].null_count()):
            notes.append(f"entities.{name}: {lost} of {frame.height} rows of {label} have no {shown} and were left out.")
            frame = frame.filter(pl.col(column).is_not_null())
    if not frame.height:
        raise DataError(f"{label}, column {entity.id}: no row has an id.")
    return frame


def _distinct(frame: pl.DataFrame, entity: Entity, label: str) -> None:
    key = [entity.id, *(["\0since"] if "\0since" in frame.columns else [])]
    twice = frame.filter(pl.struct(key).is_duplicated())
    if not twice.height:
        return
    rows = twice.filter(pl.all_horizontal(pl.col(k) == twice[k][0] for k in key))["\0row"].to_list()
    what = f"id {twice[entity.id][0]!r}" + (" with one valid_from" if len(key) > 1 else "")
    cure = "keep one row an id" if len(key) > 1 else "keep one row an id, or name the column that says since when a row holds as `valid_from`"
    raise DataError(
        f"{label}, column {entity.id}: {what} stands in rows {', '.join(str(r) for r in rows[:5])}; {cure}. "
        f"{twice[entity.id].n_unique()} ids stand more than once."
    )


def lookup(frame: EntityFrame, ids: pl.Series, time: Array | None = None) -> Array:
    """(n,) int32 row numbers of ids (text as `columns.ids` leaves it, or `read` where it is coded); 0 where the id is null or unknown.

    With `valid_from`, the newest row of the id that began at or before `time` (int64 microseconds); before its first row, and without
    `time`, the id's first row: an older state is no leak, a newer one may be.
    """
    first, stop = _runs(frame)
    run = columns.matched(ids, pl.Series(frame.ids[first], dtype=pl.String), np.arange(len(first), dtype=np.int32))
    known = run.is_not_null().to_numpy()
    found = np.zeros(len(ids), np.int64)
    runs = run.drop_nulls().to_numpy()
    found[known] = first[runs] + 1
    if frame.valid_from is not None and time is not None:
        begun = first_not_less(frame.valid_from, first[runs], stop[runs], np.asarray(time)[known] + 1)
        found[known] = np.maximum(begun - 1, first[runs]) + 1
    return found.astype(np.int32)


def newest(frame: EntityFrame) -> Array:
    """(len,) int32: for each row number that of the newest row of the same id. Events of a user lie under it."""
    rows = np.arange(len(frame), dtype=np.int32)
    if frame.valid_from is None:
        return rows
    first, stop = _runs(frame)
    rows[1:] = np.repeat(stop, stop - first)
    return rows


def extended(frame: EntityFrame, ids: pl.Series) -> tuple[EntityFrame, int]:
    """The frame with a row of missing features for every id that it does not know, in order of the text, and how many those are."""
    known = pl.DataFrame({"id": pl.Series(frame.ids, dtype=pl.String)})
    unknown = ids.unique().drop_nulls().cast(pl.String).to_frame("id").join(known, on="id", how="anti")["id"].sort()
    if not len(unknown):
        return frame, 0
    column = frame.frame.columns[0]
    grown = pl.concat([frame.frame, unknown.to_frame(column)], how="diagonal")
    since = None if frame.valid_from is None else np.concatenate([frame.valid_from, np.full(len(unknown), ALWAYS)])
    return EntityFrame(frame.name, grown, grown[column].to_numpy(), since), len(unknown)


def _runs(frame: EntityFrame) -> tuple[Array, Array]:
    """Where the rows of each id begin and end in the frame; rows of one id lie together."""
    if frame.valid_from is None or not len(frame.ids):
        return np.arange(len(frame.ids)), np.arange(1, len(frame.ids) + 1)
    new = np.flatnonzero(np.concatenate([[True], frame.ids[1:] != frame.ids[:-1]]))
    return new, np.append(new[1:], len(frame.ids))

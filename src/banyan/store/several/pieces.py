"""The tables of several stores as files: for each table a piece a store, all pieces of the same columns."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from banyan.errors import ConfigError
from banyan.store import columns
from banyan.store.entities import features, read_entities
from banyan.store.events import described
from banyan.store.schema import Samples, Store
from banyan.store.several.found import Found
from banyan.store.sources import read
from banyan.store.times import microseconds, order

TIME = pl.Datetime("us")
Kind = Any  # a type of polars, whose own hints cannot be checked while testing


def write(named: Mapping[str, Store], found: Found, folder: Path) -> None:
    """Every table of every store into `folder`."""
    for entity in found.shared_ids:
        _put(folder, entity, ((name, _entity(store, entity, name, found)) for name, store in named.items() if _has(store, entity)))
        if found.shared_ids[entity]:
            _once(folder, entity)
    if any(store.events is not None for store in named.values()):
        _put(folder, "events", ((name, _events(store, name, found)) for name, store in named.items() if store.events is not None))
    for key in dict.fromkeys(found.samples.values()):
        mine = [(name, own) for (name, own), called in found.samples.items() if called == key and named[name].samples[own].table is not None]
        if mine:
            _put(folder, f"samples.{key}", ((name, _rows(named[name], own, name, found)) for name, own in mine))


def place(folder: Path, table: str) -> Path:
    """Where the pieces of a table lie."""
    return folder / "tables" / table.replace("/", "_")


def _has(store: Store, entity: str) -> bool:
    return entity in store.entities and store.entities[entity].table is not None


def _put(folder: Path, table: str, made: Iterator[tuple[str, pl.DataFrame]]) -> None:
    """Write the pieces as they come; then give each the columns, and the types, of all."""
    at = place(folder, table)
    at.mkdir(parents=True, exist_ok=True)
    for old in at.glob("*.parquet"):
        old.unlink()
    schema: dict[str, Kind] = {}
    names = []
    for name, frame in made:
        for column, kind in frame.schema.items():
            schema[column] = _both(schema.get(column, kind), kind, f"{table}, column {column}")
        frame.write_parquet(at / f"{name}.parquet")
        names.append(name)
    for name in names:
        piece = pl.scan_parquet(at / f"{name}.parquet")
        there = piece.collect_schema()
        if dict(there) != schema or list(there) != list(schema):
            whole = [(pl.col(c).cast(k) if c in there else pl.lit(None, dtype=k)).alias(c) for c, k in schema.items()]
            piece.select(whole).sink_parquet(at / f"{name}.new")
            (at / f"{name}.new").replace(at / f"{name}.parquet")


def _both(one: Kind, other: Kind, where: str) -> Kind:
    """A type that holds both."""
    if one == other:
        return one
    if pl.Null() in (one, other):
        return other if one == pl.Null() else one
    plain = [each.is_numeric() or each == pl.Boolean for each in (one, other)]
    if all(plain):
        return pl.Float64()
    if isinstance(one, (pl.List, pl.Array)) or isinstance(other, (pl.List, pl.Array)):
        raise ConfigError(f"{where} holds {one} in one store and {other} in another; give the feature another name in one of them.")
    return pl.String()


def _once(folder: Path, entity: str) -> None:
    """Of things that several stores describe, the description by the first stands."""
    seen: pl.DataFrame | None = None
    for path in sorted(place(folder, entity).glob("*.parquet"), key=lambda each: each.stat().st_mtime_ns):
        frame = pl.read_parquet(path)
        kept = frame if seen is None else frame.join(seen, on="id", how="anti")
        kept.write_parquet(path)
        ids = frame.select("id").unique()
        seen = ids if seen is None else pl.concat([seen, ids]).unique()


def own(entity: str, store: str, found: Found) -> pl.Expr:
    """The ids of a column named by the null character as those of their store, unless all stores share them."""
    return pl.col("\0") if found.shared_ids.get(entity) else pl.lit(f"{store}:") + pl.col("\0")


def _ids(column: pl.Series, entity: str, store: str, found: Found) -> pl.Series:
    return column.cast(pl.String).to_frame("\0").select(own(entity, store, found).alias("\0")).to_series()


def _timed(column: pl.Series, kind: str) -> pl.Series:
    return column.cast(TIME) if kind == "time" else column


def _entity(store: Store, entity: str, name: str, found: Found) -> pl.DataFrame:
    spec = store.entities[entity]
    read_ = read_entities(store.model_copy(update={"entities": {entity: spec}}))[entity]
    made = [_ids(read_.frame[spec.id], entity, name, found).alias("id")]
    if read_.valid_from is not None:
        made.append(pl.Series("since", read_.valid_from).cast(TIME))
    made += [_timed(read_.frame[key], f.kind).alias(found.features[name, entity, key]) for key, f in spec.features.items()]
    return pl.DataFrame(made)


def _events(store: Store, name: str, found: Found) -> pl.DataFrame:
    events = store.events
    assert events is not None
    frame = described(events, store)
    made = [_ids(frame[each], each, name, found).alias(each) for each in ("user", "item")]
    made.append((frame["behaviour"] if events.behaviour else pl.Series([events.all]).new_from_index(0, frame.height)).cast(pl.String).alias("behaviour"))
    if "time" in frame.columns:
        made.append(frame["time"].cast(TIME) if events.time else frame["time"])
    if events.value:
        made.append(frame["value"])
    return pl.DataFrame(made).with_columns(store=pl.lit(name))


def _rows(store: Store, key: str, name: str, found: Found) -> pl.DataFrame:
    """The rows of a samples table, typed, ids as those of their store."""
    samples = store.samples[key]
    assert samples.table is not None
    label = samples.table.label
    frame = read(samples.table, store.folder, list(dict.fromkeys(_wanted(samples, store))), plain=True)
    made = [_ids(columns.ids(frame[c], f"{label}, column {c}"), e, name, found).alias(f"id of {e}") for e, c in samples.entities.items()]
    if samples.time:
        ordered = store.events is not None and bool(store.events.order)
        stamps = (order if ordered else microseconds)(frame[samples.time], f"{label}, column {samples.time}")
        made.append((stamps if ordered else stamps.cast(TIME)).alias("time of row"))
    made += [
        _timed(each, samples.features[each.name].kind).alias(found.context[name, key, each.name])
        for each in features(frame, samples.features, label, store.folder)
    ]
    made += [frame[column].alias(f"label {label_}") for label_, column in samples.labels.items()]
    made += [frame[column].cast(pl.Float64).alias(what) for what, column in (("weight", samples.weight), ("rate", samples.rate)) if column]
    how = samples.split or store.split
    if how.by == "given" and how.column:
        made.append(frame[how.column].cast(pl.String).alias("split"))
    if samples.scenario:
        made.append(columns.words(frame[samples.scenario], f"{label}, column {samples.scenario}").alias(found.context[name, key, "\0scenario"]))
    return pl.DataFrame(made).with_columns(store=pl.lit(name))


def _wanted(samples: Samples, store: Store) -> Iterator[str]:
    how = samples.split or store.split
    yield from samples.entities.values()
    yield from samples.labels.values()
    yield from (feature.column or key for key, feature in samples.features.items())
    given = how.column if how.by == "given" else None
    yield from (c for c in (samples.time, samples.scenario, samples.weight, samples.rate, given) if c)

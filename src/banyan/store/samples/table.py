"""Labelled rows from a table of the shop's own."""

from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl

from banyan import parts
from banyan.errors import ConfigError, DataError
from banyan.store import columns
from banyan.store.entities import extended, features, lookup
from banyan.store.events import coded
from banyan.store.samples.raw import Raw, joined
from banyan.store.schema import Samples, Source, Store, TaskSpec, duration
from banyan.store.shop import EntityFrame, EventLog
from banyan.store.sources import read
from banyan.store.times import microseconds, order, refuse
from banyan.types import TEST, TRAIN, VALID, Array

_GIVEN = {"train": TRAIN, "valid": VALID, "test": TEST}


def make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None, scenarios: list[str]) -> Raw:
    """The rows of the table, in its order; after them those of the files that a given split names as validation and test.

    `entities` and `scenarios` grow by the ids and scenarios that only this table knows.
    Raises ConfigError and DataError that name the file, the column, the row and the value.
    """
    assert samples.table is not None
    _check(name, samples)
    how = samples.split or store.split
    files: list[tuple[Source, int | None]] = [(samples.table, TRAIN if how.files else None), *((each, _GIVEN[word]) for word, each in how.files.items())]
    return joined(name, [(source.label, _read(name, samples, store, source, part, entities, log, scenarios)) for source, part in files])


def _read(
    name: str, samples: Samples, store: Store, table: Source, part: int | None, entities: dict[str, EntityFrame], log: EventLog | None, scenarios: list[str]
) -> Raw:
    """The rows of one file, all of them of `part` where that is given."""
    label = table.label
    frame = read(table, store.folder, _columns(samples, store), plain=True)
    notes: list[str] = []
    rows = np.arange(1, frame.height + 1)
    stamps = _time(samples, frame, label, log)
    if stamps is not None and (lost := stamps.null_count()):
        notes.append(f"samples.{name}: {lost} of {frame.height} rows of {label} have no time and were left out.")
        keep = stamps.is_not_null()
        frame, rows, stamps = frame.filter(keep), rows[keep.to_numpy()], stamps.filter(keep)
    time = stamps.to_numpy() if stamps is not None else None
    return Raw(
        entities={e: _rows(e, column, frame, label, store, entities, time, notes, name) for e, column in samples.entities.items()},
        time=time,
        labels=pl.DataFrame([_label(key, column, frame, label, name, store) for key, column in samples.labels.items()]),
        context=pl.DataFrame(features(frame, samples.features, label, store.folder)),
        features=dict(samples.features),
        scenario=_scenario(samples, frame, label, scenarios),
        weight=_share(samples.weight, frame, label, "a weight is a number of at least 0", lambda w: w >= 0),
        rate=_share(samples.rate, frame, label, "a sampling rate lies above 0 and at most at 1", lambda r: (r > 0) & (r <= 1)),
        window=_window(name, samples, log),
        given=_given(samples, store, frame, label) if part is None else np.full(frame.height, part, np.int8),
        file_row=rows,
        notes=notes,
    )


def _check(name: str, samples: Samples) -> None:
    if not samples.labels:
        raise ConfigError(f"samples.{name}: a table of samples needs labels, such as labels: {{bought: purchased}} (label: column).")
    label_of = {column: label for label, column in samples.labels.items()}
    for key, feature in samples.features.items():
        if (column := feature.column or key) in label_of:
            both = f"the label {label_of[column]!r} and the feature {key!r}"
            raise ConfigError(f"samples.{name}: the column {column!r} is {both}; an answer cannot be read from itself.")


def _columns(samples: Samples, store: Store) -> list[str]:
    how = samples.split or store.split
    given = how.column if how.by == "given" else None
    single = [samples.time, samples.scenario, samples.weight, samples.rate, given]
    return [*samples.entities.values(), *samples.labels.values(), *(f.column or key for key, f in samples.features.items()), *(c for c in single if c)]


def _time(samples: Samples, frame: pl.DataFrame, label: str, log: EventLog | None) -> pl.Series | None:
    if not samples.time:
        return None
    as_order = log is not None and log.clock == "order"  # compared with the events' order
    return (order if as_order else microseconds)(frame[samples.time], f"{label}, column {samples.time}")


def _rows(
    entity: str, column: str, frame: pl.DataFrame, label: str, store: Store, entities: dict[str, EntityFrame], time: Array | None, notes: list[str], name: str
) -> Array:
    ids = columns.ids(frame[column], f"{label}, column {column}")
    entities[entity], new = extended(entities[entity], ids)
    source = store.entities[entity].table
    if new and source is not None:
        notes.append(f"samples.{name}: {new} ids of {entity} have no row in {source.label}; each got a row with all features missing.")
    if missing := ids.null_count():
        notes.append(f"samples.{name}: {missing} of {len(ids)} rows of {label} have no {column}; their {entity} is missing.")
    return lookup(entities[entity], ids, time)


def _scenario(samples: Samples, frame: pl.DataFrame, label: str, scenarios: list[str]) -> Array | None:
    if not samples.scenario:
        return None
    names, codes = coded(columns.words(frame[samples.scenario], f"{label}, column {samples.scenario}"), scenarios)
    scenarios[:] = names
    return codes


def _share(column: str | None, frame: pl.DataFrame, label: str, right: str, fits: Callable[[pl.Series], pl.Series]) -> Array | None:
    if not column:
        return None
    found = columns.numbers(frame[column], f"{label}, column {column}")
    refuse(frame[column], f"{label}, column {column}", ~fits(found).fill_null(False), right)
    return found.to_numpy().astype(np.float32)


def _window(name: str, samples: Samples, log: EventLog | None) -> int:
    if samples.window and (not samples.time or (log is not None and log.clock == "order")):
        raise ConfigError(f"samples.{name}: window {samples.window} is a span of time, and its rows have {'an order' if samples.time else 'no time'}.")
    return duration(samples.window) if samples.window else 0


def _given(samples: Samples, store: Store, frame: pl.DataFrame, label: str) -> Array | None:
    how = samples.split or store.split
    if how.by != "given" or not how.column:
        return None
    words = columns.words(frame[how.column], label).str.to_lowercase()
    refuse(frame[how.column], f"{label}, column {how.column}", ~words.is_in(list(_GIVEN)).fill_null(False), "a part is train, valid or test")
    return words.replace_strict(_GIVEN, return_dtype=pl.Int8).to_numpy()


def _label(key: str, column: str, frame: pl.DataFrame, label: str, name: str, store: Store) -> pl.Series:
    where = f"{label}, column {column}"
    asked = {t: s for t, s in store.tasks.items() if s.samples == name and key in _named(t, s, store.samples[name])}
    forms = {_form(task, key) for task in asked.values()}
    if len(forms) > 1:
        read_as = " and as ".join(sorted(forms))
        raise ConfigError(f"samples.{name}: the label {key!r} is read as {read_as} by {', '.join(asked)}; list the column under two label names.")
    found = _FORMS[next(iter(forms), "numbers or text")](frame[column], where)
    if any(_yes_or_no(task) for task in asked.values()):
        refuse(frame[column], where, ~found.is_in([0.0, 1.0]).fill_null(True), "the label of a yes-or-no task is 0, 1 or empty")
    return found.rename(key)


def _yes_or_no(task: TaskSpec) -> bool:
    """Whether a task asks for the chance of a label, or of several."""
    part = parts.find("tasks", task.kind)
    return bool(part.kind == "floats" and part.answers == "chances")


def _named(task_name: str, task: TaskSpec, samples: Samples) -> list[str]:
    """The labels that a task may read."""
    named = [*([task.label] if task.label else []), *(task.labels or []), *(task.stages or [])]
    return named or ([task_name] if task_name in samples.labels else list(samples.labels))


def _form(task: TaskSpec, key: str) -> str:
    """How a task reads a label: numbers, text, lists of tags, or grades (numbers where they are, else text)."""
    if task.kind == "graded":
        return "numbers or text"
    kind = parts.find("tasks", task.kind).kind
    if kind == "tags":
        return "numbers" if task.labels else "tags"
    return "text" if kind == "code" else "numbers"


def _number_or_text(column: pl.Series, where: str) -> pl.Series:
    try:
        return columns.numbers(column, where)
    except DataError:
        return columns.words(column, where)


_FORMS: dict[str, Callable[[pl.Series, str], pl.Series]] = {
    "numbers": columns.numbers,
    "text": columns.words,
    "tags": partial(columns.tags, separator="|"),
    "numbers or text": _number_or_text,
}

"""A description -> a Shop: everything read, numbered, split and checked against the tasks."""

from collections.abc import Sequence
from pathlib import Path

from banyan import parts
from banyan.errors import ConfigError, DataError
from banyan.store.entities import read_entities
from banyan.store.events import read_events
from banyan.store.hints import hint
from banyan.store.load import load, located
from banyan.store.samples import read_samples
from banyan.store.schema import Samples, Store, TaskSpec
from banyan.store.shop import SampleTable, Shop


def open_store(store: Store | str | Path, overrides: Sequence[str] = (), *, merged: bool = False) -> Shop:
    """Read a whole store. `store` is a Store or the path of a store.yaml; `overrides` as in `load` go with a path.

    `merged`: what the split gives to validation trains too, for a last fit when everything is chosen.

    Raises ConfigError where the description does not fit the tables, DataError where a table breaks a rule.
    """
    if isinstance(store, Store):
        if overrides:
            raise ConfigError("Settings such as model.sharing=ple go with the path of a store.yaml; change a Store in Python itself.")
        return _opened(store, merged)
    described = load(store, overrides)
    try:
        return _opened(described, merged)
    except (ConfigError, DataError) as error:
        raise type(error)(located(store, overrides, str(error))) from error


def _opened(store: Store, merged: bool) -> Shop:
    notes: list[str] = []
    hidden = hidden_features(store)
    entities = read_entities(store, notes)
    log = read_events(store, entities, notes) if store.events else None
    tables, log, scenarios, cut = read_samples(store, entities, log, notes, merged)
    for name, task in store.tasks.items():
        task_labels(name, task, tables[task.samples])
    notes += [
        f"entities.{name}: several rows an id; the history of a row, and its counts by category, compare the states that held at each time."
        for name, e in store.entities.items()
        if e.valid_from and name == "item" and log is not None
    ]
    return Shop(store, entities, log, tables, scenarios, cut, hidden, notes)


def hidden_features(store: Store) -> dict[str, set[str]]:
    """Entity -> features that are a label, or that samples say give one away: inputs of no task. Raises ConfigError for an unknown one."""
    hidden: dict[str, set[str]] = {}
    for name, samples in store.samples.items():
        if samples.recipe == "attributes":
            entity, found = _given_away(name, samples, store)
            hidden.setdefault(entity, set()).update(found)
    return hidden


def _given_away(name: str, samples: Samples, store: Store) -> tuple[str, list[str]]:
    entity = str(samples.of)
    if entity not in store.entities:
        raise ConfigError(f"samples.{name}: of is {entity!r}, which is no entity.{hint(entity, store.entities)}")
    known = store.entities[entity].features
    for key, words in (("labels", list(samples.labels.values())), ("drop", samples.drop)):
        for word in words:
            if word not in known:
                raise ConfigError(f"samples.{name}: {key} names {word!r}, which is no feature of {entity}.{hint(word, known)}")
    return entity, [*samples.labels.values(), *samples.drop]


def task_labels(name: str, task: TaskSpec, table: SampleTable) -> tuple[str, ...]:
    """The label columns that a task reads, in order; () for a ranking, whose answers are the table's targets.

    Named by `stages`, `labels` or `label`; else all of a count over periods ahead, the only label, or the one named as the task.
    Raises ConfigError where that names nothing in the table.
    """
    known = table.labels.columns
    named = tuple(task.stages or task.labels or ([task.label] if task.label else []))
    form = parts.find("tasks", task.kind).kind
    if form == "places":
        if table.targets is None:
            raise ConfigError(f"tasks.{name}: a ranking needs samples of the recipe next_item; {task.samples} have no targets.")
        return ()
    for label in named:
        if label not in known:
            raise ConfigError(f"tasks.{name}: the samples {task.samples} have no label {label!r}.{hint(label, known)}")
    if named:
        return named
    if len(known) == 1 or (form == "counts" and known):
        return tuple(known)
    if name in known:
        return (name,)
    example = known[0] if known else "bought"
    raise ConfigError(f"tasks.{name}: say which label of the samples {task.samples} it predicts, such as label: {example}.{hint(name, known)}")

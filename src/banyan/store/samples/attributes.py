"""The recipe `attributes`: a label that is a column of an entity, such as a user's age group.

A row is a row of the entity that has at least one of its labels. Rows have no time: a user's history is all of the user's events, so
split such samples by user (`split: {by: user}`), not by time. The label's column, and the siblings named in `drop`, are inputs of no
table: opening the store hides them.
"""

import numpy as np
import polars as pl

from banyan.errors import ConfigError
from banyan.store.hints import hint
from banyan.store.samples.raw import Raw
from banyan.store.schema import Samples, Store
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array


def make(name: str, samples: Samples, store: Store, entities: dict[str, EntityFrame], log: EventLog | None) -> Raw:
    """Rows of the entity `of`, labels as its columns hold them. Raises ConfigError for an unknown entity, label or sibling."""
    entity = entities.get(str(samples.of))
    if entity is None:
        raise ConfigError(f"samples.{name}: `of` is {samples.of!r}, which is no entity.{hint(str(samples.of), entities)}")
    for feature in [*samples.labels.values(), *samples.drop]:
        _known(name, entity, feature)
    labels = entity.frame.select(pl.col(feature).alias(label) for label, feature in samples.labels.items())
    seen = labels.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy() if len(labels) else np.zeros(0, bool)
    if any(task.samples == name and task.pseudo_labels is not None for task in store.tasks.values()):
        seen = np.ones(len(labels), bool)  # rows without a label are there to be given one
    if entity.valid_from is not None:
        seen = seen & _newest(entity)
    rows = np.flatnonzero(seen)
    return Raw(entities={entity.name: (rows + 1).astype(np.int32)}, labels=labels[rows])


def _newest(entity: EntityFrame) -> Array:
    """The last of each id's rows; rows are sorted by id, then valid_from."""
    last = np.ones(len(entity.ids), bool)
    last[:-1] = entity.ids[1:] != entity.ids[:-1]
    return last


def _known(name: str, entity: EntityFrame, feature: str) -> None:
    features = entity.frame.columns[1:]
    if feature not in features:
        raise ConfigError(f"samples.{name}: {feature!r} is no feature of {entity.name}.{hint(feature, features)}")

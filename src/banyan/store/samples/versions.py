"""Entities whose rows have `valid_from`: one row for every id in pair keys, and the row that held at a sample's time for its features."""

from dataclasses import replace

import numpy as np

from banyan.store.entities import newest
from banyan.store.segments import first_not_less
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array


def one_row_an_item(log: EventLog, item: EntityFrame) -> EventLog:
    """The log with every item under its newest row, so that an item stays the same when its features change."""
    return log if item.valid_from is None else replace(log, item=newest(item)[log.item])


def as_of(frame: EntityFrame, rows: Array, time: Array | None) -> Array:
    """(n,) int32: of each row's id the newest row that began at or before `time`; its first row before that, or without a time."""
    if frame.valid_from is None or not len(rows):
        return rows.astype(np.int32)
    new = np.concatenate([[True], frame.ids[1:] != frame.ids[:-1]])
    first = np.flatnonzero(new)
    run = (np.cumsum(new) - 1)[np.maximum(rows - 1, 0)]
    found = first[run]
    if time is not None:
        stop = np.append(first[1:], len(frame.ids))[run]
        found = np.maximum(first_not_less(frame.valid_from, found, stop, time + 1) - 1, found)
    return np.where(rows > 0, found + 1, 0).astype(np.int32)

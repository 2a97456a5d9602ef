"""What training may count: its events, and how often these and its rows name a thing."""

from collections.abc import Sequence

import numpy as np

from banyan.features.stock import ITEM, USER
from banyan.store.shop import Shop
from banyan.types import TRAIN, Array


def training_counts(name: str, rows: int, shop: Shop, tables: Sequence[str] | None = None) -> Array:
    """(rows,) how often training events and training rows (of all tables, or those given) name each row of an entity; row 0 is the missing one."""
    counts = np.zeros(rows, np.int64)
    if shop.log is not None and name in (USER, ITEM):
        named = shop.log.user if name == USER else shop.log.item
        counts += np.bincount(named[training_events(shop)], minlength=rows)
    for table in shop.samples.values():
        if name in table.entities and (tables is None or table.name in tables):
            counts += np.bincount(table.entities[name][table.part == TRAIN], minlength=rows)
    counts[0] = 0
    return counts


def training_events(shop: Shop) -> Array:
    """(events,) which events training may count: those before the cut, or, without a clock, those before each user's first held-out row."""
    log = shop.log
    assert log is not None
    if log.clock == "time" and shop.cut is not None:
        return np.asarray(log.time < shop.cut[0])
    last = log.start[1:].copy()
    keep = np.ones(len(log.item), bool)
    for table in shop.samples.values():
        held = (table.part > TRAIN) & (table.end >= 0)
        excluded = table.exclude[held & (table.exclude >= 0)]
        keep[excluded] = False
        ordered = held & (table.exclude < 0) & (table.time is not None)
        if USER in table.entities:
            np.minimum.at(last, table.entities[USER][ordered], table.end[ordered])
    return np.asarray(keep & (np.arange(len(keep)) < last[log.user]))

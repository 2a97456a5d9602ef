"""Small logs written by hand: a list of (user, item, behaviour, time) becomes a sorted log and its entities."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest

from banyan.store.schema import Store
from banyan.store.shop import EntityFrame, EventLog

Event = tuple[int, int, str, int]
LogOf = Callable[..., tuple[EventLog, dict[str, EntityFrame]]]
BEHAVIOURS = ("cart", "purchase", "view")


def _log(events: Sequence[Event], clock: str = "time", users: int = 0, items: int = 0, value: Sequence[float] | None = None) -> EventLog:
    users = max([users, *(e[0] for e in events)])
    order = sorted(range(len(events)), key=lambda i: (events[i][0], 0 if clock == "none" else events[i][3], i))
    rows = [events[i] for i in order]
    start = np.zeros(users + 2, np.int64)
    np.cumsum(np.bincount([r[0] for r in rows], minlength=users + 1), out=start[1:])
    return EventLog(
        start=start,
        item=np.array([r[1] for r in rows], np.int32),
        behaviour=np.array([BEHAVIOURS.index(r[2]) for r in rows], np.int16),
        time=np.array([0 if clock == "none" else r[3] for r in rows], np.int64),
        scenario=np.array([r[1] % 2 for r in rows], np.int32),
        value=np.array([1.0 if value is None else value[i] for i in order], np.float32),
        behaviours=BEHAVIOURS,
        scenarios=("", "home"),
        clock=clock,
    )


@pytest.fixture
def log_of() -> LogOf:
    """A function from events to (log, entities); items carry a category `c0`, `c1`, `c2` by their number modulo 3."""

    def make(
        events: Sequence[Event], clock: str = "time", users: int = 0, items: int = 0, value: Sequence[float] | None = None
    ) -> tuple[EventLog, dict[str, EntityFrame]]:
        log = _log(events, clock, users, items, value)
        n_users, n_items = len(log.start) - 2, max([items, *(e[1] for e in events)])
        user, item = [f"u{i}" for i in range(1, n_users + 1)], [f"i{i}" for i in range(1, n_items + 1)]
        return log, {
            "user": EntityFrame("user", pl.DataFrame({"user_id": user}), np.array(user, object)),
            "item": EntityFrame("item", pl.DataFrame({"item_id": item, "category": [f"c{i % 3}" for i in range(1, n_items + 1)]}), np.array(item, object)),
        }

    return make


@pytest.fixture
def store_of() -> Callable[..., Store]:
    """A function from the keys of one samples table to a store that holds it as `rows`."""

    def make(**samples: object) -> Store:
        return Store.model_validate(
            {
                "entities": {"user": {"id": "user_id"}, "item": {"id": "item_id"}},
                "events": {"table": "events.csv", "user": "user_id", "item": "item_id"},
                "samples": {"rows": samples},
                "tasks": {},
            }
        )

    return make

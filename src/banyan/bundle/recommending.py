"""What is asked of a ranking task, checked, and the best items of a block of users."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

from banyan import inference
from banyan.bundle.rows import GONE, Reader
from banyan.errors import BundleError, ConfigError, DataError
from banyan.features.pairs import spans
from banyan.features.step import Feeder
from banyan.features.stock import ITEM, USER
from banyan.model import Network
from banyan.store import columns
from banyan.store.hints import hint
from banyan.store.shop import SampleTable
from banyan.types import Array

Users = Sequence[str] | pl.Series | Literal["all"]


@dataclass(frozen=True)
class Ask:
    """What is asked, checked."""

    task: str
    users: pl.Series
    k: int
    moment: int
    scenario: str
    leave_out: tuple[str, ...]
    offered: Array  # (items,) bool

    def digest(self) -> str:
        """Tells two questions apart."""
        found = hashlib.sha256(repr((self.task, self.k, self.moment, self.scenario, self.leave_out)).encode())
        found.update(np.packbits(self.offered).tobytes())
        found.update("\n".join(self.users.to_list()).encode())
        return found.hexdigest()


def asked(
    reader: Reader, tasks: Sequence[str], users: Users, k: int, task: str | None, moment: int, scenario: str | None, leave_out: Sequence[str],
    only: Sequence[str] | None,
) -> Ask:  # fmt: skip
    """The question in the bundle's words. `tasks` are its ranking tasks. Raises ConfigError and DataError as `Bundle.recommend` says."""
    name = task or (tasks[0] if tasks else "")
    if name not in tasks:
        raise ConfigError(f"The bundle has no ranking task {name!r}.{hint(name, tasks)}")
    if k < 1:
        raise ConfigError(f"k is {k}; ask for at least one item.")
    for words, known, what in ((leave_out, reader.plan.behaviours, "behaviour"), ([scenario] if scenario else [], reader.plan.scenarios[1:], "scenario")):
        if unknown := [each for each in words if each not in known]:
            raise ConfigError(f"The bundle knows no {what} {unknown[0]!r}.{hint(unknown[0], known)}")
    return Ask(name, _users(reader, users), k, moment, scenario or "", tuple(leave_out), _offered(reader, only))


def _users(reader: Reader, users: Users) -> pl.Series:
    if isinstance(users, str):
        if users != "all":
            raise ConfigError(f'users is {users!r}; give a list of ids, or "all".')
        known = pl.Series(USER, reader.stock.ids[USER], dtype=pl.String)
        return known.filter(pl.Series(reader.current(USER)) & ~known.str.starts_with(GONE))
    found = columns.ids(pl.Series(USER, users), "users") if len(users) else pl.Series(USER, [], dtype=pl.String)
    if found.null_count():
        raise DataError(f"users, row {int(found.is_null().arg_max() or 0) + 1}: there is no id; every user needs one.")
    return found.alias(USER)


def _offered(reader: Reader, only: Sequence[str] | None) -> Array:
    offered = reader.current(ITEM)
    if only is None:
        return offered
    rows = reader.row_numbers(ITEM, columns.ids(pl.Series("only", only, dtype=pl.String), "only"))
    if wrong := [item for item, row in zip(only, rows.tolist(), strict=True) if row in (0, len(offered) + 1)]:
        raise DataError(f"only: the bundle has no item {wrong[0]!r}; {len(wrong)} of {len(only)} are unknown. Add new items with `with_entities`.")
    named = np.zeros(len(offered), bool)
    named[reader.newest(ITEM)[rows] - 1] = True
    return offered & named


def rows_of(reader: Reader, ask: Ask, users: pl.Series) -> SampleTable:
    """The users as rows of the ranking task's table, at the moment of the question."""
    table = reader.store.tasks[ask.task].samples
    frame = pl.DataFrame({USER: users, "scenario": pl.Series([ask.scenario] * len(users), dtype=pl.String)})
    return reader.rows(table, frame, ask.moment, "users")


def best(reader: Reader, network: Network, feeder: Feeder, vectors: Tensor, ask: Ask, users: pl.Series, rows: SampleTable) -> pl.DataFrame:
    """(user, rank, item, score) of one block of users; `feeder` holds their `rows`, `vectors` (items, H) are of all items, where the network is."""
    owner, item, value, rank = ([np.zeros(0, np.int64)] for _ in range(4))
    hidden = torch.from_numpy(~ask.offered).to(vectors.device)
    for where, score in inference.scores(network, feeder, ask.task, rows.name, np.arange(len(rows)), vectors):
        if not bool(score.isfinite().all()):
            raise BundleError(f"The task {ask.task!r} gave a score that is not finite; the bundle cannot answer. Train it again.")
        score[:, hidden] = -torch.inf
        by, had = _had(reader, rows, where, (*ask.leave_out, *network.task(ask.task).leave_out))
        score[torch.from_numpy(by).to(score.device), torch.from_numpy(had).to(score.device)] = -torch.inf
        places, scores = inference.leading(score, ask.k)
        there = np.isfinite(scores)
        owner.append(np.nonzero(there)[0] + where.start)
        rank.append(np.nonzero(there)[1] + 1)
        item.append(places[there])
        value.append(scores[there])
    ids = pl.Series(ITEM, reader.stock.ids[ITEM], dtype=pl.String)
    return ranked(users.gather(np.concatenate(owner)), np.concatenate(rank), ids.gather(np.concatenate(item)), np.concatenate(value))


def _had(reader: Reader, rows: SampleTable, where: slice, behaviours: Sequence[str]) -> tuple[Array, Array]:
    """((m,) rows of the block, (m,) items - 1) of what the users had by one of the behaviours."""
    log = reader.stock.log
    if log is None or not behaviours:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    user = reader.of_events(rows.entities[USER][where])
    at, owner = spans(log.start[user], np.maximum(rows.end[where], 0))
    mine = np.isin(log.behaviour[at], [log.behaviours.index(b) for b in behaviours])
    return owner[mine], reader.newest(ITEM)[log.item[at[mine]]].astype(np.int64) - 1


def ranked(user: Any, rank: Any, item: Any, score: Any) -> pl.DataFrame:
    """The frame of an answer."""
    kinds = {"user": (user, pl.String()), "rank": (rank, pl.Int32()), "item": (item, pl.String()), "score": (score, pl.Float32())}
    return pl.DataFrame([pl.Series(name, each, dtype=kind) for name, (each, kind) in kinds.items()])

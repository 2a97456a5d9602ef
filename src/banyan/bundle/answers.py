"""A loaded bundle: predictions for new rows, and recommendations, in fp32. Knows no HTTP and no training."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from banyan import inference
from banyan.bundle import files, grow, loading, recommending
from banyan.bundle.recommending import Ask, Users
from banyan.bundle.rows import Reader, part
from banyan.devices import device as named
from banyan.errors import BundleError, ConfigError, DataError
from banyan.features.build import tabled
from banyan.features.data import Data
from banyan.features.plan import Plan
from banyan.features.step import Feeder
from banyan.features.stock import ITEM, Stock
from banyan.features.texts import Texts
from banyan.model import Network
from banyan.store.hints import hint
from banyan.store.schema import Source, Store
from banyan.store.shop import SampleTable
from banyan.store.sources import read
from banyan.store.times import microseconds
from banyan.types import Array

ROWS = 65_536  # rows turned into arrays together
USERS = 4_096  # users of one part of a file of recommendations
Moment = datetime | date | str | int


@dataclass(frozen=True)
class Bundle:
    """What `load` gives. It never changes: `with_entities` and `with_events` give another bundle that shares the weights, `on` one elsewhere."""

    network: Network
    store: Store
    stock: Stock  # one row more of each entity than there are ids: the strangers'
    facts: dict[str, Any]  # metrics, options, versions, notes, as they were saved
    vectors: Array | None  # (items, H) float32 item vectors, for an index; None without a ranking task
    now: int  # the first moment that sees every event: microseconds since 1970, or the events' order
    texts: Texts

    @classmethod
    def load(cls, path: str | Path, *, texts: Texts | None = None, lent: bool = False, device: str | torch.device | None = None) -> "Bundle":
        """The bundle in the folder `path`, every file checked by its hash.

        `texts` encodes frozen texts of new rows; the packaged encoder without a cache unless given. `lent` allows parts from outside.
        `device` is where it answers: the first GPU where there is one, else the CPU, unless given.
        Raises BundleError that names the file, ConfigError for a device that is not there.
        """
        place = named(device)
        network, store, stock, facts, vectors = loading.read(Path(path), lent=lent)
        texts = texts or Texts()
        texts.expect(network.plan.models)
        return cls(network.to(place), store, stock, facts, vectors, int(facts["now"]), texts)

    def on(self, device: str | torch.device | None = None) -> "Bundle":
        """The bundle that answers on another device, with a copy of the weights; itself where it is there already.

        `device` as in `load`. Raises ConfigError for one that is not there.
        """
        here, place = inference.device_of(self.network), named(device)
        if place.type == here.type and place.index in (None, here.index):
            return self
        return replace(self, network=copy.deepcopy(self.network).to(place))

    @property
    def plan(self) -> Plan:
        """What was fitted: vocabularies, layouts, targets."""
        return self.network.plan

    @property
    def served(self) -> list[str]:
        """The tasks that answer: all but the auxiliary ones."""
        return [name for name in self.network.views if not self.store.tasks[name].auxiliary]

    def expects(self, table: str) -> dict[str, str]:
        """Column -> what it holds: the columns that `predict` reads from rows of this table."""
        return self._reader.expects(table)

    def predict(
        self, table: str, frame: pl.DataFrame, *, tasks: Sequence[str] | None = None, as_of: Moment | None = None, where: str = "the rows",
        progress: files.Progress | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """The frame with the answers of a samples table's tasks beside its own columns.

        `frame` has the columns of the samples table without its labels (`expects` lists them). A row is seen from its own time; where the
        column is left out, from `as_of`, which is now unless given: after every event that the bundle knows. An id that the bundle does
        not know is that of a stranger; a feature that is known in training only is read at its stated value. Answers are float32 columns
        named `task.column`, such as `bought.cart`, in the task's own unit. `progress(done, of)` counts rows.

        Raises DataError that names `where`, the column and the row; ConfigError for an unknown table or task.
        """
        rows = self._reader.rows(table, frame, self._moment(as_of), where)
        chosen = self._tasks(table, tasks)
        found: dict[str, list[Array]] = {task: [] for task in chosen}
        for start in range(0, len(rows), ROWS):
            stop = min(start + ROWS, len(rows))
            feeder = self._feeder(part(rows, start, stop), self._moment(as_of))
            for task, answer in inference.predict(self.network, feeder, table, np.arange(stop - start), chosen).items():
                found[task].append(_finite(answer, task))
            if progress is not None:
                progress(stop, len(rows))
        return _beside(frame, {f"{task}.{c}": each for task in chosen for c, each in self._columns(task, found[task])}, where)

    def predict_file(
        self, table: str, rows: str | Path, out: str | Path, *, tasks: Sequence[str] | None = None, as_of: Moment | None = None,
        progress: files.Progress | None = None,
    ) -> Path:  # fmt: skip
        """`predict` for the rows of a file (Parquet, CSV, JSON lines) into a file, which appears when it is whole."""
        files.form(Path(out))
        frame = read(Source(path=str(rows)), Path(), plain=True)
        return files.write(self.predict(table, frame, tasks=tasks, as_of=as_of, where=str(rows), progress=progress), Path(out))

    def recommend(
        self, users: Users, k: int = 20, *, task: str | None = None, as_of: Moment | None = None, scenario: str | None = None,
        leave_out: Sequence[str] = (), only: Sequence[str] | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """The k best items of each user: a frame (user, rank from 1, item, score), users in the order given.

        `users` are ids, or "all" that the bundle knows; one that it does not know gets what a stranger gets. `task` is a ranking task, the
        first unless given. `leave_out`: behaviours, such as purchase, whose items the user is not offered again (as far back as the
        bundle's log goes). `only`: the items that may be offered. A user for whom fewer than k items are left gets fewer rows.

        Raises ConfigError for an unknown task, behaviour or scenario, DataError for an unknown item or a missing user id.
        """
        ask = self._asked(users, k, task, as_of, scenario, leave_out, only)
        frames = [self._best(ask, ask.users[a : a + USERS]) for a in range(0, len(ask.users), USERS)]
        return pl.concat(frames) if frames else recommending.ranked([], [], [], [])

    def recommend_to(
        self, path: str | Path, users: Users, k: int = 20, *, task: str | None = None, as_of: Moment | None = None, scenario: str | None = None,
        leave_out: Sequence[str] = (), only: Sequence[str] | None = None, block: int = USERS, progress: files.Progress | None = None,
    ) -> Path:  # fmt: skip
        """`recommend` into a file (.parquet, .csv, .jsonl) in blocks of users; a run that was killed goes on where it stopped.

        The file appears when it is whole. `progress(done, of)` counts blocks.
        """
        ask = self._asked(users, k, task, as_of, scenario, leave_out, only)
        blocks = max(1, -(-len(ask.users) // block))
        job = {"bundle": self._identity(), "ask": ask.digest(), "block": block}
        return files.resumable(Path(path), job, blocks, lambda i: self._best(ask, ask.users[i * block : (i + 1) * block]), progress)

    def with_entities(self, entity: str, frame: pl.DataFrame, where: str = "the rows") -> "Bundle":
        """A bundle that also knows the frame's rows of an entity: its id column and one column a feature, as the store describes them.

        New items are recommended by their features. Raises DataError for ids that are known already, and as `predict` does.
        """
        return self._with(grow.with_rows(self._reader, entity, frame, self.texts, where), self.now)

    def with_events(self, frame: pl.DataFrame, where: str = "the events") -> "Bundle":
        """A bundle that also knows the frame's events, whose columns are those of the store's own; ids that are new join their entities.

        Raises DataError for a missing column or value and for a behaviour that training did not see.
        """
        stock = grow.with_events(self._reader, frame, where)
        assert stock.log is not None
        return self._with(stock, max(self.now, int(stock.log.time.max()) + 1) if len(stock.log.time) else self.now)

    @property
    def _reader(self) -> Reader:
        return Reader(self.store, self.plan, self.stock, self.facts["since"])

    def _moment(self, as_of: Moment | None) -> int:
        if as_of is None:
            return self.now
        if self.plan.clock == "order":
            if not isinstance(as_of, int):
                raise ConfigError(f"as_of is {as_of!r}; this store's events have an order, so it is a whole number.")
            return as_of
        return int(microseconds(pl.Series("as_of", [as_of]), "as_of")[0])

    def _with(self, stock: Stock, now: int) -> "Bundle":
        vectors = self.vectors
        if vectors is not None and len(stock.ids[ITEM]) > len(vectors):
            fresh = inference.vectors(self.network, Feeder(Data(self.plan, stock, {})), first=len(vectors) + 1)[:-1]  # without the strangers'
            vectors = np.concatenate([vectors, fresh.cpu().numpy()])
        return replace(self, stock=stock, vectors=vectors, now=now)

    def _feeder(self, rows: SampleTable, now: int) -> Feeder:
        table = tabled(self.plan, self.stock, self.store, rows, self.texts, labelled=False, now=now)
        return Feeder(Data(self.plan, self.stock, {rows.name: table}))

    def _tasks(self, table: str, tasks: Sequence[str] | None) -> list[str]:
        here = [task for task in self._reader.known(table).tasks if task in self.network.views]
        chosen = [task for task in here if task in self.served and self._names(task)] if tasks is None else list(tasks)
        for task in chosen:
            if task not in here:
                raise ConfigError(f"{table!r} has no task {task!r}.{hint(task, here)}")
            if not self._names(task):
                raise ConfigError(f"The task {task!r} ranks items; ask `recommend` for its answers.")
        if not chosen:
            ranked = " Its ranking task answers through `recommend`." if any(not self._names(task) for task in here) else ""
            raise ConfigError(f"No task of {table!r} answers rows.{ranked}")
        return chosen

    def _names(self, task: str) -> list[str]:
        return list(self.network.task(task).columns())

    def _columns(self, task: str, found: list[Array]) -> Iterator[tuple[str, Array]]:
        names = self._names(task)
        answer = np.concatenate(found) if found else np.zeros((0, len(names)), np.float32)
        return zip(names, answer.T, strict=True)

    def _asked(
        self, users: Users, k: int, task: str | None, as_of: Moment | None, scenario: str | None, leave_out: Sequence[str], only: Sequence[str] | None
    ) -> Ask:
        ranking = [name for name in self.network.ranked if name in self.served]
        return recommending.asked(self._reader, ranking, users, k, task, self._moment(as_of), scenario, leave_out, only)

    def _best(self, ask: Ask, users: pl.Series) -> pl.DataFrame:
        rows = recommending.rows_of(self._reader, ask, users)
        return recommending.best(self._reader, self.network, self._feeder(rows, ask.moment), self._items, ask, users, rows)

    @cached_property
    def _items(self) -> Tensor:
        """The items' vectors where the network is, put there once."""
        assert self.vectors is not None
        return torch.from_numpy(self.vectors).to(inference.device_of(self.network))

    def _identity(self) -> str:
        """Tells bundles apart, and what joined them since."""
        ids, log = self.stock.ids, self.stock.log
        return f"{self.facts['digest']}/{self.now}/{[len(each) for each in ids.values()]}/{len(log.item) if log is not None else 0}"


def _finite(answer: Array, task: str) -> Array:
    if not np.isfinite(answer).all():
        raise BundleError(f"The task {task!r} gave an answer that is not finite; the bundle cannot answer. Train it again.")
    return answer


def _beside(frame: pl.DataFrame, answers: dict[str, Array], where: str) -> pl.DataFrame:
    if taken := [name for name in answers if name in frame.columns]:
        raise DataError(f"{where}: there is a column {taken[0]!r} already, where the answer would stand; rename it.")
    return frame.with_columns(pl.Series(name, np.ascontiguousarray(each), dtype=pl.Float32) for name, each in answers.items())

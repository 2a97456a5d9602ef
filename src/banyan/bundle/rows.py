"""A frame of the shop's, with a samples table's own columns -> rows without labels, ready to be answered. The same typing as in training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from banyan.errors import ConfigError, DataError
from banyan.features.plan import TIME, Plan, TablePlan
from banyan.features.stock import USER, Stock
from banyan.store import columns
from banyan.store.entities import lookup, newest
from banyan.store.hints import hint
from banyan.store.schema import Feature, Store
from banyan.store.shop import EntityFrame, SampleTable
from banyan.store.times import microseconds, order, refuse, text
from banyan.types import DROPPED, Array

NO_IDS: pl.DataFrame = pl.DataFrame()
GONE = "\0"  # begins what stands in the place of an id that was forgotten


@dataclass(frozen=True)
class Reader:
    """What it takes to read rows: the store's words, the plan, the stock with its last row of each entity kept for strangers."""

    store: Store
    plan: Plan
    stock: Stock
    since: int | None  # answers hold from this moment on; None: from any

    def rows(self, table: str, frame: pl.DataFrame, as_of: int, where: str) -> SampleTable:
        """The rows of `frame` as a samples table without labels.

        Raises DataError that names `where`, the column and the row; ConfigError for a table that the bundle does not know.
        """
        entities = self.known(table).entities
        time = self._time(table, frame, as_of, where)
        seen = np.full(frame.height, as_of, np.int64) if time is None else time
        named = {name: self._entity(table, name, frame, seen, where) for name in entities}
        users = named.get(USER)
        self._recent(seen, users, where)
        ones = np.ones(frame.height, np.float32)
        features: dict[str, object] = dict(self._features(table))
        return SampleTable(
            name=table,
            entities=named,
            time=time,
            scenario=self._scenario(table, frame, where),
            context=self._context(table, frame, where),
            labels=pl.DataFrame(),
            weight=ones,
            rate=ones,
            part=np.full(frame.height, DROPPED, np.int8),
            end=self._end(users, seen),
            exclude=np.full(frame.height, -1, np.int64),
            features=features,
        )

    def known(self, table: str) -> TablePlan:
        """The table's plan. Raises ConfigError for one that the bundle does not know."""
        if table not in self.plan.tables:
            raise ConfigError(f"The bundle has no samples table {table!r}.{hint(table, self.plan.tables)}")
        return self.plan.tables[table]

    def timed(self, table: str) -> bool:
        """Whether the table's rows have a time."""
        samples = self.store.samples[table]
        if samples.table is not None:
            return samples.time is not None
        return samples.recipe == "counts" or (samples.recipe != "attributes" and self.plan.clock != "none")

    def expects(self, table: str) -> dict[str, str]:
        """Column -> what it holds: the columns that rows of this table are read from."""
        found = {self._names(table, name)[0]: f"id of {name}" for name in self.known(table).entities}
        if self.timed(table):
            found[self._time_names(table)[0]] = "time (as of now where the column is left out)"
        if len(self.plan.scenarios) > 1:
            found[self._scenario_names(table)[0]] = "scenario (unknown where the column is left out)"
        return found | {f.column or key: f.kind for key, f in self._features(table).items() if f.training_only is None}

    def _features(self, table: str) -> Mapping[str, Feature]:
        return {key: self.plan.context.features[key] for key in self.known(table).context}

    def _names(self, table: str, entity: str) -> list[str]:
        return list(dict.fromkeys([self.store.samples[table].entities.get(entity, self.store.entities[entity].id), entity]))

    def _time_names(self, table: str) -> list[str]:
        events = self.store.events
        names = [self.store.samples[table].time, *([events.time or events.order] if events and self.store.samples[table].recipe else []), TIME]
        return list(dict.fromkeys(n for n in names if n))

    def _scenario_names(self, table: str) -> list[str]:
        events = self.store.events
        names = [self.store.samples[table].scenario, *([events.scenario] if events and self.store.samples[table].recipe else []), "scenario"]
        return list(dict.fromkeys(n for n in names if n))

    def _time(self, table: str, frame: pl.DataFrame, as_of: int, where: str) -> Array | None:
        if not self.timed(table):
            return None
        column = next((name for name in self._time_names(table) if name in frame.columns), None)
        if column is None:
            return np.full(frame.height, as_of, np.int64)
        at = f"{where}, column {column}"
        found = (order if self.plan.clock == "order" else microseconds)(frame[column], at)
        refuse(frame[column], at, found.is_null(), "every row needs a time; leave the column out to ask as of now")
        return found.to_numpy().astype(np.int64)

    def _entity(self, table: str, entity: str, frame: pl.DataFrame, time: Array, where: str) -> Array:
        names = self._names(table, entity)
        column = next((name for name in names if name in frame.columns), None)
        if column is None:
            raise DataError(f"{where}: there is no column {names[0]!r} with the ids of {entity}.{hint(names[0], frame.columns)}")
        return self.row_numbers(entity, columns.ids(frame[column], f"{where}, column {column}"), time)

    def row_numbers(self, entity: str, ids: pl.Series, time: Array | None = None) -> Array:
        """(n,) int32: row numbers of ids; that of the strangers for an id that the bundle does not know, 0 for none."""
        found = lookup(self._frame(entity), ids, time)
        found[(found == 0) & ids.is_not_null().to_numpy()] = len(self.stock.ids[entity]) + 1
        return found

    def _frame(self, entity: str) -> EntityFrame:
        return EntityFrame(entity, NO_IDS, self.stock.ids[entity], self.stock.since.get(entity))

    def of_events(self, users: Array) -> Array:
        """The row numbers under which the users' events lie: those of the newest rows of the same ids."""
        return self.newest(USER)[users] if USER in self.stock.since else users

    def newest(self, entity: str) -> Array:
        """(rows,) int32: for each row number that of the newest row of the same id; the strangers' is their own."""
        return np.append(newest(self._frame(entity)), len(self.stock.ids[entity]) + 1).astype(np.int32)

    def current(self, entity: str) -> Array:
        """(ids,) bool: which rows are the newest of their id."""
        return np.asarray(self.newest(entity)[1:-1] == np.arange(1, len(self.stock.ids[entity]) + 1))

    def _end(self, users: Array | None, time: Array) -> Array:
        if users is None or self.stock.log is None:
            return np.full(len(time), -1, np.int64)
        return np.where(users > 0, self.stock.log.before(self.of_events(users), time), -1)

    def _recent(self, time: Array, users: Array | None, where: str) -> None:
        if users is None or self.since is None or self.stock.log is None or not len(time) or time.min() >= self.since:
            return
        row = int(np.argmax(time < self.since))
        shown, edge = (text(int(t)) if self.plan.clock == "time" else str(t) for t in (time[row], self.since))
        raise DataError(
            f"{where}, row {row + 1}: its moment is {shown}, and the bundle holds whole pasts for moments from {edge} on only. "
            f"Ask for later moments, or save the bundle with an earlier `since`. Such rows: {int((time < self.since).sum())} of {len(time)}."
        )

    def _scenario(self, table: str, frame: pl.DataFrame, where: str) -> Array:
        column = next((name for name in self._scenario_names(table) if name in frame.columns), None)
        if column is None or len(self.plan.scenarios) == 1:
            return np.zeros(frame.height, np.int32)
        words = columns.words(frame[column], f"{where}, column {column}")
        names = list(self.plan.scenarios)
        return words.replace_strict(names, list(range(len(names))), default=0, return_dtype=pl.Int32).fill_null(0).to_numpy()

    def _context(self, table: str, frame: pl.DataFrame, where: str) -> pl.DataFrame:
        found = []
        for key, feature in self._features(table).items():
            column = feature.column or key
            if column in frame.columns:
                found.append(self.typed(frame[column], feature, self.plan.context.dense.get(key), f"{where}, column {column}").rename(key))
            elif feature.training_only is not None:
                found.append(nulls(feature, frame.height, key))
            else:
                raise DataError(f"{where}: there is no column {column!r}, a feature of the rows of {table}.{hint(column, frame.columns)}")
        return pl.DataFrame(found)

    @staticmethod
    def typed(column: pl.Series, feature: Feature, dense: tuple[str, int] | None, where: str) -> pl.Series:
        """The column as its kind promises; a vector has the length that training saw. Raises DataError."""
        if column.null_count() == len(column):
            return nulls(feature, len(column), column.name, dense[1] if dense else 1)
        found = columns.typed(column, feature, where)
        if feature.kind == "vector" and dense is not None and isinstance(found.dtype, pl.Array) and found.dtype.size != dense[1]:
            raise DataError(f"{where}: its vectors have {found.dtype.size} entries; those that were trained on had {dense[1]}.")
        return found


def nulls(feature: Feature, count: int, name: str, width: int = 1) -> pl.Series:
    """A column of a feature that is missing everywhere."""
    kinds = {"number": pl.Float64(), "time": pl.Int64(), "tags": pl.List(pl.String), "vector": pl.Array(pl.Float32, width), "image": pl.Binary()}
    return pl.Series(name, [None] * count, dtype=kinds.get(feature.kind, pl.String()))


def part(rows: SampleTable, start: int, stop: int) -> SampleTable:
    """The rows from `start` up to `stop`."""
    return replace(
        rows,
        entities={name: each[start:stop] for name, each in rows.entities.items()},
        time=None if rows.time is None else rows.time[start:stop],
        context=rows.context[start:stop],
        **{key: getattr(rows, key)[start:stop] for key in ("scenario", "weight", "rate", "part", "end", "exclude")},
    )

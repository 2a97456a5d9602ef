"""Asks the network about one user and many items: the row is read once, and only what an item changes is computed for each of them.

The row is made by the code that makes rows in training (`Feeder.step`); items' tokens are those of `Network.encode`, made ahead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import torch
from torch import Tensor

from banyan import inference
from banyan.about import Brought, Known
from banyan.bundle.rows import Reader
from banyan.features.build import situated, tabled
from banyan.features.columns import Values
from banyan.features.data import Data, TableData
from banyan.features.past_figures import paired
from banyan.features.plan import SCENARIO
from banyan.features.step import Feeder
from banyan.features.stock import ITEM, USER, Moment
from banyan.model import Encodings
from banyan.serving.ahead import Ahead, Asked
from banyan.serving.pasts import Ground, Past
from banyan.types import Array, Batch

OFTEN = 16  # questions in a row about one snapshot, after which popularity is counted ahead as of it


@dataclass(frozen=True)
class Template:
    """A row of a samples table that says nothing yet."""

    data: TableData
    own: Values  # its own context features, all missing
    timed: bool  # whether rows of the table have a time
    missing: tuple[str, ...]  # context columns that a question does not give


@dataclass(frozen=True)
class Question:
    """One user at one moment, read by the network."""

    past: Past
    moment: Moment  # of one row
    batches: Mapping[str, Batch]  # table -> its one row
    encoded: Encodings
    length: int  # things in the step's item block
    paired: bool = True  # whether what the past says of each item is read
    named: Mapping[str, int] = field(default_factory=dict)  # entity beside user and item -> the row of it that is asked about
    views: dict[str, Tensor] = field(default_factory=dict)  # ranking task -> its view, once it was asked for
    brought: dict[Asked, Brought] = field(default_factory=dict)  # what its rows bring to every item, once it was asked for
    known: Known = field(default_factory=dict)  # tokens that its rows have in common

    def but(self, batches: Mapping[str, Batch]) -> "Question":
        """The same with other rows."""
        return replace(self, batches=batches, views={}, brought={}, known={})


class Answering:
    """A bundle's network with what can be computed before anybody asks."""

    def __init__(self, ground: Ground, budget: int) -> None:
        """`budget`: most bytes of items' tokens that are made ahead."""
        self.ground, self.network = ground, ground.bundle.network
        self.plan = ground.bundle.plan
        self.device = inference.device_of(self.network)
        self.templates = {name: self._template(name) for name in self.plan.tables}
        self.whole = Feeder(Data(self.plan, ground.stock, {}))
        self.last = ground.spare.start  # the first of the rows that nobody knows: all of those are alike
        self.ahead = Ahead(self.network, self.whole, self.last, budget)
        self.pointwise = self._pointwise()
        self._asks: dict[int, int] = {}  # the snapshot asked about last -> how often in a row
        self._look_ahead(ground.bundle.now, OFTEN)
        self.vectors = self._vectors()
        self.kin = self._kin()
        self.together = self._together()
        self.rows = self._rows()
        for task in self.network.ranked:
            self.ahead.expect_alone(task, self._samples(task))
        self.ahead.expect({key: [view for task in tasks for view in self.network.own_views[task]] for key, tasks in self.together.items()})

    def _pointwise(self) -> tuple[str, ...]:
        """The tasks about a user and an item."""
        tables = {task: self.plan.tables[self._samples(task)] for task in self.ground.bundle.served}
        return tuple(task for task, table in tables.items() if set(table.entities) == {USER, ITEM} and not table.ranking)

    def _together(self) -> dict[Asked, list[str]]:
        """(Trunk, table) -> the pointwise tasks that it answers: those are asked about many items, and asking one asks all."""
        found: dict[Asked, list[str]] = {}
        for task in self.pointwise:
            found.setdefault(self._asked(task), []).append(task)
        return found

    def _asked(self, task: str) -> Asked:
        return self.network.trunk_of[task], self.kin[self._samples(task)]

    def _template(self, table: str) -> Template:
        bundle = self.ground.bundle
        reader = Reader(bundle.store, bundle.plan, bundle.stock, bundle.facts["since"])
        skipped = {*reader._time_names(table), *reader._scenario_names(table)}
        columns = [name for name in reader.expects(table) if name not in skipped]
        frame = pl.DataFrame({name: [None] for name in columns} if columns else {"\0": [None]})
        rows = reader.rows(table, frame, bundle.now, table)
        data = tabled(bundle.plan, bundle.stock, bundle.store, rows, bundle.texts, labelled=False, now=bundle.now)
        scenario = SCENARIO in bundle.plan.context.categories
        own = replace(data.context, ids=data.context.ids[:, 1:] if scenario else data.context.ids)
        given = [f.column or key for key, f in reader._features(table).items() if f.training_only is None]
        return Template(replace(data, pair=None), own, reader.timed(table), tuple(given))

    def _vectors(self) -> Tensor | None:
        """(rows, H) item vectors by row number, up to the first row that nobody knows."""
        known = self.ground.bundle.vectors
        if known is None:
            return None
        new = inference.vectors(self.network, self.whole, first=self.last)[:1]
        return torch.cat([torch.zeros_like(new), torch.from_numpy(known).to(self.device), new])

    def _kin(self) -> dict[str, str]:
        """Table -> the first table whose rows the network reads in the same way: one question answers for both."""
        found: dict[tuple[object, ...], str] = {}
        kin = {}
        for name, table in self.plan.tables.items():
            reads = tuple(frozenset(trunk.reads.get(name, ())) for trunk in self.network._each)
            template = self.templates[name]
            stated = template.data.answer is None
            alike = (frozenset(table.entities), tuple(table.context), table.past, table.pair, table.ranking, template.timed, reads, stated or name)
            kin[name] = found.setdefault(alike, name)
        return kin

    def _rows(self) -> dict[str, str]:
        """Table -> the first table whose row holds the same context and past: one is made for both."""
        found: dict[tuple[object, ...], str] = {}
        rows = {}
        for name, table in self.plan.tables.items():
            template = self.templates[name]
            others = frozenset(table.entities) - {ITEM}
            alike = (others, tuple(table.context), template.data.moment is None, template.timed, template.data.answer is None or name)
            rows[name] = found.setdefault(alike, name)
        return rows

    @torch.inference_mode()
    def question(
        self, past: Past, user: str, scenario: int, now: int, tables: Sequence[str], moment: Moment | None = None, named: Mapping[str, int] | None = None
    ) -> Question:
        """Read a user's row, once for all tables, without their items. `named`: rows of further entities in the past's stock, such as a query's."""
        self._look_ahead(now)
        moment = past.moment([user], now) if moment is None else moment
        chosen = list(dict.fromkeys(self.kin[table] for table in tables))
        named = named or {}
        data = {name: self._row(self.templates[name], past, user, moment, scenario, now, named) for name in dict.fromkeys(self.rows[table] for table in chosen)}
        feeder = Feeder(Data(self.plan, past.stock, data))
        step = feeder.step({name: np.zeros(1, np.int64) for name in data}, tasks=[], choose=False)
        step = step if self.device.type == "cpu" else step.to(self.device)
        encoded = self.network.encode(step, self.network.embeddings.leaf(step.distinct))
        length = step.entities[ITEM].rows if ITEM in step.entities else 0
        made = {batch.table: batch for batch in step.batches}
        return Question(past, moment, {name: self._named(made[self.rows[name]], name) for name in chosen}, encoded, length, named=named)

    def _named(self, batch: Batch, table: str) -> Batch:
        """The row of one table as that of another, which may name an item where that one does not."""
        if batch.table == table:
            return batch
        none = torch.zeros(1, dtype=torch.int64, device=self.device)
        return replace(batch, table=table, entities={name: batch.entities.get(name, none) for name in self.plan.tables[table].entities})

    def _look_ahead(self, now: int, asks: int = 1) -> None:
        """Count popularity as of a snapshot for all items once it is asked about often: one stray moment shall not cost a table."""
        snapshots = self.ground.stock.snapshots
        if snapshots is None or not snapshots.clocked or (at := now // snapshots.span) in snapshots.items.ahead:
            return
        self._asks = {at: self._asks.get(at, 0) + asks}
        if self._asks[at] >= OFTEN:
            snapshots.items.look_ahead(at, len(self.ground.stock.entities[ITEM]))

    def _row(self, template: Template, past: Past, user: str, moment: Moment, scenario: int, now: int, named: Mapping[str, int]) -> TableData:
        data = template.data
        entities = {name: np.full(1, named.get(name, 0), np.int32) for name in data.entities}
        if USER in entities:
            entities[USER] = np.array([past.row(user, now)], np.int32)
        code = np.array([scenario], np.int32)
        context = situated(self.plan, template.own, code, np.array([now], np.int64) if template.timed else None)
        return replace(data, entities=entities, scenario=code, context=context, moment=None if data.moment is None else moment)

    @torch.inference_mode()
    def answers(self, question: Question, tasks: Sequence[str], rows: Array) -> dict[str, Array]:
        """(K, columns) float32 answers of tasks about the question's user and K items, in each task's own unit, through its map.

        More tasks than those asked for may be answered, where it costs next to nothing.
        """
        found: dict[str, Array] = {}
        pairs: dict[str, Tensor | None] = {}
        slow: list[str] = []
        places = torch.arange(question.length, question.length + len(rows), device=self.device)
        for key in dict.fromkeys(self._asked(task) for task in tasks):
            mine = [task for task in tasks if self._asked(task) == key]
            if key not in self.ahead.abouts or not set(mine) <= set(self.together[key]):
                slow += mine
                continue
            table = key[1]
            if table not in pairs:
                pairs[table] = self._pair(question, table, rows)
            batch = question.batches[table].about(ITEM, places, pairs[table])
            if key not in question.brought:
                question.brought[key] = self.ahead.abouts[key].brought(question.batches[table], question.encoded[key[0]], question.known)
            views = self.ahead.abouts[key](question.brought[key], batch, self.ahead.things(key, rows))
            found |= self._read(batch, self.together[key], views)
        return found | (self._slowly(question, slow, rows, places) if slow else {})

    def _read(self, batch: Batch, tasks: Sequence[str], views: Tensor) -> dict[str, Array]:
        """What tasks answer from their views, (V, K, H) of all of them."""
        found, first = {}, 0
        for task in tasks:
            count = len(self.network.own_views[task])
            found[task] = self._answer(task, batch, views[first : first + count])
            first += count
        return found

    def _slowly(self, question: Question, tasks: Sequence[str], rows: Array, places: Tensor) -> dict[str, Array]:
        """`answers` by rows that are read whole."""
        encoded = question.encoded.beside(ITEM, self.ahead.items(rows)) if self.ahead.read else question.encoded
        table_of = {task: self.kin[self._samples(task)] for task in tasks}
        found: dict[str, Array] = {}
        for table in dict.fromkeys(table_of.values()):
            batch = question.batches[table].about(ITEM, places, self._pair(question, table, rows))
            found |= self._answered(batch, [task for task in tasks if table_of[task] == table], encoded)
        return found

    @torch.inference_mode()
    def alone(self, question: Question, tasks: Sequence[str]) -> dict[str, Array]:
        """(1, columns) answers of tasks whose rows name no item."""
        found: dict[str, Array] = {}
        for task in tasks:
            batch = question.batches[self.kin[self._samples(task)]]
            found |= self._answered(batch, [task], question.encoded)
        return found

    def _answered(self, batch: Batch, tasks: Sequence[str], encoded: Encodings) -> dict[str, Array]:
        return {task: self._answer(task, batch, views) for task, views in self.network.shared(batch, tasks, encoded)}

    def _answer(self, task: str, batch: Batch, views: Tensor) -> Array:
        answer = self.network.task(task).predict(self.network.raw(task, batch, views).float()).cpu().numpy()
        return self.network.calibrated(task, answer.reshape(len(answer), -1))

    def _pair(self, question: Question, table: str, rows: Array) -> Tensor | None:
        if not (question.paired and self.plan.tables[table].pair and self.plan.pair):
            return None
        stands = self.templates[table].data.moment is not None
        entities = {ITEM: rows, **{name: np.full(len(rows), row) for name, row in question.named.items()}}
        found = paired(question.past.stock, entities, question.moment if stands else None, len(rows), np.zeros(len(rows), np.int64))
        return torch.from_numpy(found).to(self.device)

    @torch.inference_mode()
    def query(self, question: Question, task: str) -> Array:
        """(H,) what an index is asked with for a ranking task."""
        found: Tensor = self.network.task(task).query(self._views(question, task))[0]
        return found.cpu().numpy()

    @torch.inference_mode()
    def scores(self, question: Question, task: str, rows: Array) -> Array:
        """(K,) scores of a ranking task for K distinct items, side scores in them."""
        assert self.vectors is not None
        vectors = self.vectors.index_select(0, torch.from_numpy(np.minimum(rows, self.last)).to(self.device))
        moment = question.moment if question.paired and self.templates[self._samples(task)].data.moment is not None else None
        return inference.compared(self.network.task(task), self._views(question, task), vectors, question.past.stock, moment, rows)[0].cpu().numpy()

    def _views(self, question: Question, task: str) -> Tensor:
        if task not in question.views:
            batch = question.batches[self.kin[self._samples(task)]]
            if task in self.ahead.alone:
                row, nothing = self.ahead.alone[task]
                question.views[task] = row(row.brought(batch, question.encoded[self.network.trunk_of[task]], question.known), batch, nothing)
            else:
                (_, question.views[task]) = next(self.network.shared(batch, [task], question.encoded))
        return question.views[task]

    def _samples(self, task: str) -> str:
        return self.ground.bundle.store.tasks[task].samples

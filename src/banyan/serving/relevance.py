"""What the network says of a query and items: a task whose rows name a query beside an item, asked about words that nobody typed before."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from banyan.bundle import arrays
from banyan.bundle.rows import nulls
from banyan.errors import ConfigError
from banyan.features import columns
from banyan.features.columns import Values
from banyan.features.stock import ITEM, USER
from banyan.serving.answering import Answering, Question
from banyan.serving.ids import Ids
from banyan.serving.visit import Visit, finite
from banyan.store.hints import hint
from banyan.types import Array

ROW = 1  # of the query in a stock of its own


class Relevance:
    """A bundle's task about queries and items; `task` is empty where it has none."""

    def __init__(self, answering: Answering, wanted: str = "") -> None:
        """`wanted`: the task; the first one of grades unless given, else the first. Raises ConfigError for a task that is none of them."""
        self.answering, self.bundle = answering, answering.ground.bundle
        self.of = self._tasks()
        if wanted and wanted not in self.of:
            raise ConfigError(f"The bundle has no task {wanted!r} about queries and items.{hint(wanted, self.of)}")
        graded = [task for task in self.of if self.bundle.store.tasks[task].kind == "graded"]
        self.task = wanted or next(iter([*graded, *self.of]), "")
        self.entity = self.of.get(self.task, "")
        known = self.bundle.stock.ids.get(self.entity)
        self.ids = Ids(known, self.bundle.stock.since.get(self.entity)) if known is not None else None
        for entity, _, title in self.bundle.plan.words:
            if entity == self.entity and title in self.bundle.plan.catalogues:
                self.bundle.stock.catalogue(title)  # made once, before anybody waits for it

    def _tasks(self) -> dict[str, str]:
        """Task -> the entity that is the query in its rows: neither user nor item, with a text."""
        found = {}
        for task in self.bundle.served:
            table = self.bundle.plan.tables[self.answering._samples(task)]
            others = [name for name in table.entities if name not in (USER, ITEM)]
            if ITEM in table.entities and not table.ranking and len(others) == 1 and self._texts(others[0]):
                found[task] = others[0]
        return found

    def _texts(self, entity: str) -> list[str]:
        return [key for key, feature in self.bundle.plan.entities[entity].features.items() if feature.kind == "text"]

    def question(self, visit: Visit, query: str) -> Question | None:
        """The query beside the user of a visit, read once for all items; None where there is no such task."""
        if not self.task:
            return None
        stock = visit.past.stock
        entities = {**stock.entities, self.entity: self._values(query)}
        past = replace(visit.past, stock=replace(stock, entities=entities, ids={**stock.ids, self.entity: np.array([query], object)}))
        table = self.answering._samples(self.task)
        return self.answering.question(past, visit.user, visit.scenario, visit.now, [table], visit.moment, named={self.entity: ROW})

    def _values(self, query: str) -> Values:
        """The missing query and this one: with all features where the shop lists it, else with its text alone."""
        plan = self.bundle.plan
        row = self.ids.row(query) if self.ids is not None else 0
        if row:
            return arrays.take(self.bundle.stock.entities[self.entity], np.array([0, row]))
        layout = plan.entities[self.entity]
        texts = self._texts(self.entity)
        frame = {
            key: pl.Series(key, [query], dtype=pl.String) if key in texts else nulls(feature, 1, key, layout.dense.get(key, ("", 1))[1])
            for key, feature in layout.features.items()
        }
        return columns.apply(layout, pl.DataFrame(frame), plan.books, self.bundle.texts, pl.Series([query], dtype=pl.String), blank=True)

    def answers(self, question: Question, rows: Array) -> Mapping[str, Array]:
        """`task.column` -> (K,) float64 answers about K items."""
        found = self.answering.answers(question, [self.task], rows)[self.task]
        names = self.answering.network.task(self.task).columns()
        return finite({f"{self.task}.{name}": each.astype(np.float64) for name, each in zip(names, found.T, strict=True)})

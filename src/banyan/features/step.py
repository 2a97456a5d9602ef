"""Assembles steps: rows of several tables in, a few contiguous arrays out. Work grows with the rows asked for and with nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan.features import blocks, past_figures, pasts
from banyan.features.columns import ID
from banyan.features.data import Data, TableData
from banyan.features.distinct import Asked, Gatherer, Scratch
from banyan.features.given import Given
from banyan.features.pairs import spans
from banyan.features.plan import BEHAVIOUR, SIGNAL, TablePlan
from banyan.features.sampling import Negatives
from banyan.features.stock import ITEM
from banyan.features.stretches import Draft as Stretched
from banyan.features.stretches import Drawer, Shelf, drafted
from banyan.features.things import Catalogue, Chooser, Chosen, chosen
from banyan.types import MISSING, TRAIN, Array, Batch, Block, Choice, Label, Past, Side, Step, Windows

FRESH = 0.5  # of the items that show no id in a step: those that also lose what others did with them, as an item has on its first day


class Feeder:
    """Makes steps from rows. One object serves training (with a generator), evaluation and answers (without)."""

    def __init__(self, data: Data, options: Mapping[str, Mapping[str, object]] | None = None, id_dropout: float = 0.0) -> None:
        """`options`: each ranking task's `sampling` and `negatives` (see `build.task_options`); a feeder without them draws no candidates."""
        self.data, self.plan, self.stock = data, data.plan, data.stock
        self.id_dropout = id_dropout
        self.rows = {name: Scratch(len(v)) for name, v in self.stock.entities.items()}
        ranked = {task: name for name, t in self.plan.tables.items() if t.ranking for task in t.tasks if task in (options or {})}
        self.negatives = {task: self._negatives(name, (options or {})[task]) for task, name in ranked.items()}
        self.bare = {task for task in ranked if (options or {})[task].get("blend") == "after"}  # train without side scores
        told = {"pair": self.plan.pair, "side": self.plan.side}  # columns that are 0 for an item which nobody has touched
        self.known = {key: np.flatnonzero([n.startswith(("item:", f"{ID}:", SIGNAL)) for n in names]) for key, names in told.items()}
        self.shelf = Shelf(data.stretches, len(self.stock.entities[ITEM])) if data.stretches is not None else None
        self.things = Catalogue(data.seen, self.stock.entities, self.plan.entities, self.plan.books)

    def _negatives(self, table: str, options: Mapping[str, Any]) -> Negatives:
        data = self.data.tables.get(table)
        counts = np.zeros(len(self.stock.entities[ITEM]))
        if data is not None and data.targets is not None:
            train = data.rows(TRAIN)
            at, _ = spans(data.targets[0][train], data.targets[0][train + 1])
            counts = np.bincount(data.targets[1][at], minlength=len(counts)).astype(float)
        known = self.data.known.get(ITEM)
        return Negatives(counts, sampling=options["sampling"], negatives=options["negatives"], known=known if known is not None and known.any() else None)

    def step(
        self,
        picks: Mapping[str, Array],
        rng: np.random.Generator | None = None,
        tasks: Sequence[str] | None = None,
        *,
        choose: bool = True,
        auxiliary: Mapping[str, Drawer | Chooser] | None = None,
        given: Mapping[str, Given] | None = None,
    ) -> Step:
        """A step over the rows picked from each table. With `rng` it is a training step: ids drop out, candidates are drawn.

        `tasks` limits which labels travel; with `choose=False` a ranking task gets no candidates. `auxiliary` tasks ask about training events or things.
        `given`: task -> labels that a model gave to rows without one.
        """
        gatherer = Gatherer()
        ask = Asked(self.stock.entities)
        drafts = [self._draft(self.data.tables[name], rows, rng, tasks, ask, choose, given or {}) for name, rows in picks.items()]
        asking, choosing = self._asking(auxiliary, ask, rng) if auxiliary and rng is not None else ({}, {})
        entities, found, fresh = {}, {}, np.zeros(0, bool)
        for name, asked in ask.rows.items():
            distinct, found[name] = self._distinct(name, np.concatenate(asked))
            hidden = self._hidden(name, distinct, rng)
            entities[name] = self._entity(name, distinct, gatherer, hidden)
            if name == ITEM and rng is not None and hidden is not None:
                fresh = hidden & (rng.random(len(hidden)) < FRESH)
        batches = [self._batch(draft, found, gatherer, rng is not None, fresh) for draft in drafts]
        stretches = {name: draft.stretch(found[ITEM], self.plan.books[BEHAVIOUR].offset, gatherer.add) for name, draft in asking.items()}
        things = {name: each.things(found) for name, each in choosing.items()}
        return Step(batches, entities, *gatherer.numbered(), stretches=stretches, things=things)

    def _asking(self, auxiliary: Mapping[str, Drawer | Chooser], ask: Asked, rng: np.random.Generator) -> tuple[dict[str, Stretched], dict[str, Chosen]]:
        """What auxiliary tasks ask about in a step: stretches of events, and things."""
        drawers = {name: each for name, each in auxiliary.items() if isinstance(each, Drawer)}
        choosers = {name: each for name, each in auxiliary.items() if isinstance(each, Chooser)}
        stretches = drafted(drawers, self.data.stretches, self.shelf, self.stock.length, partial(ask, ITEM), rng)
        return stretches, chosen(choosers, self.things, ask, rng)

    def silent(self, auxiliary: Mapping[str, Drawer | Chooser]) -> str | None:
        """Why an auxiliary task has nothing to ask about; None where all have."""
        drawers = [name for name, each in auxiliary.items() if isinstance(each, Drawer)]
        if drawers and not self.data.stretches:
            return f"auxiliary.{', '.join(drawers)}: no event lies before the end of training, so there is nothing to ask about. Look at `banyan check`."
        for name, each in auxiliary.items():
            if isinstance(each, Chooser) and (why := self.things.lacking(each)):
                return f"auxiliary.{name}: {why}"
        return None

    def catalogue(self, name: str, rows: Array) -> tuple[Step, Tensor]:
        """A step that holds only rows of one entity, and the place of each in its block."""
        gatherer = Gatherer()
        distinct, place = self._distinct(name, np.concatenate([np.zeros(1, np.int64), rows]))
        block = self._entity(name, distinct, gatherer, None)
        return Step([], {name: block}, *gatherer.numbered()), place[1:]

    def _distinct(self, name: str, rows: Array) -> tuple[Array, Tensor]:
        unique, inverse = self.rows[name].distinct(rows, MISSING)
        return unique, torch.from_numpy(inverse.astype(np.int64))

    def _draft(
        self,
        table: TableData,
        rows: Array,
        rng: np.random.Generator | None,
        tasks: Sequence[str] | None,
        ask: Asked,
        choose: bool,
        given: Mapping[str, Given],
    ) -> "Draft":
        draft = Draft(table, self.plan.tables[table.name], rows)
        for name, column in table.entities.items():
            draft.entities[name] = ask(name, column[rows])
        if table.moment is not None and self.plan.has_past:
            moment = table.moment.take(rows)
            if draft.plan.sequences and rng is not None:
                draft.windows = pasts.windows(self.stock, moment)
            else:
                draft.events = [pasts.events(self.stock, moment)]
            assert self.stock.narrowed is not None
            draws = draft.windows.parts if draft.windows else draft.events
            draft.past = [ask(ITEM, np.where(mask, self.stock.narrowed.item[events], MISSING)) for events, mask in draws]
        for task, labels in table.labels.items():
            value, seen = labels.value[rows], labels.seen[rows]
            if task in given:
                value, seen, draft.factors[task] = given[task].laid(rows, value, seen)
            if (tasks is None or task in tasks) and seen.any():
                if draft.plan.ranking and choose:
                    targets, owner = _targets(table, rows)
                    items, log_q = self.negatives[task].draw(targets, rng or np.random.default_rng(0))
                    draft.places[task] = _places(items, targets, owner, len(rows))
                    draft.choices[task] = (items, log_q, ask(ITEM, items))
                draft.labels[task] = value, seen, None if labels.maturity is None else labels.maturity[rows]
        return draft

    def _hidden(self, name: str, rows: Array, rng: np.random.Generator | None) -> Array | None:
        """(n,) bool: which things of a training step show no id; None where none hides."""
        if rng is None or not self.id_dropout or ID not in self.plan.entities[name].categories:
            return None
        return (rng.random(len(rows)) < self.id_dropout) & (rows > 0)

    def _entity(self, name: str, rows: Array, gatherer: Gatherer, hidden: Array | None) -> Block:
        values, layout = self.stock.entities[name], self.plan.entities[name]
        cells = blocks.Cells.of(values, rows)
        if hidden is not None:
            cells.ids[hidden, list(layout.categories).index(ID)] = self.plan.books[layout.categories[ID]].unseen
        return blocks.block(layout, values, rows, cells, gatherer)

    def _batch(self, draft: "Draft", found: Mapping[str, Tensor], gatherer: Gatherer, training: bool, fresh: Array) -> Batch:
        """`fresh` (items of the step,): those that pass for new ones, which nobody has touched; empty where none does."""
        table, rows = draft.table, draft.rows
        context = blocks.context(self.plan, table, rows, gatherer, training=training)
        labels = {
            task: _label(value, seen, draft.places.get(task), table.weight[rows] * draft.factors.get(task, 1.0), ripe)
            for task, (value, seen, ripe) in draft.labels.items()
        }
        choices = {
            task: Choice(
                found[ITEM][place],
                torch.from_numpy(log_q),
                None if training and task in self.bare else self._side(table, rows, items, fresh[found[ITEM][place]] if len(fresh) else fresh),
            )
            for task, (items, log_q, place) in draft.choices.items()
        }
        return Batch(
            table.name,
            len(rows),
            {name: found[name][place] for name, place in draft.entities.items()},
            torch.from_numpy(table.scenario[rows].astype(np.int64)),
            context,
            self._past(draft, found, gatherer),
            self._pair(table, rows, fresh[found[ITEM][draft.entities[ITEM]]] if len(fresh) and ITEM in draft.entities else fresh),
            labels,
            choices,
            rows,
        )

    def _pair(self, table: TableData, rows: Array, fresh: Array) -> Tensor | None:
        if table.pair is None:
            return None
        pair = table.pair[rows]
        if fresh.any():
            pair[np.ix_(fresh, self.known["pair"])] = 0.0
        return torch.from_numpy(pair)

    def _side(self, table: TableData, rows: Array, items: Array, fresh: Array) -> Side | None:
        if not self.plan.side or table.moment is None:
            return None
        side = past_figures.side(self.stock, table.moment.take(rows), items)
        return side.without(torch.from_numpy(fresh), self.known["side"].tolist()) if fresh.any() else side

    def _past(self, draft: "Draft", found: Mapping[str, Tensor], gatherer: Gatherer) -> Past | Windows | None:
        if not draft.past or draft.table.moment is None:
            return None
        seen, items = draft.table.moment.time[draft.rows], [found[ITEM][place] for place in draft.past]
        if draft.windows is not None:
            return pasts.shared(self.stock, draft.windows, seen, items, gatherer)
        return pasts.past(self.stock, draft.events[0], seen[:, None], items[0], gatherer)


@dataclass
class Draft:
    """A batch before the entities of the step are known: where its ids lie among those asked for."""

    table: TableData
    plan: TablePlan
    rows: Array
    entities: dict[str, slice] = field(default_factory=dict)
    labels: dict[str, tuple[Array, Array, Array | None]] = field(default_factory=dict)  # task -> value, seen, maturity
    choices: dict[str, tuple[Array, Array, slice]] = field(default_factory=dict)  # task -> items, log sampling probabilities, where the items lie
    places: dict[str, Array] = field(default_factory=dict)  # task -> places of each row's targets among the items
    past: list[slice] = field(default_factory=list)  # where the items of `events`, or of each part of `windows`, lie
    events: list[pasts.Events] = field(default_factory=list)
    windows: pasts.Draws | None = None
    factors: dict[str, Array] = field(default_factory=dict)  # task -> (B,) what its labels count for beside true ones; 1 unless given


def _label(value: Array, seen: Array, places: Array | None, weight: Array, ripe: Array | None) -> Label:
    present = tuple(np.asarray(seen.any(0)).tolist())
    return Label(
        torch.from_numpy(value if places is None else places),
        torch.from_numpy(seen),
        torch.from_numpy(weight),
        present,
        None if ripe is None else torch.from_numpy(ripe),
    )


def _places(items: Array, targets: Array, owner: Array, rows: int) -> Array:
    """(rows, T) int64 places of each row's targets among the candidates, -1 padded; `items` is sorted, `owner` rises."""
    counts = np.bincount(owner, minlength=rows)
    first = np.cumsum(counts) - counts
    found = np.full((rows, max(int(counts.max(initial=1)), 1)), -1, np.int64)
    place = np.minimum(np.searchsorted(items, targets), len(items) - 1)
    found[owner, np.arange(len(owner)) - first[owner]] = np.where(items[place] == targets, place, -1)
    return found


def _targets(table: TableData, rows: Array) -> tuple[Array, Array]:
    assert table.targets is not None
    offsets, items = table.targets
    at, owner = spans(offsets[rows], offsets[rows + 1])
    return items[at].astype(np.int64), owner

"""Assembles steps: rows of several tables in, a few contiguous arrays out. Work grows with the rows asked for and with nothing else."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan.features.build import Data, TableData
from banyan.features.columns import DAY, ID, Layout, Values
from banyan.features.given import Given
from banyan.features.pairs import spans
from banyan.features.plan import BEHAVIOUR, SCENARIO, TablePlan
from banyan.features.sampling import Negatives
from banyan.features.stock import ITEM, SIGNAL
from banyan.features.stretches import Drawer, Shelf, drafted
from banyan.features.vocabulary import FIRST
from banyan.types import MISSING, TRAIN, Array, Bag, Batch, Block, Choice, Label, Past, Side, Step, Windows

FRESH = 0.5  # of the items that show no id in a step: those that also lose what others did with them, as an item has on its first day


class Scratch:
    """Finds the distinct among many ids in time of their number, on an array made once."""

    def __init__(self, size: int) -> None:
        self.slot = np.zeros(size, np.int32)
        self.lock = threading.Lock()  # a thread may assemble training steps while another one evaluates

    def distinct(self, ids: Array, first: int | None = None) -> tuple[Array, Array]:
        """((U,) each id once, (n,) the place of each), in the order of the last occurrences; `first` is put in front."""
        with self.lock:
            order = np.arange(len(ids), dtype=np.int32)
            self.slot[ids] = order
            unique = ids[self.slot[ids] == order]
            if first is not None:
                place = int(np.flatnonzero(unique == first)[0])
                unique[place], unique[0] = unique[0], unique[place]
            self.slot[unique] = np.arange(len(unique), dtype=np.int32)
            return unique, self.slot[ids]


class Gatherer:
    """Collects the ids of a step as they come and says where each block of them begins."""

    def __init__(self) -> None:
        self.parts: list[Array] = []
        self.size = 0

    def add(self, ids: Array) -> int:
        """Add ids of any shape; returns the place of the first."""
        start = self.size
        self.parts.append(ids.reshape(-1))
        self.size += ids.size
        return start

    def numbered(self) -> tuple[Tensor, Tensor, Tensor, Tensor, list[int]]:
        """The last five of a `Step`: its distinct rows in rising order, each id's place among them, and how to sum by row. One radix sort."""
        flat = np.concatenate(self.parts) if self.parts else np.zeros(0, np.int32)
        ids, order = torch.sort(torch.from_numpy(flat), stable=True)
        first = np.ones(len(flat), bool)
        np.not_equal(ids[1:].numpy(), ids[:-1].numpy(), out=first[1:])
        starts = np.flatnonzero(first)
        inverse = np.empty(len(flat), np.int32)
        inverse[order.numpy()] = np.cumsum(first, dtype=np.int32) - 1
        return ids[torch.from_numpy(starts)].long(), torch.from_numpy(inverse), order, torch.from_numpy(starts), [p.size for p in self.parts]


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
        self.whole = {name: _whole(self.plan.context, own) for name, own in ((n, data.tables[n].context) for n in data.tables)}

    def _negatives(self, table: str, options: Mapping[str, Any]) -> Negatives:
        data = self.data.tables.get(table)
        counts = np.zeros(len(self.stock.entities[ITEM]))
        if data is not None and data.targets is not None:
            train = data.rows(TRAIN)
            at, _ = spans(data.targets[0][train], data.targets[0][train + 1])
            counts = np.bincount(data.targets[1][at], minlength=len(counts)).astype(float)
        return Negatives(counts, sampling=options["sampling"], negatives=options["negatives"])

    def step(
        self,
        picks: Mapping[str, Array],
        rng: np.random.Generator | None = None,
        tasks: Sequence[str] | None = None,
        *,
        choose: bool = True,
        auxiliary: Mapping[str, Drawer] | None = None,
        given: Mapping[str, Given] | None = None,
    ) -> Step:
        """A step over the rows picked from each table. With `rng` it is a training step: ids drop out, candidates are drawn.

        `tasks` limits which labels travel; with `choose=False` a ranking task gets no candidates. `auxiliary` tasks ask for stretches of training events.
        `given`: task -> labels that a model gave to rows without one.
        """
        gatherer = Gatherer()
        wanted: dict[str, list[Array]] = {name: [np.zeros(1, np.int64)] for name in self.stock.entities}
        places: dict[str, int] = dict.fromkeys(wanted, 1)
        drafts = []
        for name, rows in picks.items():
            drafts.append(self._draft(self.data.tables[name], rows, rng, tasks, wanted, places, choose, given or {}))
        asked_items = partial(_asked, wanted, places, ITEM)
        asking = drafted(auxiliary, self.data.stretches, self.shelf, self.stock.length, asked_items, rng) if auxiliary and rng is not None else {}
        entities, found, fresh = {}, {}, np.zeros(0, bool)
        for name, asked in wanted.items():
            distinct, found[name] = self._distinct(name, np.concatenate(asked))
            hidden = self._hidden(name, distinct, rng)
            entities[name] = self._entity(name, distinct, gatherer, hidden)
            if name == ITEM and rng is not None and hidden is not None:
                fresh = hidden & (rng.random(len(hidden)) < FRESH)
        batches = [self._batch(draft, found, gatherer, rng is not None, fresh) for draft in drafts]
        stretches = {name: draft.stretch(found[ITEM], self.plan.books[BEHAVIOUR].offset, gatherer.add) for name, draft in asking.items()}
        return Step(batches, entities, *gatherer.numbered(), stretches=stretches)

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
        wanted: dict[str, list[Array]],
        places: dict[str, int],
        choose: bool,
        given: Mapping[str, Given],
    ) -> "Draft":
        draft = Draft(table, self.plan.tables[table.name], rows, {}, {}, {}, {})
        ask = partial(_asked, wanted, places)
        for name, column in table.entities.items():
            draft.entities[name] = ask(name, column[rows])
        if table.moment is not None and self.plan.has_past:
            if draft.plan.sequences and rng is not None:
                draft.windows = self._windows(table, rows)
            else:
                draft.events = [self._events(table, rows)]
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

    def _events(self, table: TableData, rows: Array) -> tuple[Array, Array]:
        """((B, L) positions in the narrowed log, (B, L) which are events), newest last."""
        assert table.moment is not None
        assert self.stock.narrowed is not None
        moment = table.moment.take(rows)
        end = moment.end if self.stock.places is None else self.stock.places[moment.end]
        start = self.stock.narrowed.start[moment.user]
        length = int(min(self.stock.length, np.max(end - start, initial=1)))
        at = end[:, None] - np.arange(max(length, 1), 0, -1)
        mask = at >= start[:, None]
        mask &= at != self._excluded(moment.exclude)[:, None]
        return np.where(mask, at, 0), mask

    def _windows(self, table: TableData, rows: Array) -> "Draws":
        """Windows over the events of the rows' users.

        A user's windows begin every L / 2 events, so that no row reads more than L events, and none fewer than half of those it would read alone.
        """
        assert table.moment is not None
        assert self.stock.narrowed is not None
        moment, longest = table.moment.take(rows), self.stock.length
        end = moment.end if self.stock.places is None else self.stock.places[moment.end]
        begin = self.stock.narrowed.start[moment.user]
        number = np.maximum(-(-(end - begin - longest) // max(longest // 2, 1)), 0)
        first = begin + number * max(longest // 2, 1)
        window, of = np.unique(first * (int(moment.user.max(initial=0)) + 1) + moment.user, return_inverse=True)
        of = of.reshape(-1)
        stop, start = np.zeros(len(window), np.int64), np.zeros(len(window), np.int64)
        np.maximum.at(stop, of, end)
        start[of] = first
        return Draws.of(start, stop, of, end)

    def _excluded(self, exclude: Array) -> Array:
        """Positions in the narrowed log of positions in the log; -1 where the narrowed one does not hold that event."""
        places = self.stock.places
        if places is None:
            return exclude
        there = (exclude >= 0) & (places[exclude + 1] > places[exclude])
        return np.where(there, places[exclude], -1)

    def _hidden(self, name: str, rows: Array, rng: np.random.Generator | None) -> Array | None:
        """(n,) bool: which things of a training step show no id; None where none hides."""
        if rng is None or not self.id_dropout or ID not in self.plan.entities[name].categories:
            return None
        return (rng.random(len(rows)) < self.id_dropout) & (rows > 0)

    def _entity(self, name: str, rows: Array, gatherer: Gatherer, hidden: Array | None) -> Block:
        values, layout = self.stock.entities[name], self.plan.entities[name]
        ids = values.ids[rows]
        if hidden is not None:
            ids[hidden, list(layout.categories).index(ID)] = self.plan.books[layout.categories[ID]].unseen
        return _block(layout, values, rows, ids, values.numbers[rows], values.known[rows], values.bins[rows], gatherer)

    def _context(self, table: TableData, rows: Array, gatherer: Gatherer, training: bool) -> Block:
        layout, own = self.plan.context, table.context
        ids, numbers, known, bins = own.ids[rows], own.numbers[rows], own.known[rows], own.bins[rows]
        if table.answer is not None and not training:
            ids, numbers, known, bins = _stated(layout, table, ids, numbers, known, bins)
        if not self.whole[table.name]:
            ids, numbers, known, bins = self._widened(table, ids, numbers, known, bins)
        return _block(layout, own, rows, ids, numbers, known, bins, gatherer)

    def _widened(self, table: TableData, ids: Array, numbers: Array, known: Array, bins: Array) -> tuple[Array, Array, Array, Array]:
        layout, plan = self.plan.context, self.plan
        mine = table.own
        blank = np.array([plan.books[b].missing for b in layout.categories.values()], np.int32)
        wide = np.repeat(blank[None], len(ids), 0)
        wide[:, [i for i, key in enumerate(layout.categories) if key in mine or key == SCENARIO]] = ids
        columns = [i for i, n in enumerate(layout.numbers) if n.name in mine]
        all_numbers = np.zeros((len(ids), len(layout.numbers)), np.float32)
        all_known = np.zeros((len(ids), len(layout.numbers)), bool)
        all_numbers[:, columns], all_known[:, columns] = numbers, known
        binned = [n for n in layout.numbers if n.edges]
        all_bins = np.repeat(np.array([n.offset for n in binned], np.int32)[None], len(ids), 0)
        all_bins[:, [i for i, n in enumerate(binned) if n.name in mine]] = bins
        return wide, all_numbers, all_known, all_bins

    def _batch(self, draft: "Draft", found: Mapping[str, Tensor], gatherer: Gatherer, training: bool, fresh: Array) -> Batch:
        """`fresh` (items of the step,): those that pass for new ones, which nobody has touched; empty where none does."""
        table, rows = draft.table, draft.rows
        context = self._context(table, rows, gatherer, training)
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
        side = self.stock.side(table.moment.take(rows), items)
        return side.without(torch.from_numpy(fresh), self.known["side"].tolist()) if fresh.any() else side

    def _past(self, draft: "Draft", found: Mapping[str, Tensor], gatherer: Gatherer) -> Past | Windows | None:
        if not draft.past or self.stock.narrowed is None:
            return None
        log, moment = self.stock.narrowed, draft.table.moment
        assert moment is not None
        seen = moment.time[draft.rows]
        if draft.windows is None:
            ((events, mask),) = draft.events
            return self._read(events, mask, seen[:, None], found[ITEM][draft.past[0]], gatherer)
        drawn = draft.windows
        parts = [
            self._read(events, mask, log.time[events[:, -1:]], found[ITEM][place], gatherer)
            for (events, mask), place in zip(drawn.parts, draft.past, strict=True)
        ]
        at = torch.from_numpy(drawn.at)
        items = torch.cat([part.items.flatten() for part in parts])[at.clamp(min=0)]
        days = np.where(drawn.newest >= 0, seen - log.time[drawn.newest], 0) / DAY if log.clock == "time" else np.zeros(len(seen))
        gaps = torch.from_numpy(np.log1p(np.maximum(days, 0)).astype(np.float32))
        return Windows(parts, at, torch.where(at >= 0, items, 0), gaps)

    def _read(self, events: Array, mask: Array, seen: Array, items: Tensor, gatherer: Gatherer) -> Past:
        """Events (n, L) of the narrowed log, as seen from (n, 1) moments."""
        log = self.stock.narrowed
        assert log is not None
        behaviour = np.where(mask, log.behaviour[events].astype(np.int32) + FIRST, 0) + self.plan.books[BEHAVIOUR].offset
        gaps = np.zeros(mask.shape, np.float32)
        if log.clock == "time":
            gaps = np.where(mask, np.log1p(np.maximum((seen - log.time[events]) / DAY, 0)), 0).astype(np.float32)
        return Past(items.view(mask.shape), gatherer.add(behaviour.astype(np.int32)), torch.from_numpy(gaps), torch.from_numpy(mask))


@dataclass
class Draws:
    """Which events the windows of a table's rows hold."""

    parts: list[tuple[Array, Array]]  # ((W, L) positions in the narrowed log, (W, L) which are events), those of about one length together
    at: Array  # (B,) each row's newest event among the events of all parts, flat; -1 without events
    newest: Array  # (B,) its position in the narrowed log; -1

    @classmethod
    def of(cls, start: Array, stop: Array, window: Array, end: Array) -> "Draws":
        """Windows (W,) from `start` up to `stop`; each row (B,) stands in `window` and its past ends at `end`."""
        length = np.maximum(stop - start, 1)
        bucket = np.ceil(np.log2(length)).astype(np.int64)
        parts, first, wide, place = [], np.zeros(len(length), np.int64), np.ones(len(length), np.int64), 0
        for each in np.unique(bucket):
            mine = np.flatnonzero(bucket == each)
            longest = int(length[mine].max())
            at = stop[mine][:, None] - np.arange(longest, 0, -1)
            mask = at >= start[mine][:, None]
            parts.append((np.where(mask, at, 0), mask))
            first[mine], wide[mine] = place + np.arange(len(mine)) * longest, longest
            place += len(mine) * longest
        known = end > start[window]
        return cls(parts, np.where(known, first[window] + wide[window] - 1 - (stop[window] - end), -1), np.where(known, end - 1, -1))


class Draft:
    """A batch before the entities of the step are known: where its ids lie among those asked for."""

    def __init__(
        self,
        table: TableData,
        plan: TablePlan,
        rows: Array,
        entities: dict[str, slice],
        labels: dict[str, tuple[Array, Array, Array | None]],
        choices: dict[str, tuple[Array, Array, slice]],
        places: dict[str, Array],
    ) -> None:
        self.table, self.plan, self.rows = table, plan, rows
        self.entities, self.labels, self.choices, self.places = entities, labels, choices, places
        self.past: list[slice] = []
        self.events: list[tuple[Array, Array]] = []
        self.windows: Draws | None = None
        self.factors: dict[str, Array] = {}  # task -> (B,) what its labels count for beside true ones; 1 unless given


def _asked(wanted: dict[str, list[Array]], places: dict[str, int], name: str, ids: Array) -> slice:
    """Ask for rows of an entity; where they lie among all that a step asks for."""
    wanted[name].append(ids.reshape(-1).astype(np.int64))
    places[name] += ids.size
    return slice(places[name] - ids.size, places[name])


def _whole(layout: Layout, own: Values) -> bool:
    return bool(own.ids.shape[1] == len(layout.categories) and own.numbers.shape[1] == len(layout.numbers))


def _stated(layout: Layout, table: TableData, ids: Array, numbers: Array, known: Array, bins: Array) -> tuple[Array, Array, Array, Array]:
    answer = table.answer
    assert answer is not None
    stated = [key for key, f in layout.features.items() if f.training_only is not None]
    own = [key for key in layout.categories if key == SCENARIO or key in table.own]
    ids[:, [i for i, key in enumerate(own) if key in stated]] = answer.ids
    mine = [n for n in layout.numbers if n.name in table.own]
    columns = [i for i, n in enumerate(mine) if n.name in stated]
    numbers[:, columns], known[:, columns] = answer.numbers, answer.known
    bins[:, [i for i, n in enumerate(n for n in mine if n.edges) if n.name in stated]] = answer.bins
    return ids, numbers, known, bins


def _block(layout: Layout, values: Values, rows: Array, ids: Array, numbers: Array, known: Array, bins: Array, gatherer: Gatherer) -> Block:
    block = Block(len(rows), gatherer.add(ids), torch.from_numpy(numbers), torch.from_numpy(known))
    if bins.shape[1]:
        binned = np.array([bool(n.edges) for n in layout.numbers])
        block.bags["numbers"] = Bag(gatherer.add(bins), torch.from_numpy(np.ascontiguousarray(known[:, binned])))
    for key in (*layout.tags, *layout.texts):
        block.bags[key] = _bag(values.bags.get(key), rows, gatherer)
    for key, (_, width) in layout.dense.items():
        found = values.dense.get(key)
        block.dense[key] = torch.zeros(len(rows), width) if found is None else torch.from_numpy(found[rows]).float()
    return block


def _bag(bag: tuple[Array, Array] | None, rows: Array, gatherer: Gatherer) -> Bag:
    if bag is None or not len(bag[1]):
        return Bag(gatherer.add(np.zeros((len(rows), 1), np.int32)), torch.zeros(len(rows), 1, dtype=torch.bool))
    offsets, values = bag
    counts = offsets[rows + 1] - offsets[rows]
    place = np.arange(max(int(counts.max(initial=1)), 1))
    mask = place < counts[:, None]
    ids = values[np.where(mask, offsets[rows][:, None] + place, 0)]
    return Bag(gatherer.add(np.where(mask, ids, 0).astype(np.int32)), torch.from_numpy(mask))


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

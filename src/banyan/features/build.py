"""From a shop to arrays: turns entities, log and samples into what steps are made of, as the plan that was fitted says."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl

from banyan import parts
from banyan.features import collaborative, columns, labels, lessons, lexis, pairs, past_figures, times
from banyan.features.columns import Values
from banyan.features.data import Data, TableData
from banyan.features.fit import fit
from banyan.features.plan import SCENARIO, TIME, Plan
from banyan.features.seen import training_counts, training_events
from banyan.features.statistics import Snapshots
from banyan.features.stock import ITEM, USER, Moment, Stock
from banyan.features.stretches import Stretches
from banyan.features.texts import Texts
from banyan.features.vocabulary import FIRST
from banyan.store.samples.counts import forecasts
from banyan.store.schema import Feature, Store, duration
from banyan.store.shop import SampleTable, Shop
from banyan.types import TRAIN, Array


@runtime_checkable
class Origin(Protocol):
    """What a plan takes over from a model that was trained before."""

    def adapt(self, plan: Plan, shop: Shop) -> None:
        """Let a fitted plan know what the other knows, and number its rows anew."""

    def edges(self, plan: Plan) -> list[list[float]]:
        """The edges of the pair features' pieces."""


def build(shop: Shop, texts: Texts | None = None, origin: Origin | None = None) -> Data:
    """Fit on the training rows of a shop, and on what `origin` knows, and turn all of it into arrays."""
    texts = texts or Texts()
    plan = fit(shop, texts)
    if origin is not None:
        origin.adapt(plan, shop)
    stock = stocked(plan, shop, texts)
    now = shop.cut[0] if shop.cut is not None else None
    tables = {name: tabled(plan, stock, shop.store, table, texts, now=now) for name, table in shop.samples.items()}
    lessons.learn(plan, stock, tables)
    plan.pair_edges = pairs.edges([table.pair[table.part == TRAIN] for table in tables.values() if table.pair is not None], len(plan.pair))
    if origin is not None:
        plan.pair_edges = origin.edges(plan)
    known = {name: _known(name, stock, shop) for name in (USER, ITEM) if name in shop.entities}
    return Data(plan, stock, tables, known, _stretches(stock, shop) if shop.store.auxiliary else None, _seen(shop))


def _stretches(stock: Stock, shop: Shop) -> Stretches | None:
    """The training events of the behaviours that histories hold."""
    if stock.narrowed is None:
        return None
    usable = training_events(shop)
    return Stretches.of(stock.narrowed, usable if stock.places is None else usable[np.diff(stock.places) > 0])


def _seen(shop: Shop) -> dict[str, Array]:
    """Entity -> (n,) row numbers that training events and rows name: those on which vocabularies are fitted. All, where they name none."""
    found = {}
    for name in {str(each.options["entity"]) for each in shop.store.auxiliary.values() if "entity" in each.options}:
        named = np.flatnonzero(training_counts(name, len(shop.entities[name]), shop))
        found[name] = named if len(named) else np.arange(1, len(shop.entities[name]))
    return found


def _known(name: str, stock: Stock, shop: Shop) -> Array:
    """(rows,) whether training named the thing, by whichever of its states."""
    counts, current = training_counts(name, len(shop.entities[name]), shop), stock.current(name)
    return np.asarray(np.bincount(current, counts, minlength=len(current))[current] > 0)


def stocked(plan: Plan, shop: Shop, texts: Texts) -> Stock:
    """The entities and the log of a shop, as the plan has it."""
    values = {
        name: columns.apply(plan.entities[name], f.frame, plan.books, texts, pl.Series(f.ids, dtype=pl.String), blank=True) for name, f in shop.entities.items()
    }
    model = shop.store.model
    stock = Stock(plan, values, {name: f.ids for name, f in shop.entities.items()}, shop.log, length=model.length, pair_last=model.pair_last)
    stock.since = {name: f.valid_from for name, f in shop.entities.items() if f.valid_from is not None}
    stock.lexis = lexis.fit(shop, plan.entities)
    if shop.log is not None:
        stock.narrow(model.behaviours)
        if any(n.startswith("item:") for n in plan.side):
            log = replace(shop.log, item=stock.current(ITEM)[shop.log.item])
            stock.snapshots = Snapshots(log, duration(model.snapshot), training_events(shop))
        if plan.signals:
            told = columns.terms(values[ITEM], plan.entities[ITEM], plan.books)
            stock.signals = collaborative.fit(model.signals, model.signal_fits, shop.log, stock.current(ITEM), training_events(shop), told)
    return stock


def tabled(plan: Plan, stock: Stock, store: Store, table: SampleTable, texts: Texts, *, labelled: bool = True, now: int | None = None) -> TableData:
    """One samples table as arrays. Without `labelled`, its tasks' labels are not read (rows to be answered).

    Rows without a time are seen from `now`, the moment at which their events end; from after the log's last event unless given.
    """
    name, own = table.name, plan.tables[table.name]
    frame = table.context
    layout = plan.context.only(own.context)
    context = situated(plan, columns.apply(layout, frame, plan.books, texts) if layout.tokens else _nothing(len(table)), table.scenario, table.time)
    moment = _moment(stock, table, now)
    pair = past_figures.paired(stock, table.entities, moment, len(table)) if own.pair and plan.pair else None
    weight = table.weight / table.rate
    train = weight[table.part == TRAIN]
    weight = weight / (train.mean() if len(train) and train.mean() > 0 else 1.0)
    answer, weight = _at_answer(layout, plan, texts), weight.astype(np.float32)
    found = TableData(name, table.entities, table.scenario, table.part, weight, context, answer, own.context, moment, pair, {}, table.targets)
    if labelled:
        if store.samples[name].recipe == "counts":  # as they are: the network's own inputs end where training did
            found.forecasts = {key: frame[key].cast(pl.Float32).fill_null(np.nan).to_numpy() for key in forecasts(own.context)}
        found.labels = {task: labels.read(task, store.tasks[task], table, plan.targets[task])[0] for task in own.tasks}
    return found


def situated(plan: Plan, own: Values, scenario: Array, time: Array | None) -> Values:
    """Context features (n rows) beside the scenario (n,) codes and, where rows have one, the time (n,) that every row has."""
    ids, dense = own.ids, own.dense
    if SCENARIO in plan.context.categories:
        rows = np.where(scenario > 0, scenario + FIRST - 1, 0).astype(np.int32) + plan.books[SCENARIO].offset
        ids = np.concatenate([rows[:, None].astype(np.int32), ids], 1)
    if TIME in plan.context.dense and time is not None:
        dense = {**dense, TIME: times.time_parts(time, season=plan.context.seasons[TIME])}
    return replace(own, ids=ids, dense=dense)


def _nothing(rows: int) -> Values:
    return Values(np.zeros((rows, 0), np.int32), np.zeros((rows, 0), np.float32), np.zeros((rows, 0), bool), np.zeros((rows, 0), np.int32), {}, {})


def _moment(stock: Stock, table: SampleTable, now: int | None) -> Moment | None:
    if stock.log is None or USER not in table.entities:
        return None
    if now is None or stock.log.clock == "none":
        now = int(stock.log.time.max()) + 1 if len(stock.log.time) else 0
    time = table.time if table.time is not None else np.full(len(table), now, np.int64)
    user = stock.current(USER)[table.entities[USER]]
    return Moment(user, np.maximum(table.end, 0), time, table.exclude, table.part == TRAIN)


def _at_answer(layout: columns.Layout, plan: Plan, texts: Texts) -> Values | None:
    """What training-only features read at answer time: one row, or None when there is no such feature."""
    stated: Mapping[str, Feature] = {key: f for key, f in layout.features.items() if f.training_only is not None}
    if not stated:
        return None
    only = layout.only(list(stated))
    frame = pl.DataFrame({key: [f.training_only] for key, f in stated.items()})
    return columns.apply(only, frame, plan.books, texts)


def task_options(store: Store, task: str) -> dict[str, object]:
    """A task's options with the defaults of its part filled in."""
    known = parts.options("tasks", store.tasks[task].kind)
    return {**{key: p.default for key, p in known.items()}, **store.tasks[task].options}

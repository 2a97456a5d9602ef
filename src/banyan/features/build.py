"""From a shop to arrays: fits the plan on training rows, then turns entities, log and samples into what steps are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import polars as pl

from banyan import parts
from banyan.errors import ConfigError
from banyan.features import anchors, collaborative, columns, labels, pairs, past_figures, vocabulary, word_match, word_pairs, words
from banyan.features.columns import ID, Texts, Values
from banyan.features.labels import Labels
from banyan.features.pairs import FIGURES
from banyan.features.plan import BEHAVIOUR, NEAR, SCENARIO, SIGNAL, TIME, Plan, TablePlan, readers
from banyan.features.statistics import Snapshots
from banyan.features.stock import ITEM, USER, Moment, Stock
from banyan.features.stretches import Stretches
from banyan.features.vocabulary import FIRST, Vocabulary
from banyan.store.samples.counts import forecasts
from banyan.store.schema import TUNED, Feature, Store, duration
from banyan.store.shop import EntityFrame, EventLog, SampleTable, Shop
from banyan.types import MISSING, TRAIN, Array


@dataclass
class TableData:
    """The rows of one samples table as arrays, all of length n."""

    name: str
    entities: dict[str, Array]  # int32 row numbers
    scenario: Array  # int32 codes
    part: Array  # int8
    weight: Array  # float32: the shop's weight divided by the sampling rate, mean 1 over training rows
    context: Values  # own context features only
    answer: Values | None  # one row: what training-only features are at answer time
    own: list[str]  # names of its context features
    moment: Moment | None  # None without a log or users
    pair: Array | None  # (n, P)
    labels: dict[str, Labels] = field(default_factory=dict)  # task -> labels
    targets: tuple[Array, Array] | None = None
    forecasts: dict[str, Array] = field(default_factory=dict)  # counts: inputs that forecast by themselves, in units sold, nan where missing

    def __len__(self) -> int:
        return len(self.part)

    def rows(self, part: int) -> Array:
        """Row numbers of a part of the split."""
        return np.flatnonzero(self.part == part)


@dataclass
class Data:
    """Everything that training and evaluation read."""

    plan: Plan
    stock: Stock
    tables: dict[str, TableData]
    known: dict[str, Array] = field(default_factory=dict)  # user, item -> (rows,) bool: which were there in training; empty where nobody can tell
    stretches: Stretches | None = None  # training events by themselves, where the store has auxiliary tasks


def build(shop: Shop, texts: Texts | None = None) -> Data:
    """Fit on the training rows of a shop and turn all of it into arrays."""
    texts = texts or Texts()
    plan = fit(shop, texts)
    stock = stocked(plan, shop, texts)
    now = shop.cut[0] if shop.cut is not None else None
    tables = {name: tabled(plan, stock, shop.store, table, texts, now=now) for name, table in shop.samples.items()}
    plan.pair_edges = pairs.edges([table.pair[table.part == TRAIN] for table in tables.values() if table.pair is not None], len(plan.pair))
    known = {name: _known(name, stock, shop) for name in (USER, ITEM) if name in shop.entities}
    return Data(plan, stock, tables, known, _stretches(stock, shop) if shop.store.auxiliary else None)


def _stretches(stock: Stock, shop: Shop) -> Stretches | None:
    """The training events of the behaviours that histories hold."""
    if stock.narrowed is None:
        return None
    usable = training_events(shop)
    return Stretches.of(stock.narrowed, usable if stock.places is None else usable[np.diff(stock.places) > 0])


def _known(name: str, stock: Stock, shop: Shop) -> Array:
    """(rows,) whether training named the thing, by whichever of its states."""
    counts, current = training_counts(name, len(shop.entities[name]), shop), stock.current(name)
    return np.asarray(np.bincount(current, counts, minlength=len(current))[current] > 0)


def fit(shop: Shop, texts: Texts) -> Plan:
    """Vocabularies, scales, targets: from training rows and nothing else."""
    log = shop.log
    plan = Plan(scenarios=shop.scenarios, behaviours=log.behaviours if log else (), clock=log.clock if log else "none")
    for name, table in shop.samples.items():
        plan.tables[name] = _table_plan(shop.store, name, table, log)
    reads = readers({name: table for name, table in plan.tables.items() if table.tasks}, shop.store.model.width)
    for name, frame in shop.entities.items():
        moved = training_counts(name, len(frame), shop, [table for table, entities in reads.items() if name not in entities])
        plan.entities[name] = _entity(name, frame, shop, plan.books, texts, moved)
    plan.context = _context(shop, plan, texts)
    if len(shop.scenarios) > 1:
        plan.books[SCENARIO] = Vocabulary(SCENARIO, list(shop.scenarios[1:]))
        plan.context.categories = {SCENARIO: SCENARIO, **plan.context.categories}
    if log:
        plan.books[BEHAVIOUR] = Vocabulary(BEHAVIOUR, list(log.behaviours))
    for task, spec in shop.store.tasks.items():
        plan.targets[task] = labels.read(task, spec, shop.samples[spec.samples])[1]
    _name_pairs(plan, shop.store, log)
    _name_words(plan, shop)
    for task, target in plan.targets.items():
        if plan.tables[shop.store.tasks[task].samples].ranking:
            plan.targets[task] = replace(target, side=len(plan.side))
        spec = shop.store.tasks[task]
        plan.targets[task] = anchors.anchored(task, spec, plan.targets[task], shop.store.samples[spec.samples].recipe, shop.samples[spec.samples], plan.context)
    layouts = (*plan.entities.values(), plan.context)
    read = {(f.model, f.way == TUNED) for layout in layouts for f in layout.features.values() if f.kind == "text" and f.way != "ngrams"}
    plan.models = dict(texts.identity(model, tuned=tuned) for model, tuned in sorted(read, key=str))
    plan.number_rows()
    return plan


def _entity(name: str, frame: EntityFrame, shop: Shop, books: dict[str, Vocabulary], texts: Texts, moved: Array) -> columns.Layout:
    """`moved` (rows,): rows and events that move each thing's id; an id which nothing moves is a new one, whoever reads it."""
    spec, hidden = shop.store.entities[name], shop.hidden.get(name, set())
    counts = training_counts(name, len(frame), shop)
    features = {key: f for key, f in spec.features.items() if key not in hidden}
    ids = vocabulary.of_counts(f"{name}.{ID}", frame.ids, moved[1:], spec.least) if spec.embed_id else None
    seen = frame.frame.filter(pl.Series(counts[1:] > 0)) if (counts[1:] > 0).any() else frame.frame
    return columns.fit(name, seen, features, books, texts, ids, prefix=f"{name}.")


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


def _context(shop: Shop, plan: Plan, texts: Texts) -> columns.Layout:
    features: dict[str, Feature] = {}
    frames = []
    for table in shop.samples.values():
        mine = {key: f for key, f in table.features.items() if isinstance(f, Feature)}
        for key, feature in mine.items():
            if features.setdefault(key, feature).kind != feature.kind:
                raise ConfigError(
                    f"samples.{table.name}: the feature {key!r} is of kind {feature.kind} here and of kind {features[key].kind} in another table; "
                    "features of one name are one feature: give one of them another name."
                )
        if mine:
            frames.append(table.context.filter(pl.Series(table.part == TRAIN)).select(list(mine)))
    layout = columns.Layout("context")
    if frames:
        layout = columns.fit("context", pl.concat(frames, how="diagonal_relaxed"), features, plan.books, texts)
    if any(t.time is not None for t in shop.samples.values()) and plan.clock != "order":
        layout.dense[TIME] = (TIME, columns.TIME_PARTS)
        times = [t.time[t.part == TRAIN] for t in shop.samples.values() if t.time is not None]
        layout.seasons[TIME] = columns.covers_a_year(np.concatenate(times))
    return layout


def _table_plan(store: Store, name: str, table: SampleTable, log: EventLog | None) -> TablePlan:
    tasks = [key for key, t in store.tasks.items() if t.samples == name]
    ranking = table.targets is not None
    past = log is not None and USER in table.entities
    strangers = [entity for entity, rows in table.entities.items() if _apart(rows, table.part)]
    trained = {entity: rows[(table.part == TRAIN) & (rows != MISSING)] for entity, rows in table.entities.items()}
    if table.targets is not None:
        trained[ITEM] = table.targets[1][np.repeat(table.part == TRAIN, np.diff(table.targets[0]))]
    return TablePlan(
        list(table.entities),
        list(table.context.columns),
        tasks,
        past,
        past and ITEM in table.entities and not ranking,
        ranking,
        past and store.samples[name].sequences,
        strangers,
        {entity: len(rows) for entity, rows in trained.items()},
        {entity: len(np.unique(rows)) for entity, rows in trained.items()},
        max((parts.find("tasks", store.tasks[task].kind).tells for task in tasks), default=1.0),
    )


def _apart(rows: Array, part: Array) -> bool:
    """Whether fewer than one in ten held-out rows name an id that a training row of the table names too."""
    train, held = np.unique(rows[part == TRAIN]), rows[part > TRAIN]
    return bool(len(held) and np.isin(held, train).mean() < 0.1)


def _name_words(plan: Plan, shop: Shop) -> None:
    """Texts of things beside users that stand in one row with an item: a query and a title, hashed into as many buckets, or read by one encoder."""
    if not shop.store.model.pairs or ITEM not in plan.entities:
        return
    tables = [t for t in plan.tables.values() if not t.ranking and ITEM in t.entities]
    named = dict.fromkeys(name for t in tables for name in t.entities if name not in (USER, ITEM))
    titles = plan.entities[ITEM].texts
    plan.words = [
        (name, text, title) for name in named for text, (_, size) in plan.entities[name].texts.items() for title, (_, same) in titles.items() if size == same
    ]
    for title in dict.fromkeys(title for _, _, title in plan.words):
        frame, counts = shop.entities[ITEM].frame, training_counts(ITEM, len(shop.entities[ITEM]), shop)
        offsets, grams = words.grams(frame[title].filter(pl.Series(counts[1:] > 0)), titles[title][1])
        plan.idf[title] = np.round(word_pairs.inverse_frequency((offsets, grams, 0), titles[title][1]), 4).tolist()
        letters = word_match.letters(frame[title].filter(pl.Series(counts[1:] > 0)))
        plan.lexicons[title] = word_match.plain(word_match.lexicon(letters))
    for name, text, title in plan.words:
        for layout, key in ((plan.entities[name], text), (plan.entities[ITEM], title)):
            layout.letters = list(dict.fromkeys([*layout.letters, key]))
    plan.near = [
        (name, text, title) for name in named for text, of in _vectors(plan.entities[name]) for title, same in _vectors(plan.entities[ITEM]) if of == same
    ]
    figures = (*word_pairs.FIGURES, *word_match.FIGURES)
    plan.pair += [f"{name}.{text}:item.{title}:{figure}" for name, text, title in plan.words for figure in figures]
    plan.pair += [f"{name}.{text}:item.{title}:{NEAR}" for name, text, title in plan.near]
    for table in tables:
        table.pair = table.pair or any(name in table.entities for name, _, _ in (*plan.words, *plan.near))


def _vectors(layout: columns.Layout) -> list[tuple[str, str | None]]:
    """(text, model) of the texts that are sentence vectors."""
    return [(key, feature.model) for key, feature in layout.features.items() if feature.kind == "text" and feature.way == "frozen"]


def _name_pairs(plan: Plan, store: Store, log: EventLog | None) -> None:
    if log is not None and store.model.pairs:
        _name_counts(plan, store, log)
    if log is not None:
        plan.pair += [f"{SIGNAL}{name}" for name in store.model.signals if store.model.signal_pairs]
        products = product(store.model.signals, log.behaviours if store.model.signal_products else ())
        plan.signals = [*store.model.signals, *(f"{name}:{behaviour}" for name, behaviour in products)]
        plan.side += [f"{SIGNAL}{name}" for name in plan.signals]


def _name_counts(plan: Plan, store: Store, log: EventLog) -> None:
    categories = [key for key in plan.entities[ITEM].categories if key != ID]
    wanted = store.model.pair_features
    plan.pair_keys = [ID, *(key for key in categories if wanted is None or key in wanted)]
    plan.side = [f"{key}:{b}:{figure}" for key in plan.pair_keys for b in log.behaviours for figure in FIGURES]
    plan.pair = list(plan.side)
    if store.model.statistics:
        names = _snapshots(store, log, np.ones(len(log.item), bool)).names
        plan.side += [n for n in names if n.startswith("item:")]
        plan.pair += names


def _snapshots(store: Store, log: EventLog, usable: Array) -> Snapshots:
    return Snapshots(log, duration(store.model.snapshot), usable)


def stocked(plan: Plan, shop: Shop, texts: Texts) -> Stock:
    """The entities and the log of a shop, as the plan has it."""
    values = {
        name: columns.apply(plan.entities[name], f.frame, plan.books, texts, pl.Series(f.ids, dtype=pl.String), blank=True) for name, f in shop.entities.items()
    }
    model = shop.store.model
    stock = Stock(plan, values, {name: f.ids for name, f in shop.entities.items()}, shop.log, length=model.length, pair_last=model.pair_last)
    stock.since = {name: f.valid_from for name, f in shop.entities.items() if f.valid_from is not None}
    if shop.log is not None:
        stock.narrow(model.behaviours)
        if any(n.startswith("item:") for n in plan.side):
            log = replace(shop.log, item=stock.current(ITEM)[shop.log.item])
            stock.snapshots = _snapshots(shop.store, log, training_events(shop))
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
        dense = {**dense, TIME: columns.time_parts(time, season=plan.context.seasons[TIME])}
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

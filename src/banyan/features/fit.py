"""Fits the plan: vocabularies, scales, targets and the names of all features, from training rows and nothing else."""

from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl

from banyan import parts
from banyan.errors import ConfigError
from banyan.features import anchors, catalogue, columns, labels, lexicon, taught, times, vocabulary, word_match, word_pairs, words
from banyan.features.columns import ID
from banyan.features.pairs import FIGURES
from banyan.features.plan import BEHAVIOUR, NEAR, SCENARIO, SIGNAL, TIME, Plan, TablePlan, readers
from banyan.features.seen import training_counts
from banyan.features.statistics import Snapshots
from banyan.features.stock import ITEM, USER
from banyan.features.texts import Texts
from banyan.features.vocabulary import Vocabulary
from banyan.store.schema import TUNED, Feature, Store, duration
from banyan.store.shop import EntityFrame, EventLog, SampleTable, Shop
from banyan.types import MISSING, TRAIN, Array


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
        layout.dense[TIME] = (TIME, times.TIME_PARTS)
        seen = [t.time[t.part == TRAIN] for t in shop.samples.values() if t.time is not None]
        layout.seasons[TIME] = times.covers_a_year(np.concatenate(seen))
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
        feature = plan.entities[ITEM].features[title]
        offsets, grams = words.grams(frame[title].filter(pl.Series(counts[1:] > 0)), titles[title][1], feature.grams, feature.letters)
        plan.idf[title] = np.round(word_pairs.inverse_frequency((offsets, grams, 0), titles[title][1]), 4).tolist()
        letters = lexicon.letters(frame[title].filter(pl.Series(counts[1:] > 0)))
        plan.lexicons[title] = lexicon.plain(lexicon.lexicon(letters))
        plan.catalogues[title] = frame.height
    for name, text, title in plan.words:
        for layout, key in ((plan.entities[name], text), (plan.entities[ITEM], title)):
            layout.letters = list(dict.fromkeys([*layout.letters, key]))
    plan.near = [
        (name, text, title) for name in named for text, of in _vectors(plan.entities[name]) for title, same in _vectors(plan.entities[ITEM]) if of == same
    ]
    figures = (*word_pairs.FIGURES, *word_match.FIGURES, *catalogue.FIGURES, *taught.FIGURES)
    plan.taught = {taught.key(name, text, title): {} for name, text, title in plan.words}
    plan.pair += [f"{taught.key(name, text, title)}:{figure}" for name, text, title in plan.words for figure in figures]
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
        names = Snapshots(log, duration(store.model.snapshot), np.ones(len(log.item), bool)).names
        plan.side += [n for n in names if n.startswith("item:")]
        plan.pair += names

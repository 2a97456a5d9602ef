"""What may be wrong with samples: each function looks for one thing. Large tables are looked at through a seeded sample of rows."""

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from banyan.store import giveaway
from banyan.store.figures import mean
from banyan.store.finding import Finding, share, some
from banyan.store.open import task_labels
from banyan.store.schema import Split
from banyan.store.shop import SampleTable, Shop
from banyan.store.split import how
from banyan.store.symptoms import missing
from banyan.store.times import text
from banyan.types import TEST, TRAIN, VALID, Array

ROWS = 1_000_000  # rows that duplicates are looked for in
FEW = 20_000  # rows that features are tried on
SCENARIO = 200  # rows that a scenario needs before a missing positive is remarkable
STEPS = 200  # below so many in all a model has hardly begun to learn
ENOUGH, LEAST = 500, 32  # steps that a smaller batch should give, and the smallest that is proposed
WORDS = {"train": TRAIN, "validation": VALID, "test": TEST}


def sample_findings(shop: Shop) -> Iterator[Finding]:
    """All about samples and the labels of tasks."""
    for name, table in shop.samples.items():
        where = f"samples.{name}"
        yield from _size(where, table)
        yield from _random(where, table, how(shop.store, name))
        yield from _labels(where, table)
        yield from missing(f"{where}.features", table.context)
        yield from _without_entity(where, table)
        yield from _duplicates(where, table)
        yield from _later(where, table)
        yield from _scenarios(where, table, shop.scenarios)
        yield from _giveaways(where, shop, table)
    yield from _few_steps(shop)
    for name, task in shop.store.tasks.items():
        yield from _one_answer(f"tasks.{name}", shop.samples[task.samples], task_labels(name, task, shop.samples[task.samples]))
        if task.pseudo_labels is not None:
            yield _unlabelled(f"tasks.{name}", shop.samples[task.samples], task_labels(name, task, shop.samples[task.samples])[0])


def _few_steps(shop: Shop) -> Iterator[Finding]:
    """Whether few rows and a large batch leave training with a handful of steps."""
    training = shop.store.training
    rows = sum(int(np.count_nonzero(table.part == TRAIN)) for name, table in shop.samples.items() if any(t.samples == name for t in shop.store.tasks.values()))
    each = math.ceil(rows / training.batch)
    if not rows or each * training.epochs >= STEPS:
        return
    batch = training.batch
    while batch > LEAST and math.ceil(rows / batch) * training.epochs < ENOUGH:
        batch //= 2
    found = f"{rows:,} training rows by batches of {training.batch:,} are {each:,} steps an epoch, {each * training.epochs:,} in {training.epochs:,} epochs."
    more = f"With `batch: {max(batch, LEAST)}` " if batch < training.batch else "With more `epochs` "
    yield Finding("warning", "training.batch", found, f"{more}a model makes more steps; after so few it has hardly begun to learn.")


def _size(where: str, table: SampleTable) -> Iterator[Finding]:
    counts = {word: int(np.count_nonzero(table.part == code)) for word, code in WORDS.items()}
    span = f" from {text(int(table.time.min()))} to {text(int(table.time.max()))}" if table.time is not None and _stamped(table.time) else ""
    yield Finding("info", where, f"{len(table):,} rows{span}: {', '.join(f'{word} {count:,}' for word, count in counts.items())}.")
    for word, count in counts.items():
        if not count:
            cure = "Shorten valid, test or the label window, or give the table a split of its own."
            yield Finding("error" if word == "train" else "warning", where, f"no row is left for {word}.", cure)
    if len(table) and (table.rate < 0.001).mean() > 0.2:
        found = f"{share(float((table.rate < 0.001).mean()))} of the rows were sampled with a rate below 0.001, so each stands for more than 1,000."
        yield Finding("warning", where, found, "Figures on the unsampled population will be noisy; draw plausible items (`plausible: true`) or more of them.")


def _random(where: str, table: SampleTable, split: Split) -> Iterator[Finding]:
    """What a random split promises and these rows may not keep."""
    if split.by != "random" or not len(table):
        return
    if table.time is not None:
        found = "rows that have a time are split at random, so the future leaks into the past: training rows lie after test rows."
        yield Finding("warning", where, found, "Split by time, unless time means nothing here; figures of a random split say nothing of a forecast.")
    for word, asked in (("validation", split.valid), ("test", split.test)):
        held = float((table.part == WORDS[word]).mean())
        if abs(held - float(asked)) > max(0.05, 4 * (float(asked) / len(table)) ** 0.5):
            found = f"{word} holds {share(held)} of the rows where {share(float(asked))} were asked for: many rows are equal, and equal rows stay together."
            yield Finding("warning", where, found, "Add the columns that tell the rows apart, or keep one of each with a `weight`.")


def _stamped(time: Array) -> bool:
    return len(time) > 0 and int(np.abs(time).min()) > 10**12


def _labels(where: str, table: SampleTable) -> Iterator[Finding]:
    for label in table.labels.columns:
        said = [f"{word} {_rate(table.labels[label].filter(pl.Series(table.part == code)))}" for word, code in WORDS.items()]
        yield Finding("info", f"{where}.labels.{label}", f"{_unit(table.labels[label])}: {'; '.join(said)}.")


def _unit(label: pl.Series) -> str:
    if isinstance(label.dtype, pl.List):
        return "mean number of tags"
    return "share of the most frequent class" if label.dtype == pl.String else "mean"


def _rate(label: pl.Series) -> str:
    known = label.drop_nulls()
    if not len(known):
        return "no label"
    absent = f", {share(label.null_count() / len(label))} missing" if label.null_count() else ""
    if isinstance(label.dtype, pl.List):
        return f"{mean(known.list.len()):.2f}{absent}"
    if label.dtype == pl.String:
        top = known.value_counts(sort=True).row(0)
        return f"{top[0]} {share(top[1] / len(known))}{absent}"
    return f"{mean(known):.4g}{absent}"


def _without_entity(where: str, table: SampleTable) -> Iterator[Finding]:
    for entity, rows in table.entities.items():
        if len(rows) and (part := float((rows == 0).mean())) > 0:
            found = f"{share(part)} of the rows name no known {entity}."
            yield Finding(
                "warning" if part > 0.05 else "info", where, found, "The missing entity is a learned vector; check the id column if that is too many."
            )


def _duplicates(where: str, table: SampleTable) -> Iterator[Finding]:
    """Rows that stand twice, and test rows that stand in training."""
    if not len(table) or table.targets is not None:
        return
    columns = {f"\0{entity}": pl.Series(rows) for entity, rows in table.entities.items()}
    if table.time is not None:
        columns["\0time"] = pl.Series(table.time)
    frame = pl.concat([each for each in (pl.DataFrame(columns), table.context, table.labels) if each.width], how="horizontal")
    if frame.width == table.labels.width:
        return
    key = frame.hash_rows(seed=7).to_numpy()
    keep = key % np.uint64(max(len(table) // ROWS, 1)) == 0  # by content, so that doubles stay together
    key, part = key[keep], table.part[keep]
    if (twice := 1 - len(np.unique(key)) / max(len(key), 1)) > 0:
        found = f"{share(twice)} of the rows stand twice (same ids, time, features and labels)."
        yield Finding("warning" if twice > 0.01 else "info", where, found, "Keep one of each, or give them a `weight`.")
    test = np.unique(key[part == TEST])
    if len(test) and (inside := float(np.isin(test, key[part == TRAIN]).mean())) > 0:
        found = f"{share(inside)} of the test rows stand in training too, label included."
        yield Finding("error" if inside > 0.01 else "warning", where, found, "Remove the doubles, or split by user or by time; the test would be too kind.")


def _later(where: str, table: SampleTable) -> Iterator[Finding]:
    """Context times that lie after the row's own: known only afterwards."""
    if table.time is None or not len(table):
        return
    for name, feature in table.features.items():
        if getattr(feature, "kind", "") != "time":
            continue
        late = mean((table.context[name] > pl.Series(table.time)).fill_null(False))
        if late > 0.01:
            found = f"in {share(late)} of the rows it lies after the row's own time."
            cure = "What is known only afterwards cannot be an input; leave it out, or correct the row's time."
            yield Finding("error" if late > 0.5 else "warning", f"{where}.features.{name}", found, cure)


def _scenarios(where: str, table: SampleTable, scenarios: tuple[str, ...]) -> Iterator[Finding]:
    if len(np.unique(table.scenario)) < 2:
        return
    for label in table.labels.columns:
        column = table.labels[label]
        if not column.dtype.is_numeric():
            continue
        frame = pl.DataFrame({"s": table.scenario, "y": column}).drop_nulls().group_by("s").agg(pl.len(), (pl.col("y") > 0).sum().alias("positive"))
        silent = frame.filter((pl.col("positive") == 0) & (pl.col("len") >= SCENARIO))["s"].sort().to_list()
        if silent:
            names = ", ".join(repr(scenarios[s]) if s else "no scenario" for s in silent[:5])
            found = f"{label} never happens in {names}{' and others' if len(silent) > 5 else ''}, each with at least {SCENARIO} rows."
            yield Finding("warning", where, found, "If it cannot happen there, leave those rows out; if its events go by another name there, add it.")


def _one_answer(where: str, table: SampleTable, labels: tuple[str, ...]) -> Iterator[Finding]:
    train = pl.Series(table.part == TRAIN)
    for label in labels:
        known = table.labels[label].filter(train).drop_nulls()
        if not len(known):
            yield Finding("error", where, f"no training row has the label {label}.", "Check the column, the behaviour's name and the split.")
        elif known.n_unique() == 1:
            yield Finding("error", where, f"in training, {label} is always {known[0]!r}: there is nothing to learn.", "Check the label, or leave the task out.")


def _unlabelled(where: str, table: SampleTable, label: str) -> Finding:
    """Of a task with `pseudo_labels`: whether there is a row to label."""
    train = table.part == TRAIN
    lacking = int(table.labels[label].filter(pl.Series(train)).is_null().sum())
    if lacking:
        return Finding("info", where, f"{lacking:,} of {int(train.sum()):,} training rows have no {label}: the model may label them.")
    return Finding(
        "warning", where, f"every training row has its {label}, so `pseudo_labels` has nothing to label.", "Leave it out, or add rows without a label."
    )


def _giveaways(where: str, shop: Shop, table: SampleTable) -> Iterator[Finding]:
    train = np.flatnonzero(table.part == TRAIN)
    rows = train[some(len(train), FEW, 0)]
    features = dict(_features(shop, table, rows)) if table.labels.width and len(rows) else {}
    for label in table.labels.columns:
        for asked, answer, seen in giveaway.answers(table.labels[label][rows]):
            for name, column in features.items():
                strength = giveaway.strength(column.filter(pl.Series(seen)), answer[seen])
                if strength > giveaway.LIMIT:
                    found = f"{name} alone tells {label}{asked} almost surely (AUC {strength:.3f})."
                    cure = "If it is written down after the answer, or is the answer under another name, leave it out" + _drop(name, label)
                    yield Finding("warning", where, found, cure)


def _drop(name: str, label: str) -> str:
    return f" (for attributes: drop: [{name.split('.')[-1]}])." if "." in name else "."


def _features(shop: Shop, table: SampleTable, rows: Array) -> Iterator[tuple[str, pl.Series]]:
    """Every input that can be tried alone: context, and the features of the row's entities that are no label; ids are left out."""
    for name in table.context.columns:
        if getattr(table.features.get(name), "kind", "") in ("category", "number", "time"):
            yield name, table.context[name][rows]
    for entity, numbers in table.entities.items():
        frame, place = shop.entities[entity].frame, numbers[rows].astype(np.int64) - 1
        index = pl.Series(np.where(place >= 0, place, 0))
        for name, feature in shop.store.entities[entity].features.items():
            if feature.kind in ("category", "number", "time") and name not in shop.hidden.get(entity, set()):
                yield f"{entity}.{name}", pl.select(pl.when(pl.Series(place >= 0)).then(frame[name][index])).to_series()

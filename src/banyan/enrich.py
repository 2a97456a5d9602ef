"""BUNDLE + STORE -> A FILE TO REVIEW: values that the model is sure of, for things whose column is empty. The shop's own tables are never touched."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from banyan.bundle import Bundle, files
from banyan.errors import ConfigError
from banyan.store.hints import hint
from banyan.store.open import open_store, task_labels
from banyan.store.schema import Store
from banyan.store.shop import SampleTable, Shop
from banyan.store.sources import read
from banyan.types import PARTS, Array

BLOCK = 16_384  # things that are asked about together
KINDS = ("binary", "classes", "tags")  # of tasks whose answers are chances of values
ONE_SIDED = 1.6449  # the normal quantile of 95 %
MISSING, DOUBTFUL = "missing", "doubtful"

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("id", "task", "column", "present", "suggested"), pl.String),
    "confidence": pl.Float32,
    "next": pl.String,
    "next_confidence": pl.Float32,
    "why": pl.String,
}
COLUMNS = list(SCHEMA)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Filled:
    """What was found for one task."""

    task: str
    things: int  # of which there are so many
    missing: int  # without a value
    judged: int  # held-out rows that a value of is known
    threshold: float | None  # least confidence that counts as sure; None where no confidence is worth the precision that was asked for
    right: float  # share of the held-out answers at or above it that are right; nan without a threshold
    sure: int  # held-out answers at or above it
    suggested: int  # rows of the file for empty columns
    doubtful: int  # rows of the file for values that the model is sure are others


@dataclass
class Enriched:
    """The file, and what stands in it by task."""

    path: Path
    tasks: list[Filled] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # task -> why nothing was asked


@dataclass(frozen=True)
class _Column:
    """A task whose rows are things of one entity, its values so far by thing."""

    task: str
    table: str
    entity: str
    id: str  # the id's column in rows of the table
    label: str
    values: tuple[str, ...]  # what may be suggested
    tags: bool  # whether a thing may have several of them
    given: pl.DataFrame  # id, value (text, or a list for tags), part


def enrich(
    store: Store | str | Path,
    bundle: str | Path | Bundle,
    out: str | Path,
    *,
    precision: float = 0.95,
    tasks: Sequence[str] | None = None,
    part: str = "valid",
    doubts: bool = True,
    device: str | None = None,
    progress: Progress | None = None,
) -> Enriched:
    """Write suggestions for the empty columns of a catalogue (or of users) into a file: .csv, .parquet or .jsonl.

    Asked are tasks of the kinds `binary`, `classes` and `tags` whose rows name one entity and nothing else: all unless `tasks` are given. A suggestion
    needs a confidence at which, by the rows of `part`, which training did not see, at least a share `precision` of the answers is right:
    the lower end of a one-sided 95 % interval (Wilson, 1927) is above it. The least such confidence is taken, for each task. No such confidence, no suggestion.
    With `doubts` values that are there and of which the model is as sure that they are others are listed too.

    Columns: the id, task, column, present, suggested, confidence, next, next_confidence, why (`missing` or `doubtful`); the surest first within a task.
    Things that joined the store after training are asked about with the features they have now; known ones with those that training read.

    `progress(done, of)` counts things, anew for each samples table.

    Raises ConfigError for an unknown task or part, a part that the bundle was fitted to, a precision outside (0, 1), an `out` that is one of the
    store's own tables.
    """
    if not 0 < precision < 1:
        raise ConfigError(f"precision is a share between 0 and 1, such as 0.95; found {precision}.")
    if part not in ("valid", "test"):
        raise ConfigError(f"There is no part {part!r} that training did not see; parts are valid and test.")
    out = Path(out)
    files.form(out)
    kept = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle, device=device)
    if part == "valid" and kept.facts["options"]["training"].get("refit"):
        raise ConfigError("The bundle was fitted to training and validation rows together, so its validation rows tell nothing; judge by the part test.")
    shop = open_store(store)
    _not_in_place(out, shop.store)
    found = Enriched(out)
    columns = list(_columns(kept, shop, tasks, found.left_out))
    grown = {entity: _with_new(kept, shop, entity) for entity in {column.entity for column in columns}}
    frames = []
    for table in dict.fromkeys(column.table for column in columns):
        mine = [column for column in columns if column.table == table]
        ids = pl.Series("id", shop.entities[mine[0].entity].ids, dtype=pl.String).unique(maintain_order=True)
        asked = _asked(grown[mine[0].entity], mine, ids, progress)
        for column in mine:
            frame, filled = _filled(asked[column.task], column, len(ids), precision, PARTS[part], doubts)
            frames.append(frame)
            found.tasks.append(filled)
    files.write(pl.concat([pl.DataFrame(schema=SCHEMA), *frames]), out)
    return found


def _not_in_place(out: Path, store: Store) -> None:
    sources = [each.table for each in store.entities.values()] + [each.table for each in store.samples.values()]
    for source in (*sources, store.events.table if store.events else None):
        if source is not None and source.path is not None and (store.folder / source.path).resolve() == out.resolve():
            raise ConfigError(f"{out} is a table of the store; suggestions go into a file of their own.")


def _columns(kept: Bundle, shop: Shop, wanted: Sequence[str] | None, left_out: dict[str, str]) -> Iterator[_Column]:
    for task in wanted or []:
        if task not in kept.served:
            raise ConfigError(f"The bundle has no task {task!r}.{hint(task, kept.served)}")
    for task in kept.served if wanted is None else wanted:
        spec = kept.store.tasks[task]
        reason = _unfit(kept, task) if spec.samples in shop.samples else f"the store has no samples table {spec.samples!r}"
        if reason:
            left_out[task] = reason
            continue
        (entity,) = kept.plan.tables[spec.samples].entities
        table = shop.samples[spec.samples]
        labels = task_labels(task, kept.store.tasks[task], table)
        own = shop.store.samples[spec.samples].entities.get(entity, shop.store.entities[entity].id)
        values = ("0", "1") if spec.kind == "binary" else tuple(kept.network.task(task).target.classes)
        tags = spec.kind == "tags"
        yield _Column(task, spec.samples, entity, own, labels[0], values, tags, _given(table, shop.entities[entity].ids, entity, labels[0], tags=tags))


def _unfit(kept: Bundle, task: str) -> str:
    """Why a task is not asked; empty where it is."""
    spec = kept.store.tasks[task]
    if spec.kind not in KINDS:
        return f"its kind is {spec.kind}, which gives no chances of values"
    entities = list(kept.plan.tables[spec.samples].entities)
    if len(entities) != 1:
        return f"its rows name {' and '.join(entities) or 'nothing'}, not one thing"
    if len(spec.labels or ()) > 1:
        return "its labels are several columns"
    free = ("id of", "time", "scenario")  # the thing itself, and what a row may leave out
    needed = [name for name, what in kept.expects(spec.samples).items() if not what.startswith(free)]
    return f"its rows also need {', '.join(needed)}" if needed else ""


def _given(table: SampleTable, ids: Array, entity: str, label: str, *, tags: bool) -> pl.DataFrame:
    """Id, its value as text (a list for tags) and the part, where it has one; of several rows of an id the last."""
    kind = pl.List(pl.String) if tags else pl.String
    rows = table.entities[entity].astype(np.int64)
    named = pl.Series("id", ids[np.maximum(rows, 1) - 1], dtype=pl.String)
    frame = pl.DataFrame([named, table.labels[label].cast(kind).alias("value"), pl.Series("part", table.part)])
    return frame.filter(pl.col("value").is_not_null() & pl.Series(rows > 0)).unique("id", keep="last", maintain_order=True)


def _with_new(kept: Bundle, shop: Shop, entity: str) -> Bundle:
    """A bundle that also knows the things that joined the store after training."""
    spec = shop.store.entities[entity]
    if spec.table is None:
        return kept
    rows = read(spec.table, shop.store.folder, plain=True)
    named = rows.with_columns(rows[spec.id].cast(pl.String))
    fresh = named.filter(~pl.col(spec.id).is_in(pl.Series(kept.stock.ids[entity], dtype=pl.String).implode()) & pl.col(spec.id).is_not_null())
    return kept.with_entities(entity, fresh.unique(spec.id, keep="last", maintain_order=True), str(spec.table.label)) if fresh.height else kept


def _filled(answers: pl.DataFrame, column: _Column, things: int, precision: float, part: int, doubts: bool) -> tuple[pl.DataFrame, Filled]:
    rows = _judged(answers, column.given, column.tags)
    held = rows.filter(pl.col("part") == part)
    threshold, share, sure = surest(held["confidence"].to_numpy(), held["right"].to_numpy(), precision)
    why = pl.when(pl.col("value").is_null()).then(pl.lit(MISSING)).when(~pl.col("right")).then(pl.lit(DOUBTFUL))
    found = rows.filter(pl.col("confidence") >= (np.inf if threshold is None else threshold)).with_columns(why=why)
    found = found.filter(pl.col("why").is_in([MISSING, DOUBTFUL] if doubts else [MISSING])).sort("why", "confidence", descending=True, maintain_order=True)
    present = pl.col("value").list.join("|") if column.tags else pl.col("value")
    listed = found.select("id", task=pl.lit(column.task), column=pl.lit(column.label), present=present, **{name: pl.col(name) for name in COLUMNS[4:]})
    counts = dict(listed.group_by("why").len().iter_rows())
    missing = things - column.given.height
    return listed.select(COLUMNS), Filled(
        column.task, things, missing, held.height, threshold, share, sure, counts.get(MISSING, 0), counts.get(DOUBTFUL, 0)
    )  # fmt: skip


def _judged(answers: pl.DataFrame, given: pl.DataFrame, tags: bool) -> pl.DataFrame:
    """Answers beside the value that is there and its part; whether they agree."""
    rows = answers.join(given, on="id", how="left", maintain_order="left")
    agree = pl.col("value").list.contains(pl.col("suggested")) if tags else pl.col("value") == pl.col("suggested")
    return rows.with_columns(right=agree.fill_null(value=False))


def _asked(kept: Bundle, columns: Sequence[_Column], ids: pl.Series, told: Progress | None) -> dict[str, pl.DataFrame]:
    """Task -> (id, suggested, confidence, next, next_confidence) of all things, which are read once for all tasks of a table."""
    found: dict[str, list[pl.DataFrame]] = {column.task: [] for column in columns}
    for start in range(0, max(len(ids), 1), BLOCK):
        block = ids.slice(start, BLOCK)
        answers = kept.predict(columns[0].table, pl.DataFrame({columns[0].id: block}), tasks=[column.task for column in columns])
        for column in columns:
            chances = answers.select(pl.col(f"{column.task}.{name}") for name in kept.network.task(column.task).columns())
            found[column.task].append(_best(column, block, chances.to_numpy()))
        if told is not None:
            told(min(start + BLOCK, len(ids)), len(ids))
    return {task: pl.concat(each) for task, each in found.items()}


def _best(column: _Column, ids: pl.Series, chances: Array) -> pl.DataFrame:
    """The two likeliest values of each thing; of tags a row for each that is likelier than not."""
    words = np.array(column.values, object)
    if column.tags:
        thing, value = np.nonzero(chances > 0.5)
        return _suggested(ids.gather(thing), words[value], chances[thing, value], words[:0], chances[:0, 0])
    if chances.shape[1] == 1:  # yes or no
        chances = np.concatenate([1 - chances, chances], 1)
    order = np.argsort(-chances, axis=1, kind="stable")[:, :2]
    best = np.take_along_axis(chances, order, 1)
    return _suggested(ids, words[order[:, 0]], best[:, 0], words[order[:, -1]], best[:, -1])


def _suggested(ids: pl.Series, value: Array, chance: Array, second: Array, chance_of_second: Array) -> pl.DataFrame:
    """`second` may be empty: tags have none."""
    columns = {"suggested": value, "confidence": chance, "next": second, "next_confidence": chance_of_second}
    filled = [pl.Series(name, each.tolist() or [None] * len(ids), dtype=SCHEMA[name]) for name, each in columns.items()]
    return pl.DataFrame([ids.alias("id"), *filled])


def surest(confidence: Array, right: Array, precision: float) -> tuple[float | None, float, int]:
    """(The least confidence at or above which answers are right often enough, the share of right ones there, how many there are).

    Often enough: the lower end of the one-sided 95 % interval of the share (Wilson, 1927, eq. 4 with the sign below) is at least `precision`.
    (None, nan, 0) where no confidence is.
    """
    order = np.argsort(-confidence, kind="stable")
    value, count = confidence[order], np.arange(1, len(order) + 1)
    share = np.cumsum(right[order]) / count
    spread = ONE_SIDED * np.sqrt(share * (1 - share) / count + (ONE_SIDED / (2 * count)) ** 2)
    lower = (share + ONE_SIDED**2 / (2 * count) - spread) / (1 + ONE_SIDED**2 / count)
    last = np.append(value[1:] != value[:-1], True)[: len(value)]  # equal confidences are taken together
    good = np.flatnonzero(last & (lower >= precision))
    if not len(good):
        return None, float("nan"), 0
    return float(value[good[-1]]), float(share[good[-1]]), int(count[good[-1]])

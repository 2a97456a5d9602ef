"""Cross-validation: the same model fitted and judged on several splits; mean and spread. Chooses nothing."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from banyan.disk import whole
from banyan.errors import ConfigError, DataError
from banyan.evaluation import table as said
from banyan.evaluation.evaluate import answer, judged
from banyan.evaluation.judge import Figures
from banyan.evaluation.ledger import Ledger
from banyan.evaluation.questions import Question
from banyan.evaluation.trial import FREE, Bench
from banyan.features.texts import Texts
from banyan.store.load import spelled_out
from banyan.store.open import open_store
from banyan.store.schema import Split, Store, duration
from banyan.store.shop import Shop
from banyan.store.split import draws
from banyan.training.journal import as_json
from banyan.types import DROPPED, TEST, TRAIN, VALID, Array

LEDGER, FIGURES = "crossval.jsonl", "crossval.json"


@dataclass
class Fold:
    """One split of a shop, and the tables whose test rows it judges."""

    name: str
    shop: Shop
    tables: list[str]
    until: int | None = None  # rolling: test rows lie before this moment


@dataclass
class Folds:
    """What the folds found."""

    folder: Path
    store: Store
    kind: str
    best: dict[str, tuple[str, bool]]  # task -> its first metric, and whether more of it is better
    figures: dict[str, dict[str, Figures]]  # fold -> task -> metric -> value
    rows: dict[str, dict[str, int]]  # fold -> task -> rows judged
    notes: list[str] = field(default_factory=list)


def crossval(
    store: Store,
    folder: str | Path,
    *,
    folds: int = 4,
    kind: str = "rolling",
    by: str = "user",
    share: float = 1.0,
    most: int | None = 20_000,
    console: Console | None = None,
    device: str | None = None,
) -> Folds:
    """Fit the joint model on each fold and judge it on the fold's test rows.

    rolling: the store's split by time, its test window moved back by its own length fold after fold, so that the newest fold is the store's own.
    grouped: each id of the entity `by` stands in the test part of exactly one fold; validation takes the split's share of the rest. scenario: each scenario
    in turn is left out of training and validation and is all of the test. A stopped call goes on when it is made again. Raises ConfigError where there are no
    such folds.
    """
    if kind not in _MADE:
        raise ConfigError(f"There is no kind of folds {kind!r}; kinds: {', '.join(_MADE)}.")
    folder = Path(folder)
    settings = {"description": spelled_out(store, FREE), "folds": folds, "kind": kind, "by": by, "share": share, "most": most}
    ledger, texts = Ledger(folder / LEDGER, settings), Texts(folder / "texts.sqlite")
    found, made = Folds(folder, store, kind, {}, {}, {}), _MADE[kind]
    if not ledger.lines:
        for _ in made(store, folds, by):
            pass  # a fold that cannot be is refused before hours go into the others
    for fold in made(store, folds, by):
        if fold.name not in ledger:
            ledger.add(fold.name, _fitted(fold, texts, share, most, device))
        line = ledger[fold.name]
        found.figures[fold.name], found.rows[fold.name] = line["figures"], line["rows"]
        found.best |= {task: (metric, bool(rising)) for task, (metric, rising) in line["best"].items()}
        if console is not None:
            console.print(f"{fold.name}: done, {len(found.figures)} so far", highlight=False, markup=False)
    left = [task for task in store.tasks if not any(task in each for each in found.figures.values())]
    found.notes = [f"{', '.join(left)}: not judged, since {kind} folds do not split their rows."] if left else []
    with whole(folder / FIGURES) as aside:
        aside.write_text(json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    return found


def _fitted(fold: Fold, texts: Texts, share: float, most: int | None, device: str | None) -> dict[str, Any]:
    bench = Bench(fold.shop, texts, device=device, most=most)
    tasks = {name: spec for name, spec in bench.store.tasks.items() if spec.samples in fold.tables}
    questions = {name: _until(question, fold) for name, question in bench.questions().items() if name in tasks}
    questions = {name: question for name, question in questions.items() if len(question)}
    fit, record = bench.fit(bench.store, bench.store.training.seed, share)
    evaluation = judged(bench.data, tasks, questions, answer(fit.network, bench.feeder, questions), TEST)
    best = {name: (bench.panel[name].best, bench.panel[name].rising) for name in tasks}
    return {"figures": evaluation.figures, "rows": {name: len(q) for name, q in questions.items()}, "best": best, "seconds": record.seconds}


def _until(question: Question, fold: Fold) -> Question:
    time = fold.shop.samples[question.table].time
    if fold.until is None or time is None:
        return question
    return question.take(np.flatnonzero(time[question.rows] < fold.until))


def _rolling(store: Store, folds: int, by: str) -> Iterator[Fold]:
    """The newest fold first: the end of each is where the test of the one before it began."""
    if store.split.by != "time":
        raise ConfigError(f"Rolling folds move the split by time back; this store is split by {store.split.by}. Take --kind grouped.")
    until: int | None = None
    for number in range(folds):
        test = _times(store.split.test, number + 1)
        samples = {
            name: each.model_copy(update={"split": each.split.model_copy(update={"test": _times(each.split.test, number + 1)})})
            if each.split is not None and each.split.by == "time"
            else each
            for name, each in store.samples.items()
        }
        try:
            shop = open_store(store.model_copy(update={"split": store.split.model_copy(update={"test": test}), "samples": samples}))
        except (ConfigError, DataError, ValueError) as error:
            raise ConfigError(f"Fold {number + 1} of {folds}, whose test begins {test} before the end, cannot be: {error} Take fewer folds.") from error
        tables = [name for name, each in store.samples.items() if (each.split or store.split).by == "time"]
        yield Fold(f"rolling {number + 1} of {folds}", shop, tables, until)
        until = shop.cut[1] if shop.cut is not None else None


def _times(amount: str | float, times: int) -> str | float:
    """A span or a share, so many times."""
    return f"{duration(amount) * times // 1_000_000}s" if isinstance(amount, str) else amount * times


def _grouped(store: Store, folds: int, by: str) -> Iterator[Fold]:
    """Ids fall into folds by their own text and the split's seed."""
    if by not in store.entities:
        raise ConfigError(f"--by names {by!r}, which is no entity; entities: {', '.join(store.entities)}.")
    shop = _named(store, by)
    tables = [name for name, each in shop.samples.items() if by in each.entities]
    if not tables:
        raise ConfigError(f"No samples table names a {by}; grouped folds need one that does.")
    ids = shop.entities[by].ids
    fold_of, chosen = np.floor(draws(ids, store.split.seed) * folds).astype(int), draws(ids, store.split.seed + 1)
    valid = float(store.split.valid) if isinstance(store.split.valid, float) and store.split.valid else 0.1
    for number in range(folds):
        part = np.concatenate([[DROPPED], np.where(fold_of == number, TEST, np.where(chosen < valid, VALID, TRAIN))]).astype(np.int8)
        samples = {name: replace(each, part=part[each.entities[by]]) if name in tables else each for name, each in shop.samples.items()}
        yield Fold(f"grouped {number + 1} of {folds}", _refused_empty(replace(shop, samples=samples), tables), tables)


def _named(store: Store, by: str) -> Shop:
    """The shop with every table that can be split by an entity split so, whatever the description says; others keep their split."""
    split = Split(by="user", of=by, seed=store.split.seed)
    plain = open_store(store)
    named = [name for name, each in plain.samples.items() if by in each.entities]
    samples = {name: each.model_copy(update={"split": split if name in named else (each.split or store.split)}) for name, each in store.samples.items()}
    return open_store(store.model_copy(update={"split": split, "samples": samples}))


def _scenarios(store: Store, folds: int, by: str) -> Iterator[Fold]:
    """The store's own split, with one scenario left out of training and validation and alone in the test."""
    shop = open_store(store)
    codes = _busiest(shop, folds)
    if len(codes) < 2:
        raise ConfigError("Folds by scenario need test rows of at least two scenarios; name the scenario's column in events or samples.")
    for code in codes:
        tables = [name for name, each in shop.samples.items() if len(np.unique(each.scenario)) > 1]
        samples = {name: replace(each, part=_left_out(each.part, each.scenario == code)) if name in tables else each for name, each in shop.samples.items()}
        name = shop.scenarios[code] or "unknown"
        yield Fold(f"scenario {name}", _refused_empty(replace(shop, samples=samples), tables), tables)


def _busiest(shop: Shop, most: int) -> list[int]:
    """Codes of the scenarios with the most test rows."""
    counts = sum((np.bincount(t.scenario[t.part == TEST], minlength=len(shop.scenarios)) for t in shop.samples.values()), np.zeros(len(shop.scenarios), int))
    return [int(code) for code in np.argsort(-counts, kind="stable")[:most] if counts[code]]


def _left_out(part: Array, here: Array) -> Array:
    return np.where(here == (part == TEST), part, DROPPED).astype(np.int8)


def _refused_empty(shop: Shop, tables: Sequence[str]) -> Shop:
    for name in tables:
        if not (shop.samples[name].part == TRAIN).any():
            raise ConfigError(f"samples.{name}: a fold leaves no row to train on; take more folds, or another kind.")
    return shop


def summary(found: Folds) -> dict[str, dict[str, dict[str, float]]]:
    """Task -> metric -> mean, sd (of the folds) and the number of folds in which it is defined; what is undefined enters no mean."""
    named: dict[str, dict[str, list[float]]] = {}
    for tasks in found.figures.values():
        for task, figures in tasks.items():
            for metric, value in figures.items():
                named.setdefault(task, {}).setdefault(metric, []).append(value)
    return {task: {metric: _spread(values) for metric, values in figures.items()} for task, figures in named.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    known = [v for v in values if not math.isnan(v)]
    mean = float(np.mean(known)) if known else math.nan
    return {"mean": mean, "sd": float(np.std(known, ddof=1)) if len(known) > 1 else math.nan, "folds": len(known)}


def table(found: Folds) -> Table:
    """For the terminal: each task's first metric."""
    shown = Table("task", "metric", "mean", "sd", title=Text(f"{found.store.store}, {found.kind} folds"), box=box.SIMPLE_HEAD)
    for name in found.figures:
        shown.add_column(Text(name), justify="right")
    spreads = summary(found)
    for task, figures in spreads.items():
        metric, rising = found.best[task]
        each = [said.number(tasks.get(task, {}).get(metric)) for tasks in found.figures.values()]
        here = figures[metric]
        shown.add_row(Text(task), f"{metric} {'↑' if rising else '↓'}", said.number(here["mean"]), said.number(here["sd"]), *each)
    return shown


def plain(found: Folds) -> dict[str, Any]:
    """JSON-able; what is undefined is null."""
    values = {"kind": found.kind, "summary": summary(found), "folds": found.figures, "rows": found.rows, "notes": found.notes}
    return dict(as_json(values))


_MADE: dict[str, Callable[[Store, int, str], Iterator[Fold]]] = {"rolling": _rolling, "grouped": _grouped, "scenario": _scenarios}

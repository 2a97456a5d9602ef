"""Two runs on the same rows: is one better, task by task? Refuses where the rows are not the same."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from banyan.bundle import Bundle
from banyan.errors import ConfigError
from banyan.evaluation import table as said
from banyan.evaluation.certainty import Gain, corrected, gains
from banyan.evaluation.evaluate import answer
from banyan.evaluation.questions import Question, ask, judges, targets
from banyan.features.build import stocked, tabled, task_options
from banyan.features.data import Data
from banyan.features.plan import Plan
from banyan.features.step import Feeder
from banyan.features.stock import ITEM
from banyan.features.texts import Texts
from banyan.store.load import load
from banyan.store.open import open_store
from banyan.store.schema import Store
from banyan.store.shop import Shop
from banyan.tasks import Task
from banyan.training.journal import as_json
from banyan.types import PARTS, TEST, TRAIN, VALID, Array

BUNDLE, PAGE = "bundle", "store.yaml"  # inside of a run's folder
MOST_RANKED = 2_000


@dataclass
class Sitting:
    """What one run was asked, and what it answered."""

    path: Path
    store: Store
    data: Data
    panel: dict[str, Task]
    questions: dict[str, Question]
    answers: dict[str, Array]


def compare(ours: str | Path, theirs: str | Path, *, part: str = "test", most: int | None = 20_000, draws: int = 200, device: str | None = None) -> list[Gain]:
    """Gains of `ours` over `theirs`, task by task: paired bootstrap over users, p values corrected over the tasks (Holm).

    Each is a run's folder, or the bundle in one; both are asked the same rows of `part`, at most `most` a task. Raises ConfigError where a folder is no
    run, where no task is in both, and where rows, labels or the catalogue differ.
    """
    if PARTS.get(part) not in (TRAIN, VALID, TEST):
        raise ConfigError(f"There is no part {part!r}; parts are train, valid and test.")
    left, right = (sitting(Path(each), PARTS[part], most, device) for each in (ours, theirs))
    return compared(left, right, draws=draws)


def compared(left: Sitting, right: Sitting, *, draws: int = 200, scenarios: bool = True) -> list[Gain]:
    """Gains of the first over the second, as `compare` finds them. Without `scenarios` one of the two may not know the rows' scenarios."""
    both = [task for task in left.questions if task in right.questions and len(left.questions[task])]
    if not both:
        raise ConfigError(f"{left.path} answers {', '.join(left.store.tasks)}, and {right.path} {', '.join(right.store.tasks)}: no task is in both.")
    for task in both:
        _alike(task, left, right, scenarios)
    sides = ({task: [each.answers[task]] for task in both} for each in (left, right))
    return corrected(gains({task: left.panel[task] for task in both}, left.questions, *sides, draws=draws))


def sitting(path: Path, part: int, most: int | None, device: str | None = None) -> Sitting:
    """A run's answers to the rows of a part. Raises ConfigError where `path` is neither a run's folder nor the bundle in one."""
    folder = path if (path / BUNDLE).is_dir() else path.parent
    if not (folder / PAGE).is_file() or not (folder / BUNDLE).is_dir():
        raise ConfigError(f"{path} is no run: a run's folder holds {PAGE} and {BUNDLE}, as `banyan train` writes them.")
    bundle = Bundle.load(path if path != folder else folder / BUNDLE, device=device)
    return seated(path, bundle, open_store(load(folder / PAGE)), part, most)


def seated(path: Path, bundle: Bundle, shop: Shop, part: int, most: int | None) -> Sitting:
    """A bundle's answers to the rows of a part of a shop, which may have newer rows, other scenarios and more tasks than it was trained on.

    `path` is how messages call it. Raises ConfigError where the shop has behaviours that the bundle does not know.
    """
    plan = bundle.plan
    shop = _coded(path, plan, replace(shop, store=shop.store.model_copy(update={"model": bundle.store.model})))
    texts, now = Texts(), shop.cut[0] if shop.cut is not None else None
    stock = stocked(plan, shop, texts)
    tables = {name: tabled(plan, stock, shop.store, each, texts, now=now) for name, each in shop.samples.items() if name in plan.tables}
    data = Data(plan, stock, tables)
    tasks = {name: spec for name, spec in shop.store.tasks.items() if name in bundle.network.views and spec.samples in tables}
    feeder = Feeder(data, {task: task_options(shop.store, task) for task in tasks}, shop.store.model.id_dropout)
    questions = ask(data, tasks, part, most=most, most_ranked=None if most is None else min(most, MOST_RANKED))
    asked = {task: question for task, question in questions.items() if len(question)}
    return Sitting(path, shop.store, data, judges(data, tasks), questions, answer(bundle.network, feeder, asked))


def _coded(path: Path, plan: Plan, shop: Shop) -> Shop:
    """The shop with the plan's codes of scenarios and behaviours; a scenario that the plan does not know is the unknown one."""
    known = {word: code for code, word in enumerate(plan.scenarios)}
    scenario = np.array([known.get(word, 0) for word in shop.scenarios], np.int32)
    samples = {name: replace(table, scenario=scenario[table.scenario]) for name, table in shop.samples.items()}
    log = shop.log
    if log is not None:
        if unknown := [word for word in log.behaviours if word not in plan.behaviours]:
            raise ConfigError(f"The events hold {unknown[0]!r}, and {path} knows {', '.join(plan.behaviours)}; it cannot be asked about such a past.")
        behaviour = np.array([plan.behaviours.index(word) for word in log.behaviours], np.int16)
        log = replace(log, scenario=scenario[log.scenario], scenarios=plan.scenarios, behaviour=behaviour[log.behaviour], behaviours=plan.behaviours)
    return replace(shop, log=log, samples=samples, scenarios=plan.scenarios)


def _alike(task: str, left: Sitting, right: Sitting, scenarios: bool) -> None:
    """Refuse two questions that are not about the very same rows."""
    one, two = left.questions[task], right.questions[task]
    if len(one) != len(two):
        raise ConfigError(f"{task}: {left.path} is judged on {len(one):,} rows, {right.path} on {len(two):,}; only runs on the same rows can be compared.")
    for what, a, b in zip(("ids", "scenarios", "labels"), _prints(one, left.data), _prints(two, right.data), strict=True):
        if a != b and (scenarios or what != "scenarios"):
            where = f"{left.path} and {right.path}"
            raise ConfigError(f"{task}: the {what} of its {len(one):,} rows differ between {where}; only runs on the same rows can be compared.")
    if left.data.plan.tables[one.table].ranking and not np.array_equal(left.data.stock.ids[ITEM], right.data.stock.ids[ITEM]):
        raise ConfigError(f"{task}: {left.path} ranks another catalogue than {right.path}; ranks among other items cannot be compared.")


def _prints(question: Question, data: Data) -> tuple[str, str, str]:
    """Hashes of a question's ids, scenarios and labels, by what they say and not by how they are coded."""
    table = data.tables[question.table]
    ids = [np.append("", data.stock.ids[name])[table.entities[name][question.rows]] for name in sorted(table.entities)]
    labels: list[Array] = [question.value, question.seen]
    if table.targets is not None:
        offsets, items = targets(table, question.rows)
        labels = [offsets, np.append("", data.stock.ids[ITEM])[items]]
    elif data.plan.targets[question.task].classes and question.value.ndim == 1:
        labels = [np.array(data.plan.targets[question.task].classes)[question.value.astype(np.int64)], question.seen]
    scenarios = np.array(data.plan.scenarios)[question.scenario]
    return _hash(ids), _hash([scenarios]), _hash(labels)


def _hash(columns: Sequence[Array]) -> str:
    found = hashlib.sha256()
    for column in columns:
        text = column.dtype.kind in "OUST"
        found.update("\x1f".join(map(str, column.tolist())).encode() if text else np.ascontiguousarray(column).tobytes())
    return found.hexdigest()


def table(found: Sequence[Gain], title: str = "") -> Table:
    """For the terminal."""
    shown = Table("task", "metric", "ours", "theirs", "gain [95 %]", "p", "p, of all", "verdict", title=Text(title) if title else None, box=box.SIMPLE_HEAD)
    for each in found:
        style = said.COLOURS.get(each.verdict, "")
        figures = [said.number(each.ours), said.number(each.theirs), said.signed(each.interval), said.number(each.p), said.number(each.adjusted)]
        shown.add_row(Text(each.task), each.metric, *figures, Text(each.verdict, style=style))
    return shown


def plain(found: Sequence[Gain]) -> list[dict[str, Any]]:
    """JSON-able; what is undefined is null."""
    return [as_json(each.plain()) for each in found]

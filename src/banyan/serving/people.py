"""What is known and guessed of a user, and answers for rows that the caller brings: the tables' side of the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from banyan.bundle import Bundle
from banyan.errors import ConfigError, DataError
from banyan.features.stock import ITEM, USER
from banyan.serving.asking import Happened, Profile, Share, Trait
from banyan.serving.pasts import Ground, Naming, laid
from banyan.serving.shelf import Shelf, described, shares
from banyan.serving.visit import Visit, finite
from banyan.store.hints import hint

Row = Mapping[str, Any]
Answered = Callable[[str, Sequence[Row], Sequence[str] | None], list[dict[str, float]]]  # answers of a table's tasks for rows
MOST = 10_000  # rows of one question


def about(ground: Ground) -> list[str]:
    """The tasks whose rows name a user and nothing else."""
    bundle = ground.bundle
    return [task for task in bundle.served if (t := bundle.plan.tables[bundle.store.tasks[task].samples]).entities == [USER] and not t.ranking]


def profile(visit: Visit, shelf: Shelf, user: str) -> Profile:
    """All tasks about users, asked as of the visit's moment."""
    answering, ground = visit.answering, visit.answering.ground
    bundle, tasks = ground.bundle, about(ground)
    answers: dict[str, float] = {}
    traits = []
    question = answering.question(visit.past, visit.user, visit.scenario, visit.now, [bundle.store.tasks[task].samples for task in tasks]) if tasks else None
    found = answering.alone(question, tasks) if question is not None else {}
    for task in tasks:
        names = list(bundle.network.task(task).columns())
        each = {name: float(value[0]) for name, value in finite(dict(zip(names, found[task].T, strict=True))).items()}
        answers |= {f"{task}.{name}": value for name, value in each.items()}
        missing = answering.templates[bundle.store.tasks[task].samples].missing
        traits.append(_trait(task, bundle.store.tasks[task].kind, each, missing))
    known = bool(ground.users.row(user))
    features = described(bundle.plan, ground.stock.entities[USER], USER, ground.users.row(user, visit.now)) if known else {}
    has = bundle.stock.log is not None
    item = visit.pasts.item if has else np.zeros(0, np.int64)
    tastes = {feature: shares(codes[item], names) for feature, (codes, names) in shelf.categories.items()}
    return Profile(user, known, features, answers, {k: v for k, v in tastes.items() if v}, len(item), tuple(traits))


def _trait(task: str, kind: str, answers: Mapping[str, float], missing: tuple[str, ...]) -> Trait:
    if kind not in ("classes", "tags"):
        return Trait(task, kind, (), answers, missing)
    found = sorted((Share(name.partition("/")[2] or name, value) for name, value in answers.items()), key=lambda share: -share.probability)
    return Trait(task, kind, tuple(found), {}, missing)


def predict(ground: Ground, events: Mapping[str, Sequence[Happened]], table: str, rows: Sequence[Row], tasks: Sequence[str] | None) -> pl.DataFrame:
    """The tasks' answers for rows of a samples table, the users' live events in their pasts: what `Bundle.predict` says once it was handed them."""
    frame = framed(rows)
    bundle = ground.bundle if not events else overlaid(ground, events)
    found = bundle.predict(table, frame, tasks=tasks)
    return found.select([name for name in found.columns if name not in frame.columns])


def framed(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as a frame. Raises DataError for none, for too many, and for a column that holds values of several kinds."""
    if not 0 < len(rows) <= MOST:
        raise DataError(f"There are {len(rows)} rows; ask for 1 to {MOST:,} at a time.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        return pl.DataFrame({name: [row.get(name) for row in rows] for name in names})
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"A column of the rows holds values of several kinds ({str(error)[:200]}); give each one kind.") from error


def overlaid(ground: Ground, events: Mapping[str, Sequence[Happened]]) -> Bundle:
    """The bundle of these users alone, with their live events."""
    naming = Naming(ground)
    past = laid(ground, list(events), events, naming)
    stock = past.stock
    if naming.fresh:
        ids = stock.ids[ITEM].copy()
        for item, row in naming.fresh.items():
            if row in ground.spare:
                ids[row - 1] = item
        stock.ids = {**stock.ids, ITEM: ids}
    return replace(ground.bundle, stock=stock, now=past.newest)


def users_of(ground: Ground, table: str, rows: Sequence[Row]) -> list[str]:
    """The users that rows of a table name, each once."""
    bundle = ground.bundle
    if table not in bundle.plan.tables:
        raise ConfigError(f"The bundle has no samples table {table!r}.{hint(table, bundle.plan.tables)}")
    if USER not in bundle.plan.tables[table].entities:
        return []
    names = [column for column, what in bundle.expects(table).items() if what == f"id of {USER}"] + [USER]
    return list(dict.fromkeys(str(row[name]) for row in rows for name in names if row.get(name) is not None))


def table_of(bundle: Bundle, table: str, fits: Sequence[str], what: str) -> str:
    """The table that is asked about: the only one that fits, unless it is named. Raises ConfigError."""
    if table:
        if table not in fits:
            raise ConfigError(f"{table!r} is no samples table of {what}.{hint(table, fits)}")
        return table
    if len(fits) != 1:
        raise ConfigError(f"The bundle has {len(fits)} tables of {what}{': ' + ', '.join(fits) if fits else ''}; name one.")
    return fits[0]


def counted(bundle: Bundle) -> list[str]:
    """The tables that have a task of counts."""
    return list(dict.fromkeys(bundle.store.tasks[task].samples for task in bundle.served if bundle.store.tasks[task].kind == "count"))


def seen_back(bundle: Bundle, table: str, rows: Sequence[Row]) -> None:
    """Raise DataError that names them where rows to forecast from lack columns of their table.

    A bundle keeps its log only as far back as the answers about users need, so it cannot count the past of a series by itself.
    """
    told = {name for row in rows for name in row}
    lacking = [name for name, what in bundle.expects(table).items() if not what.startswith(("id of ", "time ", "scenario ")) and name not in told]
    if lacking:
        raise DataError(
            f"A forecast of {table} reads {', '.join(lacking)}, which no row has. The bundle does not keep what the past of a series is counted from: send "
            f"the newest row of each series with the table's columns, as the recipe or the shop's own table makes them."
        )


def offered(bundle: Bundle) -> dict[str, str]:
    """Table -> its first task that answers chances, of tables about a user and something that is no item: an offer, or what a campaign says of itself."""
    found: dict[str, str] = {}
    for task in bundle.served:
        name = bundle.store.tasks[task].samples
        table = bundle.plan.tables[name]
        fits = USER in table.entities and ITEM not in table.entities and (table.context or len(table.entities) > 1)
        if fits and not table.ranking and bundle.network.task(task).answers == "chances":
            found.setdefault(name, task)
    return found


def forecast(bundle: Bundle, answered: Answered, table: str, rows: Sequence[Row]) -> tuple[str, list[tuple[dict[str, Any], dict[str, float]]]]:
    """(The table, for each row its words and ids, and the periods ahead) of a table with a task of counts."""
    name = table_of(bundle, table, counted(bundle), "counts")
    seen_back(bundle, name, rows)
    tasks = [task for task in bundle.served if bundle.store.tasks[task].samples == name and bundle.store.tasks[task].kind == "count"]
    keys = [{key: each for key, each in row.items() if isinstance(each, str)} for row in rows]
    return name, list(zip(keys, answered(name, rows, tasks), strict=True))


def offers(bundle: Bundle, answered: Answered, table: str, rows: Sequence[Row], k: int) -> tuple[str, list[tuple[int, float, dict[str, float]]]]:
    """(The table, the k best rows: place, score, answers) of a table about users and offers, by its first task that answers a chance."""
    fits = offered(bundle)
    name = table_of(bundle, table, list(fits), "offers")
    answers = answered(name, rows, None)
    column = f"{fits[name]}.{list(bundle.network.task(fits[name]).columns())[-1]}"
    order = sorted(range(len(answers)), key=lambda i: (-answers[i][column], i))[:k]
    return name, [(i, answers[i][column], answers[i]) for i in order]

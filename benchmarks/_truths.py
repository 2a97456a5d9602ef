"""What the oracles of a planted world answer to the questions that a model was asked, in the form of the model's own answers."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from banyan.evaluation.questions import Question
from banyan.features.data import Data
from banyan.features.stock import ITEM, USER
from banyan.store.schema import Store
from banyan.store.world import World
from banyan.store.world.labels import STAGES
from banyan.types import Array

Sheets = Mapping[str, pl.DataFrame]  # samples table -> one oracle answer a row


def answers(world: World, store: Store, data: Data, questions: Mapping[str, Question], level: str) -> dict[str, Array]:
    """Task -> (n, columns) answers of `popularity`, `bayes` or `full` to each question; (n, 1) ranks for a ranking.

    Raises ValueError where a samples table does not have the rows of its oracle, in their order.
    """
    return {name: _answer(world, store, data, q, level) for name, q in questions.items()}


def _answer(world: World, store: Store, data: Data, question: Question, level: str) -> Array:
    if data.plan.tables[question.table].ranking:
        return _ranks(world, data, question, level)
    sheet, kind = world.oracle[question.table], store.tasks[question.task].kind
    if len(sheet) != len(data.tables[question.table]):
        raise ValueError(f"samples.{question.table} has {len(data.tables[question.table])} rows and its oracle {len(sheet)}.")
    target = data.plan.targets[question.task]
    wanted = target.names
    if kind == "tags":
        wanted = target.classes or target.names
    elif kind == "classes":
        wanted = tuple(f"{target.names[0]}.{STAGES.index(each)}" for each in target.classes)
    elif kind == "graded":
        wanted = tuple(f"{target.names[0]}.{code}" for code in range(len(target.classes)))
    found = sheet.select(f"{each}.{level}" for each in wanted)[question.rows].to_numpy().astype(np.float64)
    return found @ np.arange(found.shape[1])[:, None] if kind == "graded" else found


def _ranks(world: World, data: Data, question: Question, level: str) -> Array:
    """The oracle's rank of each item viewed, found by user, time and item."""
    table, ids = data.tables[question.table], data.stock.ids
    assert table.moment is not None
    assert table.targets is not None
    offsets, items = table.targets
    if (np.diff(offsets)[question.rows] != 1).any():
        raise ValueError(f"samples.{question.table}: the oracle knows one item a row.")
    asked = pl.DataFrame(
        {
            "user_id": np.asarray(ids[USER])[table.entities[USER][question.rows] - 1],
            "ts": pl.Series(table.moment.time[question.rows]).cast(pl.Datetime("us")),
            "item_id": np.asarray(ids[ITEM])[items[offsets[question.rows]] - 1],
        }
    )
    found = asked.join(world.oracle["next"], on=["user_id", "ts", "item_id"], how="left", maintain_order="left")[f"rank.{level}"]
    if len(found) != len(asked) or found.null_count():
        raise ValueError(f"samples.{question.table}: {found.null_count()} of {len(asked)} rows have no answer in the oracle.")
    return found.to_numpy()[:, None]

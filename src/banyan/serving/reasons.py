"""Why an item stands where it stands: what its score would be without each source of the row, and which items of the past are like it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from banyan.features.stock import USER
from banyan.serving.answering import Question
from banyan.serving.asking import Reason
from banyan.serving.visit import Visit
from banyan.types import Array

PAST = 3  # items of the past that are named
LOOKED = 200  # newest events among which they are looked for
ALIKE = 0.2  # least cosine of an item of the past that speaks for one


def without(visit: Visit) -> Mapping[str, Question]:
    """Source of the row -> the same question without it: the missing user, no past, no pair features, an unknown scenario."""
    question = visit.question
    found = {}
    if any(USER in batch.entities for batch in question.batches.values()):
        nobody = {
            name: replace(b, entities={k: torch.zeros_like(v) if k == USER else v for k, v in b.entities.items()}) for name, b in question.batches.items()
        }
        found["user"] = question.but(nobody)
    if any(batch.past is not None for batch in question.batches.values()):
        found["history"] = question.but({name: replace(b, past=None) for name, b in question.batches.items()})
    if visit.past.stock.log is not None:
        found["pair"] = replace(question, paired=False)
    if visit.scenario:
        samples = list(question.batches)
        found["context"] = visit.answering.question(visit.past, visit.user, 0, visit.now, samples)
    return found


def changes(visit: Visit, rows: Array, scored: Callable[[Question], Array]) -> list[list[Reason]]:
    """For each item what each source did to its score, the largest first. `scored` gives (K,) scores of a question."""
    whole = scored(visit.question)
    moved = {kind: whole - scored(question) for kind, question in without(visit).items()}
    found = []
    for i in range(len(rows)):
        each = [Reason(kind, float(change[i])) for kind, change in moved.items() if change[i] != 0]
        found.append(sorted(each, key=lambda reason: -abs(reason.weight)))
    return found


def kindred(visit: Visit, rows: Array, vectors: Array | None) -> list[list[Reason]]:
    """For each item the items of the past that are most like it, by the cosine of their vectors; `vectors` (rows, H) by row number."""
    if visit.past.stock.log is None:
        return [[] for _ in rows]
    past = visit.pasts.item[-LOOKED:]
    past = np.unique(past[past > 0])
    if vectors is None or not len(past):
        return [[] for _ in rows]
    last = len(vectors) - 1
    near = unit(vectors[np.minimum(rows, last)]) @ unit(vectors[np.minimum(past, last)]).T
    found = []
    for row, likeness in zip(rows.tolist(), near, strict=True):
        best = [i for i in np.argsort(-likeness, kind="stable")[: PAST + 1].tolist() if past[i] != row and likeness[i] >= ALIKE][:PAST]
        found.append([Reason("past", float(likeness[i]), visit.naming.id(int(past[i]))) for i in best])
    return found


def unit(vectors: Array) -> Array:
    """Each row at length 1; zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))

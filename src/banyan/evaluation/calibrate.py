"""Fits each task's map of answers on the validation part, and leaves it in the network."""

from collections.abc import Mapping

import numpy as np

from banyan import parts
from banyan.evaluation.questions import MOST, Question, ask
from banyan.features.step import Feeder
from banyan.inference import predict
from banyan.model import Network
from banyan.store.schema import TaskSpec
from banyan.types import VALID, Array


def calibrate(network: Network, feeder: Feeder, tasks: Mapping[str, TaskSpec], *, most: int | None = MOST, seed: int = 0) -> None:
    """Give the network a map for every task that asks for one (`calibration: ...`), fitted on at most `most` validation rows.

    Rows count with their weights, 1 / sampling rate among them, so it is the unsampled population that an answer speaks of. Validation rows
    chose the epoch too; test rows are never looked at.
    """
    wanted = {name: spec for name, spec in tasks.items() if spec.calibration is not None}
    for name, q in ask(feeder.data, wanted, VALID, most=most, seed=seed).items():
        part = network.task(name)
        found = parts.build("calibration", wanted[name].calibration or "none", part.answers)
        if len(q):
            answer = predict(network, feeder, q.table, q.rows, [name], calibrated=False)[name]
            found.fit(answer, _columns(q, answer.shape[1]), q.seen, q.weight, part.bounds)
        network.calibration[name] = found


def _columns(question: Question, columns: int) -> Array:
    """(n, C) labels in the unit of the answer: of classes, 1 in the column of the row's own."""
    value = question.value
    if value.ndim == 1:
        return np.asarray(value[:, None] == np.arange(columns), np.float64)
    return value

"""Self-training: after a warm-up the model labels the training rows of a task that have no label, and goes on learning from its own answers.

Only rows of the training part are labelled, so nothing of validation or test is learned by heart; a true label always wins.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from banyan import parts
from banyan.features.given import Given
from banyan.features.step import Feeder
from banyan.inference import predict
from banyan.model import Network
from banyan.store.schema import PseudoSpec, TaskSpec
from banyan.types import TRAIN, VALID, Array

CALIBRATED_ON = 20_000  # validation rows


class Pseudo:
    """The labels given so far, and when they are given anew (Lee, ICML workshops 2013; with the student's noise, Xie et al., CVPR 2020)."""

    def __init__(self, network: Network, feeder: Feeder, tasks: Mapping[str, TaskSpec], rows: Mapping[str, Array], seed: int) -> None:
        """`rows`: table -> the rows that train anyhow, since some task has a true label there."""
        self.network, self.feeder, self.tasks, self.seed = network, feeder, dict(tasks), seed
        self.specs: dict[str, PseudoSpec] = {name: spec.pseudo_labels for name, spec in tasks.items() if spec.pseudo_labels is not None}
        self.dealt = {name: np.sort(each) for name, each in rows.items()}
        self.given: dict[str, Given] = {}
        self.loose: dict[str, Array] = {}  # table -> rows that train only by the labels given

    def due(self, epochs: int) -> bool:
        """Whether labels are given after so many epochs."""
        return any(self._due(spec, epochs) for spec in self.specs.values())

    @staticmethod
    def _due(spec: PseudoSpec, epochs: int) -> bool:
        return epochs >= spec.after and (epochs - spec.after) % spec.every == 0

    def label(self, epochs: int) -> dict[str, dict[str, float]]:
        """Give labels by the network as it is now; task -> how many rows lack one, were asked about, got one, and the mean confidence of those."""
        said = {}
        for number, (name, spec) in enumerate(self.specs.items()):
            if self._due(spec, epochs):
                lacking = self._lacking(name)
                asked = lacking
                if len(asked) > spec.most:
                    rng = np.random.default_rng([self.seed, 3, number, epochs])
                    asked = np.sort(rng.choice(asked, spec.most, replace=False))
                said[name] = {"unlabelled": float(len(lacking)), "asked": float(len(asked)), "labelled": 0.0}
                self.given.pop(name, None)
                if len(asked) and len(given := self._labelled(name, spec, asked)):
                    self.given[name] = given
                    said[name] |= {"labelled": float(len(given)), "confidence": float(given.confidence.mean())}
        self._sort()
        return said

    def _lacking(self, name: str) -> Array:
        """Training rows without the task's label."""
        table = self.feeder.data.tables[self.tasks[name].samples]
        return np.flatnonzero((table.part == TRAIN) & ~table.labels[name].seen[:, 0])

    def _labelled(self, name: str, spec: PseudoSpec, rows: Array) -> Given:
        answer = self._answers(name, rows, spec)
        single = answer.shape[1] == 1
        confidence = np.maximum(answer, 1 - answer)[:, 0] if single else answer.max(1)
        kept = confidence >= spec.confidence
        value = answer if spec.soft else (answer > 0.5).astype(np.float32) if single else answer.argmax(1)
        return Given(rows[kept], value[kept], confidence[kept], spec.weight)

    def _answers(self, name: str, rows: Array, spec: PseudoSpec) -> Array:
        """(n, C) float32 chances, with `calibrated` through a temperature that validation rows chose."""
        table, data = self.tasks[name].samples, self.feeder.data.tables[self.tasks[name].samples]
        answer = predict(self.network, self.feeder, table, rows, [name], calibrated=False)[name]
        labels, part = data.labels[name], self.network.task(name)
        valid = np.flatnonzero((data.part == VALID) & labels.settled[:, 0])[:CALIBRATED_ON] if spec.calibrated else np.zeros(0, np.int64)
        if len(valid) and len(rows):
            map_ = parts.build("calibration", "temperature", part.answers)
            true = labels.value[valid]
            true = (true[:, None] == np.arange(answer.shape[1])).astype(np.float64) if true.ndim == 1 else true
            judged = predict(self.network, self.feeder, table, valid, [name], calibrated=False)[name]
            map_.fit(judged, true, labels.seen[valid], data.weight[valid], part.bounds)
            answer = map_.apply(answer)
        return answer.astype(np.float32)

    def _sort(self) -> None:
        """Which rows no task has a true label for: they are dealt beside the others."""
        by_table: dict[str, list[Array]] = {}
        for name, given in self.given.items():
            table = self.tasks[name].samples
            by_table.setdefault(table, []).append(given.rows[~np.isin(given.rows, self.dealt[table])])
        self.loose = {table: np.unique(np.concatenate(each)) for table, each in by_table.items()}

    def beside(self, picks: Mapping[str, Array], rng: np.random.Generator) -> dict[str, Array]:
        """A step's rows and, for tables with rows that have given labels only, as many of those as `ratio` says."""
        found = dict(picks)
        for table, loose in self.loose.items():
            ratio = max(self.specs[name].ratio for name in self.given if self.tasks[name].samples == table)
            count = min(round(ratio * len(picks.get(table, ()))), len(loose))
            if count:
                found[table] = np.concatenate([picks[table], loose[np.unique(rng.integers(0, len(loose), count))]])
        return found

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps; nothing where no labels are given."""
        found = {}
        for name, given in self.given.items():
            for key in ("rows", "value", "confidence"):
                found[f"{name}/{key}"] = torch.from_numpy(np.ascontiguousarray(getattr(given, key)))
        return found

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        arrays: dict[str, Any] = {key: tensor.numpy() for key, tensor in state.items()}
        self.given = {
            name: Given(arrays[f"{name}/rows"], arrays[f"{name}/value"], arrays[f"{name}/confidence"], spec.weight)
            for name, spec in self.specs.items()
            if f"{name}/rows" in arrays
        }
        self._sort()


def told(record: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What a run's last labels were, a sentence a task."""
    said = []
    for task, each in record.items():
        asked = f"{each['asked']:,.0f} of them asked about, " if each["asked"] < each["unlabelled"] else ""
        sure = f" at a mean confidence of {each['confidence']:.2f}" if "confidence" in each else ""
        said.append(f"{task}: {each['unlabelled']:,.0f} training rows without a label, {asked}{each['labelled']:,.0f} got one from the model{sure}.")
    return said


__all__ = ["Pseudo", "told"]

"""Answers that are one class of several."""

from typing import NamedTuple

import numpy as np

from banyan.metrics.rows import TINY, mean, weights
from banyan.types import Array


class Macro(NamedTuple):
    """Precision, recall and F1, each the plain mean over the classes for which it is defined."""

    precision: float
    recall: float
    f1: float


def accuracy(predicted: Array, code: Array, weight: Array | None = None) -> float:
    """Share of rows whose predicted code is right."""
    return mean(np.equal(np.asarray(predicted).reshape(-1), np.asarray(code).reshape(-1)), weight)


def cross_entropy(probability: Array, code: Array, weight: Array | None = None) -> float:
    """Mean negative log probability (nats) of the right class; `probability` (n, C), held above 1e-7."""
    p = np.asarray(probability, np.float64)
    right = np.take_along_axis(p, np.asarray(code, np.int64).reshape(-1, 1), 1) if len(p) else p[:, :1]
    return mean(-np.log(np.clip(right, TINY, 1.0)), weight)


def macro(predicted: Array, code: Array, classes: int, weight: Array | None = None) -> Macro:
    """Precision, recall and F1 of codes in [0, classes), each averaged over the classes for which it is defined.

    Recall needs a row of the class, precision a prediction of it, F1 either. Macro recall is also called balanced accuracy.
    """
    guess, truth = (np.asarray(each, np.int64).reshape(-1) for each in (predicted, code))
    w = weights(weight, len(guess))
    hit = np.bincount(truth, w * (guess == truth), classes)
    return macro_of_counts(hit, np.bincount(guess, w, classes), np.bincount(truth, w, classes))


def macro_of_counts(hit: Array, guessed: Array, actual: Array) -> Macro:
    """Macro figures from each class's (C,) weight of true positives, of predictions and of rows."""

    def average(top: Array, bottom: Array) -> float:
        return mean(top[bottom > 0] / bottom[bottom > 0])

    return Macro(average(hit, guessed), average(hit, actual), average(2 * hit, guessed + actual))

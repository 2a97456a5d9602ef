"""The one form that every planted score has, and the links from a score to a label: logistic, ordered, gaussian.

eta = offset + sum_k weights_k * left_k * right_k. Drawing labels, the oracles and the posterior all read the same `Score`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from banyan.types import Array


@dataclass(frozen=True)
class Score:
    """A planted score of n rows: bilinear in the latents of a left side (users, queries) and, if there is one, a right side (items)."""

    left: str
    left_row: Array  # (n,)
    weights: Array  # (n, K + 1)
    offset: Array  # (n,)
    right: str | None = None
    right_row: Array | None = None

    def __len__(self) -> int:
        return len(self.left_row)

    def take(self, rows: Array) -> "Score":
        """The same score of some rows (indices or a mask)."""
        right = None if self.right_row is None else self.right_row[rows]
        return Score(self.left, self.left_row[rows], self.weights[rows], self.offset[rows], self.right, right)

    def other(self, side: str, values: Mapping[str, Array]) -> Array:
        """(n, K + 1): what multiplies the latents of `side`: the weights times the other side's latents."""
        if self.right is None or self.right_row is None:
            return self.weights
        if side == self.left:
            return self.weights * values[self.right][self.right_row]
        return self.weights * values[self.left][self.left_row]

    def mean(self, values: Mapping[str, Array]) -> Array:
        """(n,) the score at the given latents (side -> (n, K + 1))."""
        return np.asarray(self.offset + (self.other(self.left, values) * values[self.left][self.left_row]).sum(1))

    def spread(self, values: Mapping[str, Array], covariance: Mapping[str, Array]) -> Array:
        """(n,) variance of the score when the sides' latents are independent Gaussians with these means and covariances."""
        over_left = self.other(self.left, values)
        left = covariance[self.left][self.left_row]
        total = np.einsum("ni,nij,nj->n", over_left, left, over_left, optimize=True)
        if self.right is not None and self.right_row is not None:
            over_right, right = self.other(self.right, values), covariance[self.right][self.right_row]
            total += np.einsum("ni,nij,nj->n", over_right, right, over_right, optimize=True)
            total += np.einsum("ni,nij,nij,nj->n", self.weights, left, right, self.weights, optimize=True)
        return np.asarray(total)


def sigmoid(x: Array) -> Array:
    """The logistic function, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def probability(mean: Array, variance: Array | float = 0.0) -> Array:
    """E[sigmoid(eta)] for a Gaussian eta: sigmoid(mean / sqrt(1 + pi variance / 8)) (MacKay, Neural Computation 1992)."""
    return sigmoid(mean / np.sqrt(1 + np.pi * np.asarray(variance) / 8))


def grades(mean: Array, cuts: Array, variance: Array | float = 0.0) -> Array:
    """(n, len(cuts) + 1) probabilities of ordered classes: P(y <= k) = E[sigmoid(cut_k - eta)]."""
    below = probability(cuts[None, :] - mean[:, None], np.reshape(np.asarray(variance, float), (-1, 1)))
    edges = np.concatenate([np.zeros((len(mean), 1)), below, np.ones((len(mean), 1))], axis=1)
    return np.diff(edges, axis=1)


@dataclass(frozen=True)
class Evidence:
    """Labels that speak about a score. `slope` gives the log likelihood's derivative and the (positive) curvature at eta."""

    score: Score
    label: Array  # (n,)
    link: str  # "logistic", "ordered" or "gaussian"
    cuts: Array | None = None  # ordered
    noise: float = 1.0  # gaussian: standard deviation

    def slope(self, eta: Array) -> tuple[Array, Array]:
        """(g, h), both (n,)."""
        if self.link == "gaussian":
            return (self.label - eta) / self.noise**2, np.full(len(eta), 1 / self.noise**2)
        if self.link == "logistic":
            p = sigmoid(eta)
            return self.label - p, p * (1 - p)
        edges = np.concatenate([[-np.inf], np.asarray(self.cuts), [np.inf]])
        code = self.label.astype(np.int64)
        low, high = sigmoid(edges[code] - eta), sigmoid(edges[code + 1] - eta)
        return low + high - 1, low * (1 - low) + high * (1 - high)

"""What can be known of the latents: a Gaussian posterior of each user, item and query, given features, training log and labels.

Mean-field Laplace by block Newton steps. With the other sides held, the log posterior of one latent z is concave,
    log N(z; visible, prior variance) + sum_r log p(label_r | x_r . z) + sum_views log softmax(choice),
and a step solves H dz = gradient with H = 1/prior + sum_r h_r (x_r x_r' + Cov x_r) + the choice's covariance; the covariance of the
other side enters as in variational Bayes, so that what is unsure about items does not make users look sure. Cov z = inverse of H.
The planted constants (how features map to tastes, directions, cuts, hops) are given; hidden tastes and popularities are not.
"""

from dataclasses import dataclass

import numpy as np

from banyan.store.world.log import CHUNK, Views, taste, weights
from banyan.store.world.scores import Evidence, Score
from banyan.store.world.truth import POPULARITY, K, Truth
from banyan.types import Array

FREE = {"user": K, "item": K + 1, "query": K}  # coordinates that are unknown; the rest is fixed


@dataclass
class Posterior:
    """Means (n, K + 1) and covariances (n, K + 1, K + 1) of each side's latents."""

    mean: dict[str, Array]
    covariance: dict[str, Array]

    def copy(self) -> "Posterior":
        """A copy whose sides can be replaced."""
        return Posterior(dict(self.mean), dict(self.covariance))


@dataclass
class Choices:
    """What the views say about tastes: how often each user chose after each category, and what."""

    user: Array
    item: Array
    contexts: Array  # (users, categories + 1) choices made after each category
    hop: Array  # (categories + 1, categories) exp of the log preference
    category: Array  # (items,)
    listed: Array  # (items,) bool
    sharp: float


def choices(truth: Truth, views: Views, rows: Array, listed: Array, null: bool) -> Choices:
    """The choices of some views. Items that are not listed were never among the choices."""
    groups = truth.hop.shape[0]
    contexts = np.bincount(views.user[rows] * groups + views.last[rows], minlength=len(truth.users) * groups).reshape(-1, groups)
    hop = np.exp(np.zeros_like(truth.hop) if null else truth.hop)
    return Choices(views.user[rows], views.item[rows], contexts, hop, truth.items.codes["category"], listed, taste(truth, null))


def prior(truth: Truth) -> Posterior:
    """Before any event or label: what the features say."""
    sides = {"user": truth.users, "item": truth.items, "query": truth.queries}
    mean, covariance = {}, {}
    for name, side in sides.items():
        mean[name] = side.visible.copy()
        covariance[name] = np.broadcast_to(np.diag(_variance(name)), (len(side), K + 1, K + 1)).copy()
    return Posterior(mean, covariance)


def _variance(side: str) -> Array:
    return np.array([0.5] * K + [POPULARITY**2 if side == "item" else 0.0])


def fit(truth: Truth, evidence: list[Evidence], chosen: Choices, sweeps: int = 5) -> Posterior:
    """The posterior given labels and choices: `sweeps` rounds over users, items and queries."""
    found, start = prior(truth), prior(truth)
    for _ in range(sweeps):
        for side in ("user", "item", "query"):
            update(found, start, side, evidence, chosen)
    return found


def update(found: Posterior, start: Posterior, side: str, evidence: list[Evidence], chosen: Choices) -> None:
    """One Newton step for every latent of a side, in place."""
    free = FREE[side]
    precision = 1 / _variance(side)[:free]
    gradient = precision * (start.mean[side] - found.mean[side])[:, :free]
    curvature = np.zeros((len(gradient), free, free)) + np.diag(precision)
    for each in evidence:
        if side in (each.score.left, each.score.right):
            _add_labels(gradient, curvature, side, each, found)
    if side == "user":
        _add_user_choices(gradient, curvature, found, chosen)
    elif side == "item":
        _add_item_choices(gradient, curvature, found, chosen)
    step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
    found.mean[side] = found.mean[side].copy()
    found.mean[side][:, :free] += np.clip(step, -1, 1)
    covariance = np.zeros_like(found.covariance[side])
    covariance[:, :free, :free] = np.linalg.inv(curvature)
    found.covariance[side] = covariance


def _add_labels(gradient: Array, curvature: Array, side: str, each: Evidence, found: Posterior) -> None:
    n, free = gradient.shape
    score, is_left = each.score, side == each.score.left
    row = score.left_row if is_left or score.right_row is None else score.right_row
    g, h = each.slope(score.mean(found.mean))
    x = score.other(side, found.mean)[:, :free]
    gradient += _summed(row, g[:, None] * x, n)
    own = found.mean[side]
    for i in range(free):
        for j in range(i, free):
            unsure = _unsure(score, is_left, found, i, j)
            total = np.bincount(row, h * (x[:, i] * x[:, j] + unsure), n)
            pull = np.bincount(row, h * unsure, n) if score.right else np.zeros(n)
            curvature[:, i, j] += total
            gradient[:, i] -= pull * own[:, j]
            if i != j:
                curvature[:, j, i] += total
                gradient[:, j] -= pull * own[:, i]


def _unsure(score: Score, is_left: bool, found: Posterior, i: int, j: int) -> Array | float:
    """(n,) covariance of what multiplies coordinates i and j of a side: that of the other side, weighted."""
    if score.right is None or score.right_row is None:
        return 0.0
    other, row = (score.right, score.right_row) if is_left else (score.left, score.left_row)
    return np.asarray(found.covariance[other][:, i, j][row] * score.weights[:, i] * score.weights[:, j])


def _summed(row: Array, values: Array, n: int) -> Array:
    return np.column_stack([np.bincount(row, values[:, k], n) for k in range(values.shape[1])])


def _expected(found: Posterior, chosen: Choices, low: int, high: int) -> Array:
    """(U, J) expected number of times that each user of a chunk chooses each item, in the contexts that there were."""
    chance = weights(found.mean["user"][low:high], found.mean["item"], chosen.sharp) * chosen.listed
    groups = chosen.hop.shape[1]
    sums = chance @ np.eye(groups)[chosen.category]  # (U, categories)
    total = sums @ chosen.hop.T  # (U, contexts)
    return np.asarray(chance * ((chosen.contexts[low:high] / total) @ chosen.hop)[:, chosen.category])


def _add_user_choices(gradient: Array, curvature: Array, found: Posterior, chosen: Choices) -> None:
    if not chosen.sharp:
        return
    taste_of_items, sharp = found.mean["item"][:, :K], chosen.sharp
    squares = (taste_of_items[:, :, None] * taste_of_items[:, None, :]).reshape(-1, K * K)
    gradient += sharp * _summed(chosen.user, taste_of_items[chosen.item], len(gradient))
    for low in range(0, len(gradient), CHUNK):
        high = min(low + CHUNK, len(gradient))
        expected = _expected(found, chosen, low, high)
        first = expected @ taste_of_items
        count = np.maximum(expected.sum(1), 1e-9)
        gradient[low:high] -= sharp * first
        second = (expected @ squares).reshape(-1, K, K) - first[:, :, None] * first[:, None, :] / count[:, None, None]
        curvature[low:high] += sharp**2 * second


def _add_item_choices(gradient: Array, curvature: Array, found: Posterior, chosen: Choices) -> None:
    reader = np.column_stack([chosen.sharp * found.mean["user"][:, :K], np.ones(len(found.mean["user"]))])
    squares = (reader[:, :, None] * reader[:, None, :]).reshape(len(reader), -1)
    gradient += _summed(chosen.item, reader[chosen.user], len(gradient))
    for low in range(0, len(reader), CHUNK):
        high = min(low + CHUNK, len(reader))
        expected = _expected(found, chosen, low, high)
        gradient -= expected.T @ reader[low:high]
        curvature += (expected.T @ squares[low:high]).reshape(curvature.shape)

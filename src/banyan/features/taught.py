"""What judged pairs teach about words: which words of a query matter, and which words of a title answer them though they are others.

That a title without *white* still answers *white sofa*, that one without *sofa* does not, and that *couch* does, no figure of letters can say; judgements
can. A ridge regression of the label on the words of both texts learns it, and its guess of a pair is a figure of it. Training rows read a guess that was
fitted without their own query, and all is shrunk by how well such guesses hold: where labels are noise nothing is learned. Knows no table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from banyan.features import words
from banyan.features.lexicon import Letters
from banyan.features.pairs import spans
from banyan.features.stems import tallied
from banyan.types import Array

FIGURES = ("taught",)
BUCKETS = 1 << 18  # of what is learned
ROWS = 131_072  # training rows that teach, evenly drawn: some 60 numbers of 12 bytes each
CHUNK = 4_096  # pairs looked at together
LEFT, RIGHT = 24, 64  # stems of a text that are read
LEAST = 5  # rows that must show something before it is learned
STRENGTH = 30.0  # of the ridge, in rows
CROSSED = 0.5  # what a pair of words counts beside a word
TURNS = 40  # of the conjugate gradient
FOLDS = 8
_FOUND, _LOST, _RIGHT, _BOTH = (words.mix(np.array([salt], np.uint64)) for salt in (11, 12, 13, 14))


@dataclass(frozen=True)
class Lessons:
    """What was learned, by bucket."""

    weight: Array  # (BUCKETS,) float32, 0 for what was not seen often enough


def key(entity: str, text: str, title: str) -> str:
    """The name under which lessons about two texts are kept, with which that of their figure begins."""
    return f"{entity}.{text}:item.{title}"


def plain(learned: Lessons) -> dict[str, Any]:
    """Lessons as JSON-able values."""
    held = np.flatnonzero(learned.weight)
    return {"bucket": held.tolist(), "weight": [round(each, 4) for each in learned.weight[held].tolist()]}


def restored(found: Mapping[str, Any]) -> Lessons:
    """The lessons that `plain` wrote; of nothing, none."""
    weight = np.zeros(BUCKETS, np.float32)
    if found:
        weight[np.asarray(found["bucket"], np.int64)] = found["weight"]
    return Lessons(weight)


def guess(left: Letters, left_rows: Array, right: Letters, right_rows: Array, learned: Lessons) -> Array:
    """(n, 1) float32: the label in standard deviations from its mean that the words of each pair let expect; 0 where the left text has none."""
    found = [_guessed(left, left_rows[a : a + CHUNK], right, right_rows[a : a + CHUNK], learned) for a in range(0, len(left_rows), CHUNK)]
    return np.concatenate([np.zeros(0, np.float32), *found])[:, None]


def _guessed(left: Letters, a: Array, right: Letters, b: Array, learned: Lessons) -> Array:
    if not learned.weight.any():
        return np.zeros(len(a), np.float32)
    row, bucket, value, asked = _shown(left, a, right, b)
    told = np.bincount(row, weights=learned.weight[bucket] * value, minlength=len(a))
    return np.where(asked, told, 0).astype(np.float32)


def teach(left: Letters, left_rows: Array, right: Letters, right_rows: Array, label: Array, weight: Array) -> tuple[Lessons, list[Lessons]]:
    """(What n rows teach, for each fold what those of the other folds teach).

    Ridge: w = argmin sum_i weight_i (y_i - x_i w)^2 + STRENGTH |w|^2, y the label less its mean, over its deviation. x holds what stands in the left text and
    in the right one, what of the left is lost, what the right one says, and each word of the left beside each of the right.
    """
    n = len(label)
    drawn = np.unique(np.linspace(0, n - 1, min(n, ROWS)).round().astype(np.int64)) if n else np.zeros(0, np.int64)
    y, weight = label[drawn].astype(np.float64), weight[drawn]
    deviation = float(y.std()) if n else 0.0
    if deviation == 0:
        none = Lessons(np.zeros(BUCKETS, np.float32))
        return none, [none] * FOLDS
    y = (y - y.mean()) / deviation
    x, fold = _matrix(left, left_rows[drawn], right, right_rows[drawn]), folds(left, left_rows[drawn])
    apart = [_ridge(x[fold != each], y[fold != each], weight[fold != each]) for each in range(FOLDS)]
    trust = _trust(np.concatenate([x[fold == each] @ w for each, w in enumerate(apart)]), np.concatenate([y[fold == each] for each in range(FOLDS)]))
    whole, *others = (Lessons(np.round(w * np.float32(trust), 4)) for w in (_ridge(x, y, weight), *apart))  # rounded as a bundle keeps them
    return whole, others


def _trust(guessed: Array, y: Array) -> float:
    """How much of a guess about unseen queries holds, in [0, 1]: the slope of the labels over it less two standard errors. Of noise it is 0."""
    size = float(guessed @ guessed)
    if size == 0:
        return 0.0
    slope = float(guessed @ y) / size
    error = float(np.sqrt(((y - slope * guessed) ** 2).mean() / size))
    return float(np.clip(slope - 2 * error, 0.0, 1.0))


def folds(left: Letters, left_rows: Array) -> Array:
    """(n,) in [0, FOLDS): texts of the same words share one."""
    some, of = np.unique(left_rows, return_inverse=True)
    owner, stem, _, _ = tallied(left, some)
    total = np.zeros(len(some), np.uint64)
    np.add.at(total, owner, words.mix(stem.astype(np.uint64) + words.BASE))
    return np.asarray(words.mix(total) % np.uint64(FOLDS)).astype(np.int64)[of]


def _matrix(left: Letters, a: Array, right: Letters, b: Array) -> sparse.csr_array:
    parts = []
    for start in range(0, len(a), CHUNK):
        some = slice(start, start + CHUNK)
        row, bucket, value, _ = _shown(left, a[some], right, b[some])
        parts.append(sparse.csr_array((value, (row, bucket)), shape=(len(a[some]), BUCKETS)))
    return sparse.vstack(parts, format="csr")


def _ridge(x: sparse.csr_array, y: Array, weight: Array) -> Array:
    """(BUCKETS,) by the conjugate gradient (Hestenes and Stiefel, 1952) on what enough rows show."""
    often = np.flatnonzero(np.bincount(x.indices, minlength=BUCKETS) >= LEAST)
    found = np.zeros(BUCKETS, np.float32)
    if not len(often):
        return found
    scaled = (sparse.diags_array(np.sqrt(weight).astype(np.float32)) @ x[:, often]).tocsr()
    turned = scaled.T.tocsr()
    w = np.zeros(len(often), np.float32)
    rest = turned @ (y * np.sqrt(weight)).astype(np.float32)
    way, size = rest, float(rest @ rest)
    enough = 1e-4 * size
    for _ in range(TURNS):
        if size <= enough:
            break
        bent = turned @ (scaled @ way) + np.float32(STRENGTH) * way
        step = np.float32(size / float(way @ bent))
        w, rest = w + step * way, rest - step * bent
        size, before = float(rest @ rest), size
        way = rest + np.float32(size / before) * way
    found[often] = w
    return found


def _shown(left: Letters, a: Array, right: Letters, b: Array) -> tuple[Array, Array, Array, Array]:
    """(row, bucket, value) of all that n pairs show, and (n,) whether the left text has a word."""
    (some_left, i), (some_right, j) = np.unique(a, return_inverse=True), np.unique(b, return_inverse=True)
    (owner_q, stem_q, _, _), (owner_t, stem_t, _, _) = tallied(left, some_left, LEFT), tallied(right, some_right, RIGHT)
    first_q, first_t = (np.searchsorted(owner, np.arange(len(some) + 1)) for owner, some in ((owner_q, some_left), (owner_t, some_right)))
    at_q, row_q = spans(first_q[i], first_q[i + 1])
    at_t, row_t = spans(first_t[j], first_t[j + 1])
    at_both, entry = spans(first_t[j][row_q], first_t[j + 1][row_q])
    q, t = stem_q[at_q].astype(np.uint64), stem_t[at_t].astype(np.uint64)
    beside = stem_t[at_both].astype(np.uint64)
    met = np.bincount(entry[q[entry] == beside], minlength=len(q)) > 0
    bucket = np.concatenate([_bucket(q ^ np.where(met, _FOUND, _LOST)), _bucket(t ^ _RIGHT), _bucket((q[entry] * words.BASE + beside) ^ _BOTH)])
    value = np.concatenate([np.ones(len(q) + len(t), np.float32), np.full(len(entry), CROSSED, np.float32)])
    return np.concatenate([row_q, row_t, row_q[entry]]), bucket, value, np.bincount(row_q, minlength=len(a)) > 0


def _bucket(hashed: Array) -> Array:
    return np.asarray(words.mix(hashed) >> np.uint64(64 - 18)).astype(np.int64)

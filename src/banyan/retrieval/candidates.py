"""Merged candidates: what several sources bring up, each by its own order, interleaved by their shares. Knows neither network nor state."""

from collections.abc import Mapping, Sequence

import numpy as np

from banyan.features.pairs import Pasts
from banyan.types import Array

SHARES = {"asked": 1.0, "words": 6.0, "history": 3.0, "vectors": 6.0, "popular": 1.0}  # how much of the candidates each source brings; others 3

FUSED = 60  # what is added to ranks before they are turned over


def merged(sources: Mapping[str, Array], most: int) -> tuple[Array, Array]:
    """((K,) distinct rows, at most `most`; (K, sources) bool, which sources brought each).

    Sources hold row numbers, best first. Place r of a source with share s stands at (r + 1/2) / s: a fair queue, in which no source waits for another.
    """
    names = list(sources)
    row = np.concatenate([np.zeros(0, np.int64), *(sources[name] for name in names)])
    which = np.repeat(np.arange(len(names)), [len(sources[name]) for name in names])
    turn = np.concatenate([np.zeros(0), *((np.arange(len(sources[name])) + 0.5) / SHARES.get(name, 3.0) for name in names)])
    order = np.argsort(turn, kind="stable")
    distinct, first, back = np.unique(row[order], return_index=True, return_inverse=True)
    brought = np.zeros((len(distinct), len(names)), bool)
    brought[back.reshape(-1), which[order]] = True
    kept = np.argsort(first, kind="stable")[:most]
    return distinct[kept], brought[kept]


def fused(sources: Mapping[str, Array], most: int) -> tuple[Array, Array]:
    """As `merged`, by reciprocal rank fusion: sum over sources of 1 / (60 + rank), rank from 1 (Cormack, Clarke and Buettcher, SIGIR 2009)."""
    names = list(sources)
    row = np.concatenate([np.zeros(0, np.int64), *(sources[name] for name in names)])
    which = np.repeat(np.arange(len(names)), [len(sources[name]) for name in names])
    worth = np.concatenate([np.zeros(0), *(1 / (FUSED + 1 + np.arange(len(sources[name]))) for name in names)])
    distinct, first, back = np.unique(row, return_index=True, return_inverse=True)
    brought = np.zeros((len(distinct), len(names)), bool)
    brought[back.reshape(-1), which] = True
    kept = np.lexsort((first, -np.bincount(back.reshape(-1), worth, len(distinct))))[:most]
    return distinct[kept], brought[kept]


def history(pasts: Pasts, current: Array, most: int) -> Array:
    """The items of one past, newest first, each once."""
    newest = current[pasts.item[::-1]]
    distinct, first = np.unique(newest, return_index=True)
    found = distinct[np.argsort(first, kind="stable")]
    return np.asarray(found[found > 0][:most])


def leading(scores: Array, most: int, above: float = 0.0) -> Array:
    """Places of the largest of (n,) scores that lie above a bound, best first; equal ones in the order of their places."""
    there = np.flatnonzero(scores > above)
    if len(there) > most:
        there = there[np.argpartition(-scores[there], most - 1)[:most]]
    return np.asarray(there[np.lexsort((there, -scores[there]))])


def popular(counts: Array) -> Array:
    """Row numbers by (rows,) how much they are asked for, most first; those that nobody asks for come last."""
    return np.asarray(np.argsort(-counts, kind="stable"))


def only(rows: Sequence[int] | Array, allowed: Array, most: int) -> Array:
    """The first of the rows that are allowed."""
    rows = np.asarray(rows, np.int64)
    found: list[Array] = []
    count = 0
    for start in range(0, len(rows), 16 * most):  # a filter that lets most through looks at few
        kept = rows[start : start + 16 * most]
        kept = kept[allowed[kept]]
        found.append(kept)
        count += len(kept)
        if count >= most:
            break
    return np.concatenate(found)[:most] if found else np.zeros(0, np.int64)

"""How alike words and texts are by their letters: pairs and triples of a word's letters, runs of a text's."""

import numpy as np

from banyan.features import words
from banyan.features.lexicon import Words
from banyan.features.pairs import spans
from banyan.types import Array


def alike(q: Words, t: Words, a: Array, b: Array) -> Array:
    """How alike word a of the left and word b of the right are: 1 for the same, the mean Dice coefficient of their pairs and triples of letters else."""
    (lexis_q, in_q), (lexis_t, in_t) = (np.unique(each.hash, return_index=True, return_inverse=True)[1:] for each in (q, t))
    pairs, back = np.unique(in_q[a] * len(lexis_t) + in_t[b], return_inverse=True)
    u, v = lexis_q[pairs // max(len(lexis_t), 1)], lexis_t[pairs % max(len(lexis_t), 1)]
    same = q.hash[u] == t.hash[v]
    wordy = (q.kind[u] == words.WORD) & (t.kind[v] == words.WORD)
    signs_q, signs_t = _signs(q, lexis_q), _signs(t, lexis_t)
    found = np.zeros(len(pairs), np.float32)
    for x, y in zip(signs_q, signs_t, strict=True):
        x, y = x[pairs // max(len(lexis_t), 1)], y[pairs % max(len(lexis_t), 1)]
        both = np.bitwise_count(x & y).sum(1)
        found += both / np.maximum(np.bitwise_count(x).sum(1) + np.bitwise_count(y).sum(1), 1)
    each: Array = np.where(same, 1.0, np.where(wordy, np.minimum(found, 0.99), 0.0)).astype(np.float32)[back.reshape(-1)]
    return each


def _signs(text: Words, chosen: Array) -> tuple[Array, Array]:
    """(m, 4) uint64 twice: 256 bits in which the pairs, then the triples, of each chosen word's letters are set, its ends among them."""
    length = text.length[chosen]
    at, owner = spans(np.zeros(len(chosen), np.int64), length + 2)
    inner = text.first[chosen][owner] + at - 1
    outer = (at == 0) | (at == length[owner] + 1)
    codes = np.where(outer, 32, text.codes[np.clip(inner, 0, max(len(text.codes) - 1, 0))] if len(text.codes) else 32).astype(np.uint64)
    return _bits(codes, owner, length + 2, 2), _bits(codes, owner, length + 2, 3)


def _bits(codes: Array, owner: Array, length: Array, run: int) -> Array:
    start = np.cumsum(length) - length
    at, of = spans(start, start + np.maximum(length - run + 1, 0))
    hashed = np.zeros(len(at), np.uint64)
    for step in range(run):
        hashed = hashed * words.BASE + codes[at + step]
    bit = (words.mix(hashed) >> np.uint64(56)).astype(np.int64)
    found = np.zeros((len(length), 4), np.uint64)
    np.bitwise_or.at(found, (of, bit // 64), np.uint64(1) << (bit % 64).astype(np.uint64))
    return found


def runs(q: Words, i: Array, t: Words, j: Array, n: int) -> dict[str, Array]:
    """Shares of the left text's runs of 3 and of 5 letters that the right one holds, read without what lies between words."""
    found = {}
    for run in (3, 5):
        (start_q, runs_q), (start_t, runs_t) = _run_bag(q, run), _run_bag(t, run)
        at_q, row = spans(start_q[i], start_q[i + 1])
        at_t, row_t = spans(start_t[j], start_t[j + 1])
        mine, theirs = row * (1 << 32) + runs_q[at_q], row_t * (1 << 32) + runs_t[at_t]
        shared = np.bincount(row, weights=np.isin(mine, theirs), minlength=n)
        found[f"letters{run}"] = shared / np.maximum(start_q[i + 1] - start_q[i], 1)
    return found


def _run_bag(text: Words, run: int) -> tuple[Array, Array]:
    """Offsets and 32-bit hashes of the distinct runs of letters of each text."""
    codes, owner = text.codes[text.inside].astype(np.uint64), text.owner[text.inside].astype(np.int64)
    texts = len(text.offsets) - 1
    if len(codes) < run:
        return np.zeros(texts + 1, np.int64), np.zeros(0, np.int64)
    hashed = np.zeros(len(codes) - run + 1, np.uint64)
    for step in range(run):
        hashed = hashed * words.BASE + codes[step : len(codes) - run + 1 + step]
    whole = owner[: len(hashed)] == owner[run - 1 :]
    key = np.unique(owner[: len(hashed)][whole] * (1 << 32) + (words.mix(hashed[whole]) >> np.uint64(32)).astype(np.int64))
    counts = np.bincount(key >> 32, minlength=texts)
    return np.concatenate([[0], np.cumsum(counts)]), key & 0xFFFFFFFF

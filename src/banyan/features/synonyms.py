"""Words that are asked for alike: two queries that differ in one word and lead to the same items. Counted on training rows of queries and items.

For "grey sofa" and "grey couch" the items that people took (or that were judged good) are compared. Over all such pairs of queries that differ by the same two
words w and v, with n and m items each and c of them in common,

    likeness(w, v) = sum c / sum sqrt(n m),    G(w, v) = 2 sum_cells O ln(O / E)  of the table (c, n - c, m - c, N - n - m + c)

(Dunning, 1993, on the sums; N items that queries lead to, for each pair of queries). A pair stays where c is at least TOGETHER, G at least SURE and the
likeness at least LIKE: "red" and "blue" stand in as many queries, and lead to other items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from scipy import sparse

from banyan.features import tokens
from banyan.store.shop import SampleTable, Shop
from banyan.types import TRAIN, Array

TOGETHER, SURE, LIKE = 3, 15.0, 0.25  # items in common; nats; share
LEAST = 2  # items that a query must have led to
QUERIES = 200_000  # queries that are compared, those that led to most
NEAR = 20  # queries of one item that are compared with each other
EACH, MOST = 5, 50_000  # synonyms kept of one word, and of all
LETTERS = 60  # of a word or two
BLOCK = 4_096  # queries compared at a time
PAIRS = 1_000_000  # pairs of queries that are looked at, those with most in common
PLACES = 50  # pairs of queries that two words are judged by


@dataclass(frozen=True)
class Synonym:
    """`other` is asked for like `word`."""

    word: str
    other: str
    weight: float  # likeness, 0 to 1
    together: int  # items in common


def fit(shop: Shop, queries: Sequence[tuple[str, str]]) -> list[Synonym]:
    """The synonyms that a shop's queries, (entity, text) each, and its items say, both ways, the surest first."""
    found = [synonyms(*led) for name, text in queries if (led := _led(shop, name, text)) is not None]
    whole = sorted((each for some in found for each in some), key=lambda each: -each.weight * each.together)
    return whole[:MOST]


def _led(shop: Shop, name: str, text: str) -> tuple[list[str], Array, Array] | None:
    """(texts of queries, (m,) places of queries, (m,) items that they led to)."""
    rows = [good(table, shop) for table in shop.samples.values() if name in table.entities and "item" in table.entities]
    query = np.concatenate([np.zeros(0, np.int64), *(table.entities[name][rows_] for table, rows_ in rows)])
    item = np.concatenate([np.zeros(0, np.int64), *(table.entities["item"][rows_] for table, rows_ in rows)])
    there = (query > 0) & (item > 0)
    if not there.any():
        return None
    texts = shop.entities[name].frame[text].cast(pl.String).fill_null("").to_list()
    return texts, query[there].astype(np.int64) - 1, item[there].astype(np.int64)


def good(table: SampleTable, shop: Shop) -> tuple[SampleTable, Array]:
    """(the table, its training rows in which the query led to the item): a label above 0; of grades, in the upper half of those given."""
    hit = np.zeros(len(table), bool)
    for task in shop.store.tasks.values():
        if task.samples != table.name:
            continue
        for label in [task.label] if task.label else list(task.options.get("stages", ())):
            if label in table.labels.columns and table.labels[label].dtype.is_numeric():
                values = table.labels[label].cast(pl.Float64).fill_null(np.nan).to_numpy()
                known = values[np.isfinite(values)]
                bar = (known.min() + known.max()) / 2 if task.kind == "graded" and len(known) else 0.0
                hit |= values > bar
    return table, np.flatnonzero(hit & (table.part == TRAIN))


def synonyms(texts: Sequence[str], query: Array, item: Array) -> list[Synonym]:
    """The synonyms that queries say that led to items: texts of queries, and (m,) places of queries beside (m,) items."""
    said = _texts(texts)
    place, distinct = said["place"].to_numpy(), said["said"].unique(maintain_order=True)
    made = sparse.csr_array((np.ones(len(query), np.float32), (place[query], item)), shape=(len(distinct), int(item.max(initial=0)) + 1))
    made.sum_duplicates()
    made.data[:] = 1.0
    sizes = np.diff(made.indptr)
    chosen = np.argsort(-sizes, kind="stable")[:QUERIES]
    chosen = chosen[sizes[chosen] >= LEAST]
    if len(chosen) < 2:
        return []
    words = [str(distinct[int(i)]).split(" ") for i in chosen]
    pairs = _pairs(_thinned(sparse.csr_array(made[chosen])))
    return _judged(words, sparse.csr_array(made[chosen]), pairs)


def _texts(texts: Sequence[str]) -> pl.DataFrame:
    """(said, place): each query as its words in order, and the number of that text."""
    frame = pl.DataFrame({"said": [" ".join(tokens.fold(piece.text) for piece in tokens.pieces(text)) for text in texts]})
    distinct = frame["said"].unique(maintain_order=True).to_frame().with_row_index("place")
    return frame.join(distinct, on="said", how="left", maintain_order="left")


def _thinned(made: sparse.csr_array) -> sparse.csr_array:
    """Of each item only the first queries: what everything leads to says little, and would cost the square of it."""
    columns = sparse.csc_array(made)
    rank = np.arange(columns.nnz) - np.repeat(columns.indptr[:-1], np.diff(columns.indptr))
    columns.data = np.where(rank < NEAR, columns.data, 0).astype(np.float32)
    columns.eliminate_zeros()
    return sparse.csr_array(columns)


def _pairs(made: sparse.csr_array) -> Array:
    """(p, 2) pairs of queries with LEAST items in common, those with most first."""
    turned, found = made.T.tocsr(), np.zeros((0, 3), np.int64)
    for start in range(0, made.shape[0], BLOCK):
        block = sparse.coo_array(made[start : start + BLOCK] @ turned)
        rows = block.row + start
        keep = (rows < block.col) & (block.data >= LEAST)
        found = np.concatenate([found, np.stack([rows[keep], block.col[keep], block.data[keep].astype(np.int64)], 1)])
        found = found[np.argsort(-found[:, 2], kind="stable")[:PAIRS]]
    return found[:, :2]


def _judged(words: Sequence[Sequence[str]], made: sparse.csr_array, pairs: Array) -> list[Synonym]:
    """The pairs of words whose queries lead to the same items. A pair of words is looked up wherever both stand, also where nothing is shared."""
    met = {pair for a, b in pairs.tolist() if (pair := _differ(words[a], words[b])) is not None}
    if not met:
        return []
    place = {" ".join(each): i for i, each in enumerate(words)}
    items = len(np.unique(made.indices))
    sizes, sums = np.diff(made.indptr), dict[tuple[str, str], list[float]]()
    holding: dict[str, list[int]] = {}
    for i, each in enumerate(words):
        for word in {*each, *(f"{a} {b}" for a, b in pairwise(each))}:
            holding.setdefault(word, []).append(i)
    for word, other in met:
        total = sums.setdefault((word, other), [0.0] * 5)
        for a in holding.get(word, [])[:PLACES]:
            b = place.get(_swapped(words[a], word, other))
            if b is not None and b != a:
                common = len(np.intersect1d(_items(made, a), _items(made, b), assume_unique=True))
                for k, value in enumerate((common, sizes[a], sizes[b], float(np.sqrt(sizes[a] * sizes[b])), items)):
                    total[k] += float(value)
    kept = {pair: (c / root, int(c)) for pair, (c, n, m, root, whole) in sums.items() if _sure(c, n, m, whole) and c / root >= LIKE}
    plain = {pair: told for pair, told in kept.items() if not _said_by_one(pair, kept)}
    return _few([Synonym(a, b, round(w, 4), c) for (word, other), (w, c) in plain.items() for a, b in ((word, other), (other, word))])


def _said_by_one(pair: tuple[str, str], kept: Mapping[tuple[str, str], object]) -> bool:
    """Whether one word of two says it all: sofa and "red couch" are alike because sofa and couch are."""
    turns = (pair, pair[::-1])
    return any(" " in other and any(tuple(sorted((word, each))) in kept for each in other.split(" ")) for word, other in turns)


def _items(made: sparse.csr_array, row: int) -> Array:
    return np.asarray(made.indices[made.indptr[row] : made.indptr[row + 1]])


def _differ(left: Sequence[str], right: Sequence[str]) -> tuple[str, str] | None:
    """The word (or two) in whose place the other stands, in the order of the alphabet; None for queries that differ in more, or in nothing."""
    first = 0
    while first < min(len(left), len(right)) and left[first] == right[first]:
        first += 1
    last = 0
    while last < min(len(left), len(right)) - first and left[-1 - last] == right[-1 - last]:
        last += 1
    a, b = left[first : len(left) - last], right[first : len(right) - last]
    if not 1 <= len(a) <= 2 or not 1 <= len(b) <= 2 or set(a) & set(b):
        return None
    one, two = sorted((" ".join(a), " ".join(b)))
    return (one, two) if max(len(one), len(two)) <= LETTERS else None


def _swapped(query: Sequence[str], word: str, other: str) -> str:
    return f" {' '.join(query)} ".replace(f" {word} ", f" {other} ", 1).strip()


def _sure(common: float, left: float, right: float, items: float) -> bool:
    """Whether so many in common are no accident."""
    if common < TOGETHER:
        return False
    whole = max(items, left + right - common)
    cells = np.array([[common, left - common], [right - common, whole - left - right + common]])
    expected = cells.sum(1, keepdims=True) * cells.sum(0, keepdims=True) / whole
    there = cells > 0
    return bool(2 * (cells[there] * np.log(cells[there] / expected[there])).sum() >= SURE and common > expected[0, 0])


def _few(found: Sequence[Synonym]) -> list[Synonym]:
    """Of each word the likeliest."""
    kept: list[Synonym] = []
    count: dict[str, int] = {}
    for each in sorted(found, key=lambda one: (-one.weight * one.together, one.word, one.other)):
        if count.setdefault(each.word, 0) < EACH:
            count[each.word] += 1
            kept.append(each)
    return kept

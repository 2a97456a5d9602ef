"""What pasts say of items, and how popular those are: of the item of each row, of every pair of rows and items, or of every pair as one score."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch

from banyan.features import pairs, signal_figures, text_figures
from banyan.features.statistics import Snapshots
from banyan.features.stock import ITEM, Moment, Stock
from banyan.types import Array, Side

CHUNK = 4096  # pasts looked at together
CELLS = 32_000_000  # most figures of pairs held at once


def paired(stock: Stock, entities: Mapping[str, Array], moment: Moment | None, rows: int, of: Array | None = None) -> Array:
    """(rows, P) float32 pair features of rows that name `entities`, those of their texts among them; `of` as in `pair`."""
    width = len(stock.plan.pair)
    found = pair(stock, moment, entities[ITEM], of) if moment is not None else np.zeros((rows, width), np.float32)
    said = text_figures.words(stock, entities, rows)
    found[:, width - said.shape[1] :] = said
    return found


def pair(stock: Stock, moment: Moment, item: Array, of: Array | None = None) -> Array:
    """(n, P) float32: what each row's user's past says of its item, then popularity of the item and activity of the user, then zeros for words.

    `moment` is of n rows; or, with `of` (n,), of fewer: row i stands at the moment of[i].
    """
    if of is not None and len(moment.user) == 1:
        return _pair_of_one(stock, moment, item)
    group, inverse = moment.distinct() if of is None else (moment, of)
    moment = moment if of is None else moment.take(of)
    codes, _ = stock.codes()
    found = np.zeros((len(item), len(stock.plan.pair)), np.float32)
    order = np.argsort(inverse, kind="stable")
    edges = np.searchsorted(inverse[order], np.arange(0, len(group.user) + CHUNK, CHUNK))
    for i, (a, b) in enumerate(pairwise(edges)):
        rows = order[a:b]
        _, touches = stock.touches(group.take(np.arange(i * CHUNK, min((i + 1) * CHUNK, len(group.user)))))
        figures = pairs.looked_up(touches, inverse[rows] - i * CHUNK, item[rows], codes[: len(touches)])
        found[rows, : figures.shape[1]] = figures
    signal_figures.write(stock, group, inverse, item, found)
    width = len(stock.plan.pair_keys) * len(stock.plan.behaviours) * len(pairs.FIGURES)
    if stock.snapshots is not None:
        snapshot = stock.snapshots.snapshot(moment.time)
        said = [stock.snapshots.item(codes[0][item], snapshot, moment.user, moment.fitted), stock.snapshots.user(moment.user, snapshot)]
        found[:, width : width + sum(each.shape[1] for each in said)] = np.concatenate(said, 1)
    return found


def side(stock: Stock, moment: Moment, items: Array) -> Side:
    """Pair features, popularity and signals of every row with every one of K items (B, K, F); what is mostly 0 stands where it is not."""
    codes, _ = stock.codes()
    pasts, touches = stock.touches(moment)
    width = len(stock.plan.behaviours) * len(pairs.FIGURES)
    keys = len(stock.plan.pair_keys)
    last = len(stock.plan.side) - len(stock.plan.signals)
    whole = np.arange(min(width, last), last)  # of the id alone there is little: the other keys are shared by many items
    dense = np.zeros((len(moment.user), len(items), len(whole)), np.float32)
    pieces: list[tuple[int, Array, Array]] = []
    for i, (code, touched) in enumerate(zip(codes[:keys], touches[:keys], strict=True)):
        if i == 0:
            pieces += _pieces(touched, code[items], len(items))
        else:
            _spread(touched, code[items], dense[:, :, (i - 1) * width : i * width])
    if stock.snapshots is not None:
        dense[:, :, max(keys - 1, 0) * width :] = _popularity(stock.snapshots, moment, codes[0][items])
    columns = whole.tolist()
    for figure, scores in enumerate(signal_figures.scores(stock, moment, pasts, items), last):
        if isinstance(scores, np.ndarray):
            columns.append(figure)
            dense = np.concatenate([dense, scores[..., None]], 2) if dense.shape[2] else scores[..., None]
        else:
            row = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
            pieces.append((figure, row * len(items) + scores.indices, scores.data))
    made = [(figure, torch.from_numpy(places), torch.from_numpy(np.ascontiguousarray(values))) for figure, places, values in pieces]
    return Side((*dense.shape[:2], len(stock.plan.side)), columns, torch.from_numpy(np.ascontiguousarray(dense)), made)


def weighed(stock: Stock, moment: Moment, items: Array, weights: Array) -> Array:
    """(B, K) float32: `side(moment, items) @ weights` (F,) without the F figures of every pair: most of them are 0."""
    codes, _ = stock.codes()
    pasts, touches = stock.touches(moment)
    behaviours = len(stock.plan.behaviours)
    width = behaviours * len(pairs.FIGURES)
    found = np.zeros((len(moment.user), len(items)), np.float32)
    keys = len(stock.plan.pair_keys)
    for i, (code, touched) in enumerate(zip(codes[:keys], touches[:keys], strict=True)):
        scores = touched.figures @ weights[i * width : (i + 1) * width]
        if len(found) == 1:
            found[0] += touched.of_one(scores, code[items])
        else:
            _added(touched, scores, code[items], found)
    if stock.snapshots is not None:
        _add_popularity(stock.snapshots, moment, codes[0][items], weights[keys * width : len(weights) - len(stock.plan.signals)], found)
    for scores, weight in zip(signal_figures.scores(stock, moment, pasts, items), weights[len(weights) - len(stock.plan.signals) :], strict=True):
        signal_figures.add(found, scores, float(weight))
    return found


def _pair_of_one(stock: Stock, moment: Moment, item: Array) -> Array:
    """`pair` of one moment with n items."""
    codes, _ = stock.codes()
    found = np.zeros((len(item), len(stock.plan.pair)), np.float32)
    _, touches = stock.touches(moment)
    place = 0
    for touched, code in zip(touches, codes, strict=False):
        found[:, place : place + touched.figures.shape[1]] = touched.of_one(touched.figures, code[item])
        place += touched.figures.shape[1]
    signal_figures.write(stock, moment, np.zeros(len(item), np.int64), item, found)
    if stock.snapshots is not None:
        snapshot = stock.snapshots.snapshot(moment.time)
        for said in (stock.snapshots.item(codes[0][item], snapshot, moment.user, moment.fitted), stock.snapshots.user(moment.user, snapshot)):
            found[:, place : place + said.shape[1]] = said
            place += said.shape[1]
    return found


def _add_popularity(snapshots: Snapshots, moment: Moment, items: Array, weights: Array, out: Array) -> None:
    if snapshots.clocked:
        snapshot, back = np.unique(snapshots.snapshot(moment.time), return_inverse=True)
        popular = snapshots.item(items[None, :], snapshot[:, None]) @ weights
        out += popular if len(popular) == 1 else popular[back]
        return
    block = max(1, CELLS // max(len(items) * len(weights), 1))
    for a in range(0, len(out), block):
        out[a : a + block] += _popularity(snapshots, moment.take(np.arange(a, min(a + block, len(out)))), items) @ weights


def _popularity(snapshots: Snapshots, moment: Moment, items: Array) -> Array:
    if not snapshots.clocked:
        return snapshots.item(items[None, :], np.ones((1, 1), np.int64), moment.user[:, None], moment.fitted[:, None])
    snapshot, back = np.unique(snapshots.snapshot(moment.time), return_inverse=True)
    return np.asarray(snapshots.item(items[None, :], snapshot[:, None])[back])


def _pieces(touched: pairs.Touched, codes: Array, count: int) -> list[tuple[int, Array, Array]]:
    """(figure, row * K + candidate, value) of each figure, where a row touched a candidate."""
    order = np.argsort(codes, kind="stable")
    past, code = np.divmod(touched.key, touched.size)
    first, last = (np.searchsorted(codes[order], code, side=side) for side in ("left", "right"))
    at, owner = pairs.spans(first, last)  # versions of one item share a code
    places = past[owner] * count + order[at]
    return [(figure, places, touched.figures[owner, figure]) for figure in range(touched.figures.shape[1])]


def _added(touched: pairs.Touched, scores: Array, codes: Array, out: Array) -> None:
    """Add each row's score (t,) of each code that it touched to `out` (rows, K), wherever that code stands among K codes."""
    distinct, back = np.unique(codes, return_inverse=True)
    past, code = np.divmod(touched.key, touched.size)
    place = np.minimum(np.searchsorted(distinct, code), len(distinct) - 1)
    hit = distinct[place] == code
    if len(distinct) == len(codes) and (np.diff(codes) > 0).all():
        out[past[hit], place[hit]] += scores[hit]  # each (row, code) stands in `touched` once
        return
    dense = np.zeros((len(out), len(distinct)), np.float32)
    dense[past[hit], place[hit]] = scores[hit]
    for row, each in enumerate(dense):
        out[row] += each[back]


def _spread(touched: pairs.Touched, codes: Array, out: Array) -> None:
    """Write the figures of each row with each of K codes into `out` (rows, K, F), which holds zeros."""
    distinct, back = np.unique(codes, return_inverse=True)
    past, code = np.divmod(touched.key, touched.size)
    place = np.minimum(np.searchsorted(distinct, code), len(distinct) - 1)
    hit = distinct[place] == code
    if len(distinct) == len(codes) and (np.diff(codes) > 0).all():
        out[past[hit], place[hit]] = touched.figures[hit]
        return
    dense = np.zeros((len(out), len(distinct), touched.figures.shape[1]), np.float32)
    dense[past[hit], place[hit]] = touched.figures[hit]
    out[:] = dense[:, back]

"""What the feature code reads beside a row itself: the entities' columns, the event log, the statistics. The same in training and in serving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import polars as pl
import torch
from scipy import sparse

from banyan.features import collaborative, pairs, word_match, word_pairs
from banyan.features.columns import DAY, Values, lettered
from banyan.features.pairs import Pasts
from banyan.features.plan import Plan
from banyan.features.statistics import Snapshots
from banyan.store.entities import newest
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array, Side

USER, ITEM = "user", "item"
CHUNK = 4096  # pasts looked at together
SCORED = 512  # pasts whose scores of all items are looked at together
SIGNAL = "signal:"  # begins the name of a signal's figure
NEAR = "nearness"  # the figure that compares sentence vectors
CELLS = 32_000_000  # most figures of pairs held at once


@dataclass(frozen=True)
class Moment:
    """Where rows stand in the log: whose past, up to which event, seen from when. Arrays of one length n."""

    user: Array  # (n,) row numbers, of each user the newest: its events lie there
    end: Array  # (n,) int64 position after the last event; -1 without a past
    time: Array  # (n,) int64 microseconds or order; of the log's last event where rows have no time
    exclude: Array  # (n,) int64 position of an event that does not count, or -1
    fitted: Array  # (n,) bool: rows that training fits; without a clock their statistics hold fewer users

    def take(self, rows: Array) -> "Moment":
        """The moments of some rows."""
        return Moment(self.user[rows], self.end[rows], self.time[rows], self.exclude[rows], self.fitted[rows])


@dataclass
class Stock:
    """Entities as columns (row 0 is the missing one), the log, and statistics over it."""

    plan: Plan
    entities: dict[str, Values]
    ids: dict[str, Array]  # entity -> (rows,) text; ids[r - 1] is row r's
    log: EventLog | None = None
    snapshots: Snapshots | None = None
    signals: collaborative.Fitted | None = None
    length: int = 50  # L
    pair_last: int = 1000
    narrowed: EventLog | None = None  # the log of the behaviours that histories hold
    places: Array | None = None  # (events + 1,) int64: position in `log` -> position in `narrowed`
    since: dict[str, Array] = field(default_factory=dict)  # entity with several rows an id -> (rows,) int64 microseconds from which each row holds
    _codes: tuple[list[Array], list[int]] | None = field(default=None, init=False, repr=False, compare=False)
    _lexicons: dict[str, word_match.Lexicon] = field(default_factory=dict, init=False, repr=False, compare=False)
    _touched: tuple[tuple[int, ...], tuple[Pasts, list[pairs.Touched]]] | None = field(default=None, init=False, repr=False, compare=False)

    def narrow(self, behaviours: Sequence[str] | None) -> None:
        """Let histories hold only these behaviours."""
        if self.log is None:
            return
        if behaviours is None or set(behaviours) >= set(self.log.behaviours):
            self.narrowed, self.places = self.log, None
            return
        keep = np.isin(self.log.behaviour, [i for i, b in enumerate(self.log.behaviours) if b in behaviours])
        self.places = np.concatenate([[0], np.cumsum(keep)])
        kept = {key: getattr(self.log, key)[keep] for key in ("item", "behaviour", "time", "scenario", "value")}
        self.narrowed = replace(self.log, start=self.places[self.log.start], **kept)

    def current(self, entity: str) -> Array:
        """(rows,) int64: for each row number that of the newest row of the same id; a thing stays the same when its features change."""
        rows = np.arange(len(self.entities[entity]), dtype=np.int64)
        if entity in self.since:
            found = newest(EntityFrame(entity, pl.DataFrame(), self.ids[entity], self.since[entity]))
            rows[: len(found)] = found
        return rows

    def codes(self) -> tuple[list[Array], list[int]]:
        """For each pair key: item row -> code, and how many codes there are. Made once: a step's work does not grow with the items."""
        if self._codes is None:
            self._codes = self._coded()
        return self._codes

    def _coded(self) -> tuple[list[Array], list[int]]:
        values, layout = self.entities[ITEM], self.plan.entities[ITEM]
        codes, sizes = [self.current(ITEM)], [len(values)]
        for key in self.plan.pair_keys[1:]:
            book = self.plan.books[layout.categories[key]]
            codes.append(values.ids[:, list(layout.categories).index(key)].astype(np.int64) - book.offset)
            sizes.append(len(book))
        return codes, sizes

    def pasts(self, moment: Moment, most: int) -> Pasts:
        """The newest `most` events before each moment, those excluded left out."""
        assert self.log is not None
        start = np.maximum(self.log.start[moment.user], moment.end - most)
        at, owner = pairs.spans(start, moment.end)
        keep = at != moment.exclude[owner]
        at, owner = at[keep], owner[keep]
        return Pasts(owner, self.log.item[at], self.log.behaviour[at], self._age(moment, at, owner))

    def _age(self, moment: Moment, at: Array, owner: Array) -> Array:
        assert self.log is not None
        if self.log.clock == "time":
            return np.maximum((moment.time[owner] - self.log.time[at]) / DAY, 0).astype(np.float32)
        if self.log.clock == "order":
            return (moment.end[owner] - 1 - at).astype(np.float32)
        return np.zeros(len(at), np.float32)

    def had(self, moment: Moment, behaviours: Sequence[str]) -> tuple[Array, Array]:
        """((m,) places of the moments, (m,) item row numbers) of what each past holds by one of the behaviours, as far back as the log goes."""
        assert self.log is not None
        at, owner = pairs.spans(self.log.start[moment.user], moment.end)
        mine = np.isin(self.log.behaviour[at], [self.log.behaviours.index(b) for b in behaviours]) & (at != moment.exclude[owner])
        item = self.codes()[0][0][self.log.item[at[mine]]]
        return owner[mine][item > 0], item[item > 0]

    def _touches(self, moment: Moment) -> tuple[Pasts, list[pairs.Touched]]:
        """The pasts, and what they touched of each pair key. Of one past it is kept until another is asked about: a question reads it several times."""
        key = tuple(int(each[0]) for each in (moment.user, moment.end, moment.time, moment.exclude)) if len(moment.user) == 1 else None
        if key is not None and self._touched is not None and self._touched[0] == key:
            return self._touched[1]
        pasts, (codes, sizes) = self.pasts(moment, self.pair_last), self.codes()
        keys = len(self.plan.pair_keys)
        found = pasts, [pairs.touched(pasts, code[pasts.item], size, len(self.plan.behaviours)) for code, size in zip(codes[:keys], sizes[:keys], strict=True)]
        if key is not None:
            self._touched = key, found
        return found

    def pair(self, moment: Moment, item: Array, of: Array | None = None) -> Array:
        """(n, P) float32: what each row's user's past says of its item, then popularity of the item and activity of the user, then zeros for words.

        `moment` is of n rows; or, with `of` (n,), of fewer: row i stands at the moment of[i].
        """
        if of is not None and len(moment.user) == 1:
            return self._pair_of_one(moment, item)
        group, inverse = _groups(moment) if of is None else (moment, of)
        moment = moment if of is None else moment.take(of)
        codes, _ = self.codes()
        found = np.zeros((len(item), len(self.plan.pair)), np.float32)
        order = np.argsort(inverse, kind="stable")
        edges = np.searchsorted(inverse[order], np.arange(0, len(group.user) + CHUNK, CHUNK))
        for i, (a, b) in enumerate(pairwise(edges)):
            rows = order[a:b]
            _, touches = self._touches(group.take(np.arange(i * CHUNK, min((i + 1) * CHUNK, len(group.user)))))
            figures = pairs.looked_up(touches, inverse[rows] - i * CHUNK, item[rows], codes[: len(touches)])
            found[rows, : figures.shape[1]] = figures
        self._pair_signals(group, inverse, item, found)
        width = len(self.plan.pair_keys) * len(self.plan.behaviours) * len(pairs.FIGURES)
        if self.snapshots is not None:
            snapshot = self.snapshots.snapshot(moment.time)
            said = [self.snapshots.item(codes[0][item], snapshot, moment.user, moment.fitted), self.snapshots.user(moment.user, snapshot)]
            found[:, width : width + sum(each.shape[1] for each in said)] = np.concatenate(said, 1)
        return found

    def _pair_of_one(self, moment: Moment, item: Array) -> Array:
        """`pair` of one moment with n items."""
        codes, _ = self.codes()
        found = np.zeros((len(item), len(self.plan.pair)), np.float32)
        _, touches = self._touches(moment)
        place = 0
        for touched, code in zip(touches, codes, strict=False):
            found[:, place : place + touched.figures.shape[1]] = touched.of_one(touched.figures, code[item])
            place += touched.figures.shape[1]
        self._pair_signals(moment, np.zeros(len(item), np.int64), item, found)
        if self.snapshots is not None:
            snapshot = self.snapshots.snapshot(moment.time)
            for said in (self.snapshots.item(codes[0][item], snapshot, moment.user, moment.fitted), self.snapshots.user(moment.user, snapshot)):
                found[:, place : place + said.shape[1]] = said
                place += said.shape[1]
        return found

    def words(self, entities: Mapping[str, Array], rows: int) -> Array:
        """(n, W) float32: what the texts of each row's things say of its item; 0 where the row has no such thing."""
        plan, found = self.plan, []
        for entity, text, title in plan.words:
            there = entity in entities and ITEM in entities
            found.append(self._shared(entity, text, title, entities) if there else np.zeros((rows, len(word_pairs.FIGURES)), np.float32))
            if title in plan.lexicons:
                found.append(self._matched(entity, text, title, entities) if there else np.zeros((rows, len(word_match.FIGURES)), np.float32))
        for entity, text, title in plan.near:
            there = entity in entities and ITEM in entities
            found.append(self._nearness(entity, text, title, entities) if there else np.zeros((rows, 1), np.float32))
        return np.concatenate([np.zeros((rows, 0), np.float32), *found], 1)

    def _shared(self, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
        left, right = self._grams(entity, text), self._grams(ITEM, title)
        return word_pairs.compare(left, entities[entity], right, entities[ITEM], np.asarray(self.plan.idf[title]))

    def _matched(self, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
        if title not in self._lexicons:
            self._lexicons[title] = word_match.restored(self.plan.lexicons[title])
        left, right = (word_match.Letters(*self.entities[name].bags[lettered(key)]) for name, key in ((entity, text), (ITEM, title)))
        rows = np.broadcast_arrays(entities[entity], entities[ITEM])
        return word_match.match(left, rows[0].astype(np.int64), right, rows[1].astype(np.int64), self._lexicons[title])

    def _nearness(self, entity: str, text: str, title: str, entities: Mapping[str, Array]) -> Array:
        """(n, 1) the cosine of two sentence vectors; 0 where one is missing."""
        left, right = self.entities[entity].dense[text], self.entities[ITEM].dense[title]
        rows = np.broadcast_arrays(entities[entity], entities[ITEM])
        found = [np.einsum("ne,ne->n", left[rows[0][a : a + SCORED]], right[rows[1][a : a + SCORED]]) for a in range(0, len(rows[0]), SCORED)]
        return np.concatenate([np.zeros(0, np.float32), *found])[:, None].astype(np.float32)

    def _grams(self, entity: str, text: str) -> word_pairs.Bag:
        offsets, ids = self.entities[entity].bags[text]
        return offsets, ids, self.plan.entities[entity].texts[text][0]

    def side(self, moment: Moment, items: Array) -> Side:
        """Pair features, popularity and signals of every row with every one of K items (B, K, F); what is mostly 0 stands where it is not."""
        codes, _ = self.codes()
        pasts, touches = self._touches(moment)
        width = len(self.plan.behaviours) * len(pairs.FIGURES)
        keys = len(self.plan.pair_keys)
        last = len(self.plan.side) - len(self.plan.signals)
        whole = np.arange(min(width, last), last)  # of the id alone there is little: the other keys are shared by many items
        dense = np.zeros((len(moment.user), len(items), len(whole)), np.float32)
        pieces: list[tuple[int, Array, Array]] = []
        for i, (code, touched) in enumerate(zip(codes[:keys], touches[:keys], strict=True)):
            if i == 0:
                pieces += _pieces(touched, code[items], len(items))
            else:
                _spread(touched, code[items], dense[:, :, (i - 1) * width : i * width])
        if self.snapshots is not None:
            dense[:, :, max(keys - 1, 0) * width :] = self._popularity(self.snapshots, moment, codes[0][items])
        columns = whole.tolist()
        for figure, scores in enumerate(self._sided(moment, pasts, items), last):
            if isinstance(scores, np.ndarray):
                columns.append(figure)
                dense = np.concatenate([dense, scores[..., None]], 2) if dense.shape[2] else scores[..., None]
            else:
                row = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
                pieces.append((figure, row * len(items) + scores.indices, scores.data))
        made = [(figure, torch.from_numpy(places), torch.from_numpy(np.ascontiguousarray(values))) for figure, places, values in pieces]
        return Side((*dense.shape[:2], len(self.plan.side)), columns, torch.from_numpy(np.ascontiguousarray(dense)), made)

    def _pair_signals(self, group: Moment, inverse: Array, item: Array, out: Array) -> None:
        """Write what the signals say of each row's item into their columns of `out` (n, P); `inverse` (n,) is each row's place in `group`."""
        columns = [i for i, name in enumerate(self.plan.pair) if name.startswith(SIGNAL)]
        if not columns:
            return
        order = np.argsort(inverse, kind="stable")
        edges = np.searchsorted(inverse[order], np.arange(0, len(group.user) + SCORED, SCORED))
        for i, (a, b) in enumerate(pairwise(edges)):
            rows, first = order[a:b], i * SCORED
            moment = group.take(np.arange(first, min(first + SCORED, len(group.user))))
            wanted, back = np.unique(item[rows], return_inverse=True)
            for column, scores in zip(columns, self._signals(moment, self.pasts(moment, self.pair_last), wanted), strict=True):
                out[rows, column] = np.asarray(scores[inverse[rows] - first, back.reshape(-1)]).reshape(-1)

    def _signals(self, moment: Moment, pasts: Pasts, items: Array) -> list[collaborative.Scores]:
        """(B, K) scores of each signal."""
        if self.signals is None:
            return []
        assert self.log is not None
        codes, _ = self.codes()
        found = self.signals.scores(self.log, codes[0], pasts, moment.user, moment.time, moment.fitted)
        return [collaborative.of_items(each, codes[0][items]) for each in found]

    def _sided(self, moment: Moment, pasts: Pasts, items: Array) -> list[collaborative.Scores]:
        """(B, K) scores of each signal, then, where the plan names them, each one's products with what the past holds by each behaviour."""
        found = self._signals(moment, pasts, items)
        if len(self.plan.signals) == len(found):
            return found
        codes, _ = self.codes()
        held = [self._held(pasts, code, codes[0], items, len(moment.user)) for code in range(len(self.plan.behaviours))]
        return [*found, *(_met(scores, each) for scores in found for each in held)]

    def _held(self, pasts: Pasts, behaviour: int, codes: Array, items: Array, rows: int) -> sparse.csr_array:
        """(B, K) 1 where a past holds an item by a behaviour."""
        item = codes[pasts.item].astype(np.int64)
        mine = (pasts.behaviour == behaviour) & (item > 0)
        found = sparse.csr_array((np.ones(int(mine.sum()), np.float32), (pasts.past[mine], item[mine])), shape=(rows, len(codes)))
        found.sum_duplicates()
        found.data[:] = 1.0
        here = collaborative.of_items(found, codes[items])
        assert not isinstance(here, np.ndarray)
        return here

    def weighed(self, moment: Moment, items: Array, weights: Array) -> Array:
        """(B, K) float32: `side(moment, items) @ weights` (F,) without the F figures of every pair: most of them are 0."""
        codes, _ = self.codes()
        pasts, touches = self._touches(moment)
        behaviours = len(self.plan.behaviours)
        width = behaviours * len(pairs.FIGURES)
        found = np.zeros((len(moment.user), len(items)), np.float32)
        keys = len(self.plan.pair_keys)
        for i, (code, touched) in enumerate(zip(codes[:keys], touches[:keys], strict=True)):
            scores = touched.figures @ weights[i * width : (i + 1) * width]
            if len(found) == 1:
                found[0] += touched.of_one(scores, code[items])
            else:
                _added(touched, scores, code[items], found)
        if self.snapshots is not None:
            self._add_popularity(self.snapshots, moment, codes[0][items], weights[keys * width : len(weights) - len(self.plan.signals)], found)
        for scores, weight in zip(self._sided(moment, pasts, items), weights[len(weights) - len(self.plan.signals) :], strict=True):
            _plus(found, scores, float(weight))
        return found

    def _add_popularity(self, snapshots: Snapshots, moment: Moment, items: Array, weights: Array, out: Array) -> None:
        if snapshots.clocked:
            snapshot, back = np.unique(snapshots.snapshot(moment.time), return_inverse=True)
            popular = snapshots.item(items[None, :], snapshot[:, None]) @ weights
            out += popular if len(popular) == 1 else popular[back]
            return
        block = max(1, CELLS // max(len(items) * len(weights), 1))
        for a in range(0, len(out), block):
            out[a : a + block] += self._popularity(snapshots, moment.take(np.arange(a, min(a + block, len(out)))), items) @ weights

    def _popularity(self, snapshots: Snapshots, moment: Moment, items: Array) -> Array:
        if not snapshots.clocked:
            return snapshots.item(items[None, :], np.ones((1, 1), np.int64), moment.user[:, None], moment.fitted[:, None])
        snapshot, back = np.unique(snapshots.snapshot(moment.time), return_inverse=True)
        return np.asarray(snapshots.item(items[None, :], snapshot[:, None])[back])


def _met(scores: collaborative.Scores, held: sparse.csr_array) -> sparse.csr_array:
    """(B, K) scores where `held` is 1."""
    if not isinstance(scores, np.ndarray):
        return sparse.csr_array(scores.multiply(held))
    row = np.repeat(np.arange(held.shape[0]), np.diff(held.indptr))
    return sparse.csr_array((scores[row, held.indices], held.indices, held.indptr), shape=held.shape)


def _plus(out: Array, scores: collaborative.Scores, weight: float) -> None:
    """Add weight times scores (B, K) to `out`."""
    if isinstance(scores, np.ndarray):
        out += weight * scores
        return
    out[np.repeat(np.arange(len(out)), np.diff(scores.indptr)), scores.indices] += weight * scores.data


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


def _groups(moment: Moment) -> tuple[Moment, Array]:
    """Rows of one user at one moment share a past: the distinct moments, and each row's."""
    table = np.stack([moment.user.astype(np.int64), moment.end, moment.time, moment.exclude, moment.fitted.astype(np.int64)], 1)
    order = np.lexsort(table.T)
    fresh = np.concatenate([[True], (np.diff(table[order], axis=0) != 0).any(1)]) if len(order) else np.zeros(0, bool)
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.cumsum(fresh) - 1
    first = order[fresh]
    return moment.take(first), inverse


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

"""Which items may be answered, and which of them come up for a user: from vectors, the user's own past, what goes with it, and popularity."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from banyan.errors import ConfigError
from banyan.retrieval import Index, candidates, cells
from banyan.retrieval.index import Exact
from banyan.serving.answering import Answering
from banyan.serving.asking import Ask, EngineOptions
from banyan.serving.shelf import Shelf
from banyan.serving.signalled import going
from banyan.serving.visit import Visit
from banyan.store.hints import hint
from banyan.types import Array

log = logging.getLogger(__name__)
OWN = 200  # newest items of the user's own past that are candidates
GOES = 200  # items that each signal brings


@dataclass(frozen=True)
class Listed:
    """Candidates with what brought them."""

    rows: Array  # (K,) distinct item row numbers
    brought: Array  # (K, sources) bool
    sources: Sequence[str]
    words: Array | None = None  # (K,) how well the query's words fit, in [0, 1]
    parts: Mapping[str, Array] = field(default_factory=dict)  # of a search: part -> (K,) in [0, 1]
    answers: Mapping[str, Array] = field(default_factory=dict)  # of a search: `task.column` -> (K,) what a task says of the query and each item

    def take(self, chosen: Array) -> "Listed":
        """Some of them."""
        parts, answers = ({name: each[chosen] for name, each in of.items()} for of in (self.parts, self.answers))
        return Listed(self.rows[chosen], self.brought[chosen], self.sources, None if self.words is None else self.words[chosen], parts, answers)


class Finding:
    """Candidates for questions."""

    def __init__(self, answering: Answering, shelf: Shelf, ranking: str, options: EngineOptions) -> None:
        """`ranking`: the task whose vectors are compared; empty without one."""
        self.answering, self.ground, self.shelf, self.ranking, self.options = answering, answering.ground, shelf, ranking, options
        self.index = self._index()
        self.popular = candidates.popular(self._asked_for())

    def _index(self) -> Index | None:
        """Over rows 1, 2, ... of the items that the bundle knows, as the ranking task compares them."""
        if not self.ranking or self.answering.vectors is None:
            return None
        part = self.answering.network.task(self.ranking)
        vectors = part.items(self.answering.vectors[1 : self.shelf.known + 1]).cpu().numpy()
        if len(vectors) <= self.options.exact:
            return Exact(vectors)
        if not cells.available():
            log.warning("%s items are more than are compared one by one quickly (%s): install the extra `index`", len(vectors), self.options.exact)
            return Exact(vectors)
        return cells.Cells(vectors, self.options.indexes)

    def _asked_for(self) -> Array:
        """(rows,) how often each item was asked for lately, or ever: what those see of whom nothing is known."""
        snapshots, rows = self.ground.stock.snapshots, np.arange(self.shelf.rows)
        if snapshots is not None:
            now = snapshots.snapshot(np.full(1, self.ground.bundle.now))
            return np.asarray(snapshots.items.figures(rows, now).sum(1))
        log = self.ground.stock.log
        return np.zeros(len(rows)) if log is None else np.bincount(self.ground.current_item[log.item], minlength=len(rows)).astype(float)

    def candidates(self, ask: Ask, visit: Visit) -> Listed:
        """What comes up for a user, at most `options.candidates` items, each allowed."""
        allowed = self.allowed(ask, visit)
        most = self.options.candidates
        sources: dict[str, Array] = {}
        if self.ground.stock.log is not None and len(visit.pasts.item):
            sources["history"] = candidates.only(candidates.history(visit.pasts, self.ground.current_item, OWN), allowed, OWN)
            sources |= {name: candidates.only(rows, allowed, GOES) for name, rows in going(visit.past.stock, visit.question.moment, visit.pasts).items()}
        if self.index is not None:
            vector = self.answering.query(visit.question, self.ranking)
            sources["vectors"] = self.index.nearest(vector[None], most, allowed[1 : len(self.index) + 1])[0][0] + 1
        sources["popular"] = candidates.only(self.popular, allowed, most)
        rows, brought = candidates.merged(sources, most)
        return Listed(rows, brought, list(sources))

    def allowed(self, ask: Ask, visit: Visit) -> Array:
        """(rows,) bool: items that may be answered."""
        allowed = self.shelf.allowed(ask.filters)
        out = self._out(ask, visit)
        if not len(out):
            return allowed
        allowed = allowed.copy()
        allowed[out] = False
        return allowed

    def _out(self, ask: Ask, visit: Visit) -> Array:
        """Rows of items that this question leaves out by name or by the past."""
        known = self.ground.bundle.plan.behaviours
        for name in ask.filters.leave_out:
            if name not in known:
                raise ConfigError(f"filters.leave_out: the bundle knows no behaviour {name!r}.{hint(name, known)}")
        own = tuple(self.answering.network.task(self.ranking).leave_out) if self.ranking and ask.items is None else ()
        behaviours = tuple(dict.fromkeys((*ask.filters.leave_out, *own)))
        named = self.ground.items.numbered(ask.filters.items_out)
        held = visit.held(behaviours) if behaviours and self.ground.stock.log is not None else named[:0]
        return np.concatenate([self.ground.current_item[named], held])

    def matching(self, ask: Ask, visit: Visit, rows: Array) -> Array:
        """(K,) bool: which of the caller's own items stay."""
        keep = self.shelf.matching(ask.filters)[rows]
        return np.asarray(keep & ~np.isin(self.ground.current_item[rows], self._out(ask, visit)))

"""What the feature code reads beside a row itself: the entities' columns, the event log, the statistics. The same in training and in serving."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from banyan.features import catalogue, collaborative, pairs, taught
from banyan.features.catalogue import Catalogue
from banyan.features.columns import Values, lettered
from banyan.features.lexicon import Letters, Lexicon, restored
from banyan.features.lexis import Lexis
from banyan.features.pairs import Pasts
from banyan.features.plan import Plan
from banyan.features.statistics import Snapshots
from banyan.features.taught import Lessons
from banyan.features.times import DAY
from banyan.store.entities import newest
from banyan.store.shop import EntityFrame, EventLog
from banyan.types import Array

USER, ITEM = "user", "item"


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

    def distinct(self) -> tuple["Moment", Array]:
        """Rows of one user at one moment share a past: the distinct moments, and each row's."""
        table = np.stack([self.user.astype(np.int64), self.end, self.time, self.exclude, self.fitted.astype(np.int64)], 1)
        order = np.lexsort(table.T)
        fresh = np.concatenate([[True], (np.diff(table[order], axis=0) != 0).any(1)]) if len(order) else np.zeros(0, bool)
        inverse = np.empty(len(order), np.int64)
        inverse[order] = np.cumsum(fresh) - 1
        first = order[fresh]
        return self.take(first), inverse


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
    lexis: Lexis | None = None  # the words of the items' texts, for searching
    since: dict[str, Array] = field(default_factory=dict)  # entity with several rows an id -> (rows,) int64 microseconds from which each row holds
    catalogues: dict[str, Catalogue] = field(default_factory=dict, repr=False, compare=False)  # text of the items -> made when it is first asked for
    learned: dict[str, Lessons] = field(default_factory=dict, repr=False, compare=False)  # texts -> what judged pairs of them teach
    _codes: tuple[list[Array], list[int]] | None = field(default=None, init=False, repr=False, compare=False)
    _lexicons: dict[str, Lexicon] = field(default_factory=dict, init=False, repr=False, compare=False)
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

    def lexicon(self, title: str) -> Lexicon:
        """How rare the words of an item's text are."""
        if title not in self._lexicons:
            self._lexicons[title] = restored(self.plan.lexicons[title])
        return self._lexicons[title]

    def catalogue(self, title: str) -> Catalogue:
        """The texts of the items that the plan was fitted with. Copies of this stock share it."""
        if title not in self.catalogues:
            self.catalogues[title] = catalogue.catalogue(Letters(*self.entities[ITEM].bags[lettered(title)]), catalogue.rows(self.plan.catalogues[title]))
        return self.catalogues[title]

    def lessons(self, key: str) -> Lessons:
        """What judged pairs of two texts teach. Copies of this stock share it."""
        if key not in self.learned:
            self.learned[key] = taught.restored(self.plan.taught[key])
        return self.learned[key]

    def touches(self, moment: Moment) -> tuple[Pasts, list[pairs.Touched]]:
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

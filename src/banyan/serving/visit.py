"""One question on its way: whose past, seen when, read by the network once, and what the tasks answer about items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from banyan.errors import BundleError
from banyan.features.pairs import Pasts
from banyan.features.stock import Moment
from banyan.serving.answering import Answering, Question
from banyan.serving.pasts import Naming, Past
from banyan.types import Array


@dataclass(frozen=True)
class Basket:
    """An item in the hand of somebody who asks, as an event."""

    id: str
    item: str
    behaviour: str
    time: int
    scenario: str = ""
    value: float | None = None


@dataclass(frozen=True)
class Visit:
    """Answers about one user at one moment."""

    answering: Answering
    past: Past
    naming: Naming
    user: str
    scenario: int
    now: int
    pointwise: tuple[str, ...]  # the tasks about a user and an item
    ranking: str  # the ranking task; empty without one
    kept: Callable[[], Question] | None = None  # gives what was read before, where nothing happened since

    @cached_property
    def question(self) -> Question:
        """The user's row, read by the network."""
        return self.read() if self.kept is None else self.kept()

    def read(self) -> Question:
        """The user's row, read now."""
        samples = [self.answering._samples(task) for task in (*self.pointwise, *([self.ranking] if self.ranking else []))]
        return self.answering.question(self.past, self.user, self.scenario, self.now, samples, self.moment)

    @cached_property
    def moment(self) -> Moment:
        """Where the past stands."""
        return self.past.moment([self.user], self.now)

    @cached_property
    def pasts(self) -> Pasts:
        """The newest events before the moment."""
        stock = self.past.stock
        return stock.pasts(self.moment, stock.pair_last)

    def held(self, behaviours: Sequence[str]) -> Array:
        """Row numbers of the items that the past holds by one of the behaviours, as far back as the bundle's log goes."""
        return self.past.stock.had(self.moment, behaviours)[1]

    def columns(self, rows: Array, names: Sequence[str] | None = None, question: Question | None = None) -> dict[str, Array]:
        """Name -> (K,) float64 answers about K distinct items: `task.column`, and the ranking's score by its task's name. All unless `names` are given."""
        question = question or self.question
        network = self.answering.network
        found: dict[str, Array] = {}
        wanted = [t for t in self.pointwise if names is None or any(f"{t}.{c}" in names for c in network.task(t).columns())]
        if not len(rows):
            return found
        if self.ranking and (names is None or self.ranking in names):
            found[self.ranking] = self.answering.scores(question, self.ranking, rows).astype(np.float64)
        if wanted:
            answers = self.answering.answers(question, wanted, rows)
            for task in answers:
                found |= {f"{task}.{column}": each.astype(np.float64) for column, each in zip(network.task(task).columns(), answers[task].T, strict=True)}
        return finite(found)


def finite(columns: Mapping[str, Array]) -> dict[str, Array]:
    """The columns. Raises BundleError where an answer is not finite."""
    for name, each in columns.items():
        if not np.isfinite(each).all():
            raise BundleError(f"The answer {name!r} is not finite; the bundle cannot answer. Train it again.")
    return dict(columns)

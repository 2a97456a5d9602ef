"""Training events by themselves, without rows or labels: what auxiliary tasks are asked about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from banyan.features.sampling import Negatives
from banyan.features.times import DAY
from banyan.features.vocabulary import FIRST
from banyan.store.shop import EventLog
from banyan.types import MISSING, Array, Choice, Past, Stretch


@dataclass
class Stretches:
    """The events that training may see, a user's one after the other in their order. Nothing later than the cut is among them."""

    log: EventLog  # of the behaviours that histories hold
    events: Array  # (n,) int64 positions in `log`
    start: Array  # (users + 1,) int64: user u's are events[start[u] : start[u + 1]]

    @classmethod
    def of(cls, log: EventLog, usable: Array) -> "Stretches":
        """`usable` (events of `log`,): whether training may see each."""
        events = np.flatnonzero(usable)
        return cls(log, events, np.searchsorted(events, log.start))

    def __len__(self) -> int:
        return len(self.events)

    def drawn(self, rng: np.random.Generator, most: int) -> tuple[Array, Array]:
        """((n,) places in `events`, drawn evenly, at most one of a user; (n,) the users)."""
        at = np.unique(rng.integers(0, len(self.events), most))
        user = np.searchsorted(self.start, at, side="right") - 1
        order = rng.permutation(len(at))
        _, first = np.unique(user[order], return_index=True)  # of a user drawn twice, either
        kept = np.sort(order[first])
        return at[kept], user[kept]

    def up_to(self, stop: Array, user: Array, length: int) -> tuple[Array, Array]:
        """((n, L) places in `events`, newest last; (n, L) which are events): the newest `length` of each user before place `stop` (n,)."""
        longest = max(1, min(length, int(np.max(stop - self.start[user], initial=1))))
        at = stop[:, None] - np.arange(longest, 0, -1)
        mask = at >= self.start[user][:, None]
        return np.where(mask, at, 0), mask

    def item(self, places: Array) -> Array:
        """Item row numbers of places in `events`."""
        return self.log.item[self.events[places]].astype(np.int64)

    def time(self, places: Array) -> Array:
        """Microseconds, or the order, of places in `events`."""
        return self.log.time[self.events[places]]


@dataclass
class View:
    """One way to see n stretches: places in `events`, all (n, L), newest last and padded in front."""

    what: Array  # whose item and behaviour stand there
    when: Array  # whose time stands there
    mask: Array
    hidden: Array  # bool: the item is not shown


@dataclass
class Drawn:
    """What an auxiliary task asks in a step."""

    views: list[View]
    targets: Array | None = None  # (n, T) places in `events` of the events whose item is to be named, -1 padded
    asked: Array | None = None  # (n, T) where those stand in the first view, -1 padded; None where outside of it
    negatives: int = 0  # items drawn beside the targets


@runtime_checkable
class Drawer(Protocol):
    """What the feeder asks an auxiliary task for."""

    def draw(self, events: Stretches, length: int, rng: np.random.Generator) -> Drawn:
        """What it asks in a step; all that is random comes from `rng`."""
        ...


class Draft:
    """The stretches of one auxiliary task before the entities of the step are known."""

    def __init__(self, events: Stretches, drawn: Drawn, shelf: "Shelf", ask: Callable[[Array], slice], rng: np.random.Generator) -> None:
        """`ask` takes item row numbers and says where they will lie among those asked for."""
        self.events, self.drawn = events, drawn
        self.items = [ask(np.where(view.mask & ~view.hidden, events.item(view.what), MISSING)) for view in drawn.views]
        self.choice: tuple[slice, Array] | None = None
        self.places: Array | None = None
        if drawn.targets is not None:
            known = drawn.targets >= 0
            wanted = events.item(np.where(known, drawn.targets, 0))
            chosen, log_q = shelf.negatives(drawn.negatives).draw(wanted[known], rng)
            self.choice = ask(chosen), log_q
            self.places = np.where(known, np.searchsorted(chosen, wanted), -1)

    def stretch(self, found: Tensor, offset: int, add: Callable[[Array], int]) -> Stretch:
        """`found`: the place in the step's item block of every item asked for. `offset`: of behaviours in the fused table. `add` collects their ids."""
        drawn = self.drawn
        pasts = [self._past(view, found[at], offset, add) for view, at in zip(drawn.views, self.items, strict=True)]
        hidden = [torch.from_numpy(view.hidden & view.mask) for view in drawn.views]
        asked = None if drawn.asked is None else torch.from_numpy(drawn.asked.astype(np.int64))
        if self.choice is None or self.places is None:
            return Stretch(pasts, hidden, asked)
        at, log_q = self.choice
        return Stretch(pasts, hidden, asked, Choice(found[at], torch.from_numpy(log_q), None), torch.from_numpy(self.places.astype(np.int64)))

    def _past(self, view: View, items: Tensor, offset: int, add: Callable[[Array], int]) -> Past:
        """As seen from the view's newest event."""
        log, events = self.events.log, self.events.events
        behaviour = np.where(view.mask, log.behaviour[events[view.what]].astype(np.int32) + FIRST, 0) + offset
        gaps = np.zeros(view.mask.shape, np.float32)
        if log.clock == "time":
            time = self.events.time(view.when)
            gaps = np.where(view.mask, np.log1p(np.maximum((time[:, -1:] - time) / DAY, 0)), 0).astype(np.float32)
        return Past(items.view(view.mask.shape), add(behaviour.astype(np.int32)), torch.from_numpy(gaps), torch.from_numpy(view.mask))


class Shelf:
    """How often training events name each item: the odds with which others are drawn beside the right one."""

    def __init__(self, events: Stretches, items: int) -> None:
        """`items`: rows of the entity, the missing one counted in."""
        counts = np.bincount(events.log.item[events.events], minlength=items).astype(float)
        counts[MISSING] = 0
        self.counts, self._made = counts, dict[int, Negatives]()

    def negatives(self, count: int) -> Negatives:
        """Draws `count` items by popularity to the power .75."""
        if count not in self._made:
            self._made[count] = Negatives(self.counts, sampling="popularity", negatives=count)
        return self._made[count]


def drafted(
    drawers: Mapping[str, Drawer], events: Stretches | None, shelf: Shelf | None, length: int, ask: Callable[[Array], slice], rng: np.random.Generator
) -> dict[str, Draft]:
    """What each auxiliary task asks in a step; those whose question comes out empty are left out."""
    found = {}
    for (name, drawer), own in zip(drawers.items(), rng.spawn(len(drawers)), strict=True):  # the step's own numbers stay what they are without them
        if events is None or shelf is None or not len(events):
            continue
        drawn = drawer.draw(events, length, own)
        if len(drawn.views[0].mask):
            found[name] = Draft(events, drawn, shelf, ask, own)
    return found

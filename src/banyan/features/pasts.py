"""The pasts that a step's rows read: which events they are, each row's own or windows that rows share, and their tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from banyan.features.distinct import Gatherer
from banyan.features.plan import BEHAVIOUR
from banyan.features.stock import Moment, Stock
from banyan.features.times import DAY
from banyan.features.vocabulary import FIRST
from banyan.types import Array, Past, Windows

Events = tuple[Array, Array]  # ((n, L) positions in the narrowed log, (n, L) which are events), newest last


@dataclass
class Draws:
    """Which events the windows of a table's rows hold."""

    parts: list[tuple[Array, Array]]  # ((W, L) positions in the narrowed log, (W, L) which are events), those of about one length together
    at: Array  # (B,) each row's newest event among the events of all parts, flat; -1 without events
    newest: Array  # (B,) its position in the narrowed log; -1

    @classmethod
    def of(cls, start: Array, stop: Array, window: Array, end: Array) -> "Draws":
        """Windows (W,) from `start` up to `stop`; each row (B,) stands in `window` and its past ends at `end`."""
        length = np.maximum(stop - start, 1)
        bucket = np.ceil(np.log2(length)).astype(np.int64)
        parts, first, wide, place = [], np.zeros(len(length), np.int64), np.ones(len(length), np.int64), 0
        for each in np.unique(bucket):
            mine = np.flatnonzero(bucket == each)
            longest = int(length[mine].max())
            at = stop[mine][:, None] - np.arange(longest, 0, -1)
            mask = at >= start[mine][:, None]
            parts.append((np.where(mask, at, 0), mask))
            first[mine], wide[mine] = place + np.arange(len(mine)) * longest, longest
            place += len(mine) * longest
        known = end > start[window]
        return cls(parts, np.where(known, first[window] + wide[window] - 1 - (stop[window] - end), -1), np.where(known, end - 1, -1))


def events(stock: Stock, moment: Moment) -> Events:
    """Each row's own newest events."""
    end, start = _ends(stock, moment)
    length = int(min(stock.length, np.max(end - start, initial=1)))
    at = end[:, None] - np.arange(max(length, 1), 0, -1)
    mask = at >= start[:, None]
    mask &= at != _excluded(stock, moment.exclude)[:, None]
    return np.where(mask, at, 0), mask


def windows(stock: Stock, moment: Moment) -> Draws:
    """Windows over the events of the rows' users.

    A user's windows begin every L / 2 events, so that no row reads more than L events, and none fewer than half of those it would read alone.
    """
    end, begin = _ends(stock, moment)
    longest = stock.length
    number = np.maximum(-(-(end - begin - longest) // max(longest // 2, 1)), 0)
    first = begin + number * max(longest // 2, 1)
    window, of = np.unique(first * (int(moment.user.max(initial=0)) + 1) + moment.user, return_inverse=True)
    of = of.reshape(-1)
    stop, start = np.zeros(len(window), np.int64), np.zeros(len(window), np.int64)
    np.maximum.at(stop, of, end)
    start[of] = first
    return Draws.of(start, stop, of, end)


def past(stock: Stock, drawn: Events, seen: Array, items: Tensor, gatherer: Gatherer) -> Past:
    """Events (n, L) as seen from the moments (n, 1); `items`: their items' places among those of the step, flat."""
    log, (at, mask) = stock.narrowed, drawn
    assert log is not None
    behaviour = np.where(mask, log.behaviour[at].astype(np.int32) + FIRST, 0) + stock.plan.books[BEHAVIOUR].offset
    gaps = np.zeros(mask.shape, np.float32)
    if log.clock == "time":
        gaps = np.where(mask, np.log1p(np.maximum((seen - log.time[at]) / DAY, 0)), 0).astype(np.float32)
    return Past(items.view(mask.shape), gatherer.add(behaviour.astype(np.int32)), torch.from_numpy(gaps), torch.from_numpy(mask))


def shared(stock: Stock, drawn: Draws, seen: Array, items: Sequence[Tensor], gatherer: Gatherer) -> Windows:
    """Windows as seen from the moments (B,) of the rows that share them; `items` of each part, as in `past`."""
    log = stock.narrowed
    assert log is not None
    parts = [past(stock, each, log.time[each[0][:, -1:]], place, gatherer) for each, place in zip(drawn.parts, items, strict=True)]
    at = torch.from_numpy(drawn.at)
    newest = torch.cat([part.items.flatten() for part in parts])[at.clamp(min=0)]
    days = np.where(drawn.newest >= 0, seen - log.time[drawn.newest], 0) / DAY if log.clock == "time" else np.zeros(len(seen))
    gaps = torch.from_numpy(np.log1p(np.maximum(days, 0)).astype(np.float32))
    return Windows(parts, at, torch.where(at >= 0, newest, 0), gaps)


def _ends(stock: Stock, moment: Moment) -> tuple[Array, Array]:
    """(Where each row's past ends, where its user's events begin), in the narrowed log."""
    assert stock.narrowed is not None
    end = moment.end if stock.places is None else stock.places[moment.end]
    return end, stock.narrowed.start[moment.user]


def _excluded(stock: Stock, exclude: Array) -> Array:
    """Positions in the narrowed log of positions in the log; -1 where the narrowed one does not hold that event."""
    places = stock.places
    if places is None:
        return exclude
    there = (exclude >= 0) & (places[exclude + 1] > places[exclude])
    return np.where(there, places[exclude], -1)
